package faultstore

import (
	"context"
	"sync"

	"github.com/grapnel-dev/grapnel/store"
)

// watches are the open watches and what holds them up.
type watches struct {
	mu    sync.Mutex
	gate  chan struct{}              // guarded by mu; closed when batches may pass, nil as well
	cuts  map[int]chan<- store.Batch // guarded by mu
	next  int                        // guarded by mu
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
		cut <- store.Batch{Err: err} // has room for one
	}
	n := len(s.watches.cuts)
	clear(s.watches.cuts)
	return n
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	out := make(chan store.Batch)
	cut := make(chan store.Batch, 1)
	inner, stop := context.WithCancel(ctx)
	in := s.inner.Watch(inner, r)
	w := &s.watches
	w.mu.Lock()
	if w.cuts == nil {
		w.cuts = map[int]chan<- store.Batch{}
	}
	id := w.next
	w.next++
	w.cuts[id] = cut
	w.mu.Unlock()
	w.group.Go(func() {
		defer close(out)
		defer stop()
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.cuts, id)
		}()
		s.pass(ctx, in, cut, out)
	})
	return out
}

// Wait waits until all watches have ended, which they do with their contexts.
func (s *Store) Wait() { s.watches.group.Wait() }

// pass hands batches on until the watch ends or is cut.
func (s *Store) pass(ctx context.Context, in, cut <-chan store.Batch, out chan<- store.Batch) {
	for {
		var b store.Batch
		var ok bool
		select {
		case b = <-cut:
		case b, ok = <-in:
			if !ok {
				return
			}
			b = s.held(ctx, b, cut)
		}
		select {
		case out <- b:
		case <-ctx.Done():
			return
		case b = <-cut:
			select {
			case out <- b:
			case <-ctx.Done():
			}
			return
		}
		if b.Err != nil {
			return
		}
	}
}

// held waits while watches are held and returns the batch to deliver then.
func (s *Store) held(ctx context.Context, b store.Batch, cut <-chan store.Batch) store.Batch {
	for {
		s.watches.mu.Lock()
		gate := s.watches.gate
		s.watches.mu.Unlock()
		if gate == nil {
			return b
		}
		select {
		case <-gate:
		case b := <-cut:
			return b
		case <-ctx.Done():
			return store.Batch{Err: context.Cause(ctx)}
		}
	}
}
