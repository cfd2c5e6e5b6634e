package memstore

import (
	"context"
	"sort"
	"strings"
	"sync"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// watcher is one watch. What it has not delivered yet waits in queue, so that a
// slow reader keeps nobody waiting.
type watcher struct {
	req  store.WatchRequest
	stop context.CancelCauseFunc
	wake chan struct{}

	mu    sync.Mutex
	queue []store.Batch // guarded by mu; nothing follows one with an error
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	ctx, stop := context.WithCancelCause(ctx)
	w := &watcher{req: r, stop: stop, wake: make(chan struct{}, 1)}
	// The buffer of one lets a watch end without a receiver.
	out := make(chan store.Batch, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		stop(errClosed)
		end(out, 0, 0, context.Cause(ctx))
		return out
	}
	s.open(w)
	s.wg.Go(func() {
		defer stop(nil)
		w.run(ctx, out)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	})
	return out
}

// open queues the history that w asks for and has it told of what follows.
// Called with mu held.
func (s *Store) open(w *watcher) {
	if from := w.req.From; from != 0 {
		if from < s.compacted {
			w.put(store.Batch{Err: &store.CompactedError{Revision: s.compacted}})
			return
		}
		i := sort.Search(len(s.log), func(i int) bool { return s.log[i].KV.Mod >= from })
		for i < len(s.log) {
			j := i
			for j < len(s.log) && s.log[j].KV.Mod == s.log[i].KV.Mod {
				j++
			}
			w.offer(s.log[i:j], s.compacted)
			i = j
		}
	} else {
		w.put(store.Batch{Revision: s.rev})
	}
	s.watchers[w] = struct{}{}
}

// notify tells the watchers of the events of one revision. Called with mu held.
func (s *Store) notify(events []store.Event) {
	for w := range s.watchers {
		if events[0].KV.Mod >= w.req.From {
			w.offer(events, s.compacted)
		}
	}
}

// offer queues what of one revision's events w asked for.
func (w *watcher) offer(events []store.Event, compacted grapnel.Revision) {
	b := store.Batch{Revision: events[0].KV.Mod}
	for _, ev := range events {
		if !strings.HasPrefix(ev.KV.Key, w.req.Prefix) {
			continue
		}
		// What was before the oldest revision kept is gone.
		if !w.req.Previous || b.Revision <= compacted {
			ev.Previous = store.KV{}
		}
		b.Events = append(b.Events, ev)
	}
	if len(b.Events) > 0 {
		w.put(b)
	}
}

func (w *watcher) put(b store.Batch) {
	w.mu.Lock()
	w.queue = append(w.queue, b)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what is queued.
func (w *watcher) take() []store.Batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue
	w.queue = nil
	return queue
}

// run delivers the queue until the watch ends. It is the only sender on out.
func (w *watcher) run(ctx context.Context, out chan store.Batch) {
	at := max(w.req.From-1, 0) // everything up to it was sent
	before := at               // what at was before the last batch
	for {
		for _, b := range w.take() {
			select {
			case out <- b:
				before, at = at, b.Revision
			case <-ctx.Done():
				end(out, at, before, context.Cause(ctx))
				return
			}
			if b.Err != nil {
				close(out)
				return
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			end(out, at, before, context.Cause(ctx))
			return
		}
	}
}

// end closes a watch whose context has ended. Everything up to at was sent. If
// nobody has received the last batch, which came after the revision before, the
// end takes its place: the receiver learns that the watch ended early, and from
// where to go on.
func end(out chan store.Batch, at, before grapnel.Revision, err error) {
	select {
	case <-out:
		at = before
	default:
	}
	out <- store.Batch{Revision: at, Err: err} // there is room: nobody else sends
	close(out)
}
