package coordinator

import (
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
)

// holder returns the node that a vanished claim was the right to, if its loss
// has to be counted still: not if it was counted, if the node has moved on, or
// if the run has.
func (lo loss) holder(h *snapshot.Head) (node int, ok bool) {
	if grapnel.Revision(lo.fence) < h.Instance {
		return 0, false
	}
	node, ok = h.State.Holder(lo.node, lo.fence)
	if !ok || !h.State.Ready(node) {
		return 0, false
	}
	t := h.State.Nodes[node].Trouble
	return node, t == nil || lo.fence > t.LossFence || mutation.On(mutation.LossCountedTwice)
}

// pruneLosses forgets the losses that need not be counted any more.
func (l *loop) pruneLosses(r *run, h *snapshot.Head) {
	if len(r.losses) == 0 || h.Mod < r.head.Mod {
		return
	}
	r.losses = slices.DeleteFunc(r.losses, func(lo loss) bool {
		_, ok := lo.holder(h)
		return !ok
	})
	if len(r.losses) == 0 {
		l.clearLosses(r)
	}
}

// lostNodes returns the nodes of which a loss waits to be counted.
func (r *run) lostNodes(h *snapshot.Head) map[int]bool {
	if len(r.losses) == 0 {
		return nil
	}
	lost := map[int]bool{}
	for _, lo := range r.losses {
		if node, ok := lo.holder(h); ok {
			lost[node] = true
		}
	}
	return lost
}

// countable reports whether a loss can be counted now. One whose node is claimed
// again, by a worker that looked for itself, waits: to count it would be to
// change the number of an attempt that is under way.
func (l *loop) countable(r *run, h *snapshot.Head) bool {
	return slices.ContainsFunc(r.losses, func(lo loss) bool {
		n, ok := lo.holder(h)
		return ok && r.claims[lo.node] == nil && r.claims[n] == nil
	})
}
