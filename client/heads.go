package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

const (
	// linger is how long a watch is kept open behind the last wait, for the next
	// one.
	linger = time.Second
	// remembered is how many ends a watch remembers for waits that come after
	// them.
	remembered = 1024
)

// heads tells waits of the ends of runs. Waits for runs of one shard share a
// watch, because a watch each would cost etcd more than the runs do; and a watch
// of a shard, rather than of all runs, keeps a client that waits for one run from
// being sent everybody's.
type heads struct {
	st   store.Store
	keys store.Keys

	mu     sync.Mutex
	shards map[store.Shard]*shardWatch // guarded by mu
}

// shardWatch is the watch of a shard. Its fields are guarded by heads.mu.
type shardWatch struct {
	opened  chan struct{}    // closed when begin or err is set
	begin   grapnel.Revision // what is later has been delivered
	err     error            // why the watch ended
	waiters map[*waiter]struct{}
	ends    map[string]grapnel.Revision // heads that ended, and when
	oldest  []string                    // the keys of ends, oldest first
	idle    *time.Timer                 // ends the watch that nobody needs
}

// waiter is one wait for one head.
type waiter struct {
	key string
	got chan seen // has room for one
}

// seen is what a waiter is told: its head, which has ended, is gone or is of
// another instance; or that the watch has ended.
type seen struct {
	kv  store.KV
	err error
}

// await waits until the head has ended and returns it. Known is the revision as
// of which the caller knows that it had not; if it is zero, or too long ago, the
// head is read. If instance is zero it becomes that of the head that is found.
func (h *heads) await(ctx context.Context, run grapnel.RunID, instance *grapnel.Instance, known grapnel.Revision) (store.KV, error) {
	w := &waiter{key: h.keys.Head(run), got: make(chan seen, 1)}
	sw := h.join(store.ShardOf(run), w)
	defer h.leave(sw, w)
	select {
	case <-sw.opened:
	case <-ctx.Done():
		return store.KV{}, context.Cause(ctx)
	}
	if h.missed(sw, w.key, known) {
		// The watch is open, so whatever this read does not show, it will.
		kv, ended, err := h.read(ctx, w.key, instance)
		if ended || err != nil {
			return kv, err
		}
	}
	for {
		select {
		case s := <-w.got:
			if s.err != nil {
				return store.KV{}, s.err
			}
			if s.kv.Mod < *instance {
				continue // about a run that had the id before
			}
			if ended, err := hasEnded(s.kv, *instance); ended || err != nil {
				return s.kv, err
			}
		case <-ctx.Done():
			return store.KV{}, context.Cause(ctx)
		}
	}
}

// join enters a waiter and opens the shard's watch if it is not open.
func (h *heads) join(shard store.Shard, w *waiter) *shardWatch {
	h.mu.Lock()
	defer h.mu.Unlock()
	sw := h.shards[shard]
	if sw == nil {
		sw = &shardWatch{opened: make(chan struct{}), waiters: map[*waiter]struct{}{}, ends: map[string]grapnel.Revision{}}
		ctx, cancel := context.WithCancel(context.Background())
		sw.idle = time.AfterFunc(linger, func() { h.closeIdle(shard, sw, cancel) })
		if h.shards == nil {
			h.shards = map[store.Shard]*shardWatch{}
		}
		h.shards[shard] = sw
		go h.follow(ctx, shard, sw, cancel) // ends by itself, a while after the last wait
	}
	sw.waiters[w] = struct{}{}
	sw.idle.Stop()
	return sw
}

func (h *heads) leave(sw *shardWatch, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(sw.waiters, w)
	if len(sw.waiters) == 0 {
		sw.idle.Reset(linger)
	}
}

// closeIdle ends a watch, unless somebody has joined.
func (h *heads) closeIdle(shard store.Shard, sw *shardWatch, cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(sw.waiters) > 0 {
		return
	}
	if h.shards[shard] == sw {
		delete(h.shards, shard)
	}
	cancel()
}

// missed reports whether the head may have ended without the waiter's being
// told: before the watch began, or before the waiter joined.
func (h *heads) missed(sw *shardWatch, key string, known grapnel.Revision) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ended := sw.ends[key]
	return ended || known == 0 || known < sw.begin
}

func (h *heads) read(ctx context.Context, key string, instance *grapnel.Instance) (kv store.KV, ended bool, err error) {
	kv, err = h.st.Get(ctx, key)
	if errors.Is(err, grapnel.ErrNotFound) && *instance != 0 {
		err = grapnel.ErrRunGone
	}
	if err != nil {
		return kv, false, err
	}
	if *instance == 0 {
		*instance = kv.Create
	}
	ended, err = hasEnded(kv, *instance)
	return kv, ended, err
}

// follow delivers a shard's changes until the watch ends.
func (h *heads) follow(ctx context.Context, shard store.Shard, sw *shardWatch, cancel context.CancelFunc) {
	defer cancel()
	err := fmt.Errorf("%w: the watch ended", grapnel.ErrUnavailable)
	first := true
	for b := range h.st.Watch(ctx, store.WatchRequest{Prefix: h.keys.ShardRuns(shard)}) {
		if b.Err != nil {
			err = b.Err
			continue
		}
		h.mu.Lock()
		if first {
			first, sw.begin = false, b.Revision
			close(sw.opened)
		}
		for i := range b.Events {
			sw.deliver(&b.Events[i])
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shards[shard] == sw {
		delete(h.shards, shard)
	}
	sw.idle.Stop()
	for w := range sw.waiters {
		w.tell(seen{err: err})
	}
	if first {
		close(sw.opened)
	}
}

// deliver tells the waiters of a head that has ended, is gone, cannot be read or
// was created, and remembers all but the last. Called with heads.mu held.
func (sw *shardWatch) deliver(ev *store.Event) {
	kv := ev.KV // of a deletion, without a create revision: no instance has that
	if !strings.HasSuffix(kv.Key, "/head") {
		return
	}
	created := !ev.Deleted && kv.Create == kv.Mod // by itself or in place of another
	if s, err := snapshot.DecodeSummary(kv.Value); err == nil && !s.Status.Ended() && !created {
		return
	}
	for w := range sw.waiters {
		if w.key == kv.Key {
			w.tell(seen{kv: kv})
		}
	}
	if created {
		return
	}
	if _, ok := sw.ends[kv.Key]; !ok {
		sw.oldest = append(sw.oldest, kv.Key)
	}
	sw.ends[kv.Key] = kv.Mod
	if len(sw.oldest) > remembered {
		key := sw.oldest[0]
		sw.oldest = sw.oldest[1:]
		sw.begin = max(sw.begin, sw.ends[key])
		delete(sw.ends, key)
	}
}

// tell hands the latest news to a waiter.
func (w *waiter) tell(s seen) {
	for {
		select {
		case w.got <- s:
			return
		case <-w.got: // older news
		}
	}
}
