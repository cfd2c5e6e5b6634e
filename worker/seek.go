package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// followCoordinators notes whether there is a coordinator.
func (s *session) followCoordinators() {
	there := map[string]struct{}{}
	s.follow(view{
		prefix:  s.w.keys.Coordinators(),
		begin:   func() { clear(there) },
		put:     func(kv store.KV) { there[kv.Key] = struct{}{} },
		deleted: func(key string) { delete(there, key) },
		listed: func() {
			alone := len(there) == 0
			if alone != s.alone.isOpen() {
				s.log.Info("coordinators", "there", len(there))
			}
			s.alone.set(alone)
		},
	})
}

// seek looks for available nodes while there is no coordinator to offer them:
// one random shard at a time, and every other time the same one again for as
// long as something was found there.
func (s *session) seek(ctx context.Context) {
	var order []int
	for s.alone.wait(ctx) == nil {
		if len(order) == 0 {
			order = rand.Perm(store.Shards)
		}
		if free := cap(s.w.slots) - len(s.w.slots) - len(s.offers); free > 0 {
			switch {
			case !s.seekIn(ctx, store.Shard(order[0]), free):
				order = order[1:]
			case len(order) > 1:
				order[0], order[1] = order[1], order[0]
			}
		}
		interval := s.w.cfg.Seek
		if !sleep(ctx, interval/2+rand.N(interval)) {
			return
		}
	}
}

// seekIn looks for up to limit nodes in a shard, and reports whether it queued
// one.
func (s *session) seekIn(ctx context.Context, shard store.Shard, limit int) bool {
	found, err := s.w.runs.FindAvailable(ctx, []store.Shard{shard}, s.profile, s.clock.now(), limit)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("shard not searched", "shard", shard.String(), "error", err)
		}
		return false
	}
	queued := false
	for _, c := range found {
		queued = s.enqueue(offerOf(c.Head, c.Node)) || queued
	}
	return queued
}

// offerOf returns the offer of the node at a slot as a head has it.
func offerOf(h *snapshot.Head, slot int) offer {
	n := &h.State.Nodes[slot]
	return offer{
		nodeRef:    nodeRef{runRef{h.Run, h.Instance}, h.State.Key(slot)},
		definition: h.Definition, attempt: n.Attempt(), coverNode: h.State.Key(n.Cover.Node), coverFence: n.Cover.Fence,
	}
}

// sleep waits for d and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
