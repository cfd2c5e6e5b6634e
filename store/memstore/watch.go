package memstore

import (
	"context"
	"fmt"
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
	wake chan struct{}

	mu    sync.Mutex
	queue []store.Batch // guarded by mu
	err   error         // guarded by mu; ends the watch behind the queue
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	out := make(chan store.Batch)
	w := &watcher{req: r, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		w.fail(fmt.Errorf("%w: the store is closed", grapnel.ErrUnavailable))
	} else {
		s.open(w)
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		defer close(out)
		w.run(ctx, out)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}()
	return out
}

// open queues the history that w asks for and has it told of what follows.
// Called with mu held.
func (s *Store) open(w *watcher) {
	if from := w.req.From; from != 0 {
		if from < s.compacted {
			w.fail(&store.CompactedError{Revision: s.compacted})
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
		w.enqueue(store.Batch{Revision: s.rev})
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
		if !w.req.Previous || ev.Previous.Mod < compacted && ev.KV.Mod <= compacted {
			ev.Previous = store.KV{}
		}
		b.Events = append(b.Events, ev)
	}
	if len(b.Events) > 0 {
		w.enqueue(b)
	}
}

func (w *watcher) enqueue(b store.Batch) {
	w.mu.Lock()
	w.queue = append(w.queue, b)
	w.mu.Unlock()
	w.poke()
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	w.poke()
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run delivers the queue until the watch ends.
func (w *watcher) run(ctx context.Context, out chan<- store.Batch) {
	for {
		w.mu.Lock()
		queue, err := w.queue, w.err
		w.queue = nil
		w.mu.Unlock()
		if len(queue) == 0 && err != nil {
			queue = []store.Batch{{Err: err}}
		}
		for _, b := range queue {
			select {
			case out <- b:
			case <-ctx.Done():
				w.last(ctx, out)
				return
			}
			if b.Err != nil {
				return
			}
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			w.last(ctx, out)
			return
		}
	}
}

// last says why the watch ended, to a reader that is still there.
func (w *watcher) last(ctx context.Context, out chan<- store.Batch) {
	select {
	case out <- store.Batch{Err: context.Cause(ctx)}:
	default:
	}
}
