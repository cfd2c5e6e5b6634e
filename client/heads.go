package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	remembered = 4096
	// crowd is from how many waits on they share a watch of all runs: etcd sends
	// each watch a message of its own for every change, however many of them
	// came in one commit.
	crowd = 32
	// everything stands for all shards.
	everything = store.Shards
)

// heads tells waits of the ends of runs. They share watches, because a watch each
// would cost etcd more than the runs do. A few waits watch the shards that their
// runs are in, so that they are not sent everybody's changes; a crowd of them
// watches everything.
type heads struct {
	st   store.Store
	keys store.Keys

	mu     sync.Mutex
	shards map[int]*shardWatch // guarded by mu; by shard, or everything
	waits  int                 // guarded by mu
}

// shardWatch is the watch of a shard, or of everything. Its fields are guarded by heads.mu.
type shardWatch struct {
	opened  chan struct{}    // closed when begin is set or the watch has ended
	begin   grapnel.Revision // what is later has been delivered
	waits   int
	waiters map[string][]*waiter        // by key
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

// join enters a waiter and opens the watch that it needs if that is not open.
func (h *heads) join(shard store.Shard, w *waiter) *shardWatch {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := int(shard)
	if h.waits >= crowd || h.shards[everything] != nil {
		id = everything
	}
	sw := h.shards[id]
	if sw == nil {
		sw = &shardWatch{opened: make(chan struct{}), waiters: map[string][]*waiter{}, ends: map[string]grapnel.Revision{}}
		ctx, cancel := context.WithCancel(context.Background())
		sw.idle = time.AfterFunc(linger, func() { h.closeIdle(id, sw, cancel) })
		if h.shards == nil {
			h.shards = map[int]*shardWatch{}
		}
		h.shards[id] = sw
		go h.follow(ctx, id, sw, cancel) // ends by itself, a while after the last wait
	}
	sw.waiters[w.key] = append(sw.waiters[w.key], w)
	sw.waits++
	h.waits++
	sw.idle.Stop()
	return sw
}

func (h *heads) leave(sw *shardWatch, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	same := slices.DeleteFunc(sw.waiters[w.key], func(o *waiter) bool { return o == w })
	if sw.waiters[w.key] = same; len(same) == 0 {
		delete(sw.waiters, w.key)
	}
	sw.waits--
	h.waits--
	if sw.waits == 0 {
		sw.idle.Reset(linger)
	}
}

// closeIdle ends a watch, unless somebody has joined.
func (h *heads) closeIdle(id int, sw *shardWatch, cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sw.waits > 0 {
		return
	}
	if h.shards[id] == sw {
		delete(h.shards, id)
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
	if errors.Is(err, grapnel.ErrNotFound) {
		err = grapnel.ErrNotFound // the caller names the run, so not the key too
		if *instance != 0 {
			err = grapnel.ErrRunGone
		}
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

// follow delivers changes until the watch ends.
func (h *heads) follow(ctx context.Context, id int, sw *shardWatch, cancel context.CancelFunc) {
	defer cancel()
	err := fmt.Errorf("%w: the watch ended", grapnel.ErrUnavailable)
	first := true
	prefix := h.keys.Runs()
	if id != everything {
		prefix = h.keys.ShardRuns(store.Shard(id))
	}
	for b := range h.st.Watch(ctx, store.WatchRequest{Prefix: prefix}) {
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
	if h.shards[id] == sw {
		delete(h.shards, id)
	}
	sw.idle.Stop()
	for _, same := range sw.waiters {
		for _, w := range same {
			w.tell(seen{err: err})
		}
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
	for _, w := range sw.waiters[kv.Key] {
		w.tell(seen{kv: kv})
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
