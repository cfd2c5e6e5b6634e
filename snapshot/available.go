package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Claims are the fences of a run's claim keys, by the keys of nodes.
type Claims map[grapnel.NodeKey]grapnel.Fence

// Covered reports whether a live claim covers the node at slot i: its own, or
// that of the node it was chained to.
func (c Claims) Covered(s *workflow.State, i int) bool {
	if len(c) == 0 {
		return false
	}
	if c.of(s, i) != 0 {
		return true
	}
	cover := s.Nodes[i].Cover
	return cover.Fence != 0 && c.of(s, cover.Node) == cover.Fence
}

// of returns the fence of the claim on the node at a slot, or zero.
func (c Claims) of(s *workflow.State, slot int) grapnel.Fence {
	var room [32]byte // so that the key takes no memory of its own
	return c[grapnel.NodeKey(s.AppendKey(room[:0], slot))]
}

// Available returns the slots of the nodes that can be claimed at now, in order: the graph
// has them ready, their not-before time has passed, and no live claim covers
// them.
func (h *Head) Available(now workflow.Moment, claims Claims) []int {
	if !h.State.AnyReady() {
		return nil
	}
	var available []int
	for i := range h.State.Nodes {
		if h.State.Ready(i) && h.State.Nodes[i].Available <= now && !claims.Covered(h.State, i) {
			available = append(available, i)
		}
	}
	return available
}

// Candidate is an available node.
type Candidate struct {
	Head     *Head
	Node     int             // its slot
	Priority int             // 1 (first) to 5
	Since    workflow.Moment // when the node became available
}

// FindAvailable returns available nodes that the worker can run, from a listing
// of the given shards alone: first those of the best priority, of those the ones
// that have waited longest, at most limit of them. A nil worker can run
// anything. Now is the time on the shards' clock. Runs that cannot be decoded
// are left out.
func (r *Runs) FindAvailable(ctx context.Context, shards []store.Shard, worker *Profile, now workflow.Moment, limit int) ([]Candidate, error) {
	var found []Candidate
	for _, shard := range shards {
		err := r.scan(ctx, shard, func(h *Head, claims Claims) {
			for _, i := range h.Available(now, claims) {
				if worker == nil || worker.Lacks(h.Def(), h.State.NodeOf(i)) == "" {
					found = append(found, Candidate{Head: h, Node: i, Priority: h.NodePriority(i), Since: h.State.Nodes[i].Available})
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Since, b.Since))
	})
	return found[:min(max(limit, 0), len(found))], nil
}

// scan calls visit for each run of a shard that has something ready, with its
// claims as of the same revision.
func (r *Runs) scan(ctx context.Context, shard store.Shard, visit func(h *Head, claims Claims)) error {
	req := store.ListRequest{Prefix: r.keys.ShardRuns(shard)}
	var run grapnel.RunID
	claims := Claims{}
	for {
		page, err := r.st.List(ctx, req)
		if err != nil {
			return fmt.Errorf("list shard %s: %w", shard, err)
		}
		for _, kv := range page.KVs {
			k, ok := r.keys.ParseRun(kv.Key)
			if !ok {
				continue
			}
			if k.Run != run {
				run, claims = k.Run, Claims{}
			}
			switch k.Kind { // "claim" sorts before "head"
			case "claim":
				claims[grapnel.NodeKey(k.ID)] = grapnel.Fence(kv.Create)
			case "head":
				if err := r.scanHead(ctx, kv, claims, visit); err != nil {
					return err
				}
			}
		}
		if !page.More {
			return nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// scanHead calls visit for a head that has something ready, unless it cannot be
// decoded. The error is that of reading the run's definition, if the store did
// not answer or ctx has ended.
func (r *Runs) scanHead(ctx context.Context, kv store.KV, claims Claims, visit func(h *Head, claims Claims)) error {
	if !saysReady(kv.Value) {
		return nil
	}
	h, err := r.decode(ctx, kv)
	switch {
	case err == nil:
		visit(h, claims)
	case errors.Is(err, grapnel.ErrUnavailable), ctx.Err() != nil:
		return err
	}
	return nil
}

// saysReady reports whether the summary of an encoded head says that something
// is ready. One that does not decode says nothing.
func saysReady(head []byte) bool {
	s, err := DecodeSummary(head)
	return err == nil && s.Ready
}
