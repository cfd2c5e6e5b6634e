package faultstore

import (
	"context"
	"sync"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// watches are the open watches and what holds them up.
type watches struct {
	mu    sync.Mutex
	gate  chan struct{}        // guarded by mu; closed when batches may pass, nil as well
	cuts  map[int]chan<- error // guarded by mu
	next  int                  // guarded by mu
	group sync.WaitGroup
}

// HoldWatches lets all watches lag: batches wait until [Store.ResumeWatches].
func (s *Store) HoldWatches() {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	if s.watches.gate == nil {
		s.watches.gate = make(chan struct{})
	}
}

// ResumeWatches lets batches pass again.
func (s *Store) ResumeWatches() {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	if s.watches.gate != nil {
		close(s.watches.gate)
		s.watches.gate = nil
	}
}

// CutWatches ends all open watches with err, in the place of whatever they have
// not delivered yet, and returns how many they were.
func (s *Store) CutWatches(err error) int {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	for _, cut := range s.watches.cuts {
		cut <- err // has room for one
	}
	n := len(s.watches.cuts)
	clear(s.watches.cuts)
	return n
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	inner, stop := context.WithCancel(ctx)
	cut := make(chan error, 1)
	at := max(r.From-1, 0)
	p := passage{
		s: s, in: s.inner.Watch(inner, r), cut: cut, at: at, before: at,
		out: make(chan store.Batch, 1), // lets it end without a receiver
	}
	w := &s.watches
	w.mu.Lock()
	if w.cuts == nil {
		w.cuts = map[int]chan<- error{}
	}
	id := w.next
	w.next++
	w.cuts[id] = cut
	w.mu.Unlock()
	w.group.Go(func() {
		defer stop()
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.cuts, id)
		}()
		p.run(ctx)
	})
	return p.out
}

// Wait waits until all watches have ended, which they do with their contexts.
func (s *Store) Wait() { s.watches.group.Wait() }

// passage hands the batches of one watch on. Its goroutine is the only sender on
// out.
type passage struct {
	s          *Store
	in         <-chan store.Batch
	cut        <-chan error
	out        chan store.Batch
	at, before grapnel.Revision // everything up to at was sent, up to before without the last batch
}

// run hands batches on until the watch ends, is cut, or ctx does.
func (p *passage) run(ctx context.Context) {
	for {
		select {
		case b, ok := <-p.in:
			if !ok {
				close(p.out)
				return
			}
			if err := p.pass(ctx, b); err != nil {
				p.end(err)
				return
			}
		case err := <-p.cut:
			p.end(err)
			return
		case <-ctx.Done():
			p.end(context.Cause(ctx))
			return
		}
	}
}

// pass sends a batch once watches are not held. An error ends the watch.
func (p *passage) pass(ctx context.Context, b store.Batch) error {
	for {
		p.s.watches.mu.Lock()
		gate := p.s.watches.gate
		p.s.watches.mu.Unlock()
		out := p.out
		if gate != nil {
			out = nil
		}
		select {
		case <-gate:
		case out <- b:
			p.before, p.at = p.at, max(p.at, b.Revision)
			return nil
		case err := <-p.cut:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// end closes the watch with an error, which takes the place of a batch that
// nobody has received.
func (p *passage) end(err error) {
	select {
	case <-p.out:
		p.at = p.before
	default:
	}
	p.out <- store.Batch{Revision: p.at, Err: err} // there is room: nobody else sends
	close(p.out)
}
