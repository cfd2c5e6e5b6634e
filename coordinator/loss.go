package coordinator

import (
	"errors"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// loss is a claim that vanished without its head being written.
type loss struct {
	key    grapnel.NodeKey // the node of the claim's key
	fence  grapnel.Fence
	worker grapnel.WorkerID
	at     grapnel.Revision // when it vanished

	// node is the slot of what the claim was the right to when it vanished; it
	// means nothing before known is set.
	node  int
	known bool
	// cover names the claim that covered that node besides, if its fence is not
	// zero: if it was there still, the one that vanished was the right to nothing.
	cover cover
}

// cover names a claim by the node of its key and its fence.
type cover struct {
	key   grapnel.NodeKey
	fence grapnel.Fence
}

// find finds out what the claim was the right to, by the head as of the loss. Ok
// is false if it was the right to nothing.
func (lo *loss) find(h *snapshot.Head) (ok bool) {
	if grapnel.Revision(lo.fence) < h.Instance || h.State.Status != grapnel.RunRunning || h.State.Cause != nil {
		return false
	}
	lo.hold(h)
	if lo.known {
		if c := h.State.Nodes[lo.node].Cover; c.Fence != 0 {
			if by := (cover{h.State.Key(c.Node), c.Fence}); by != (cover{lo.key, lo.fence}) {
				lo.cover = by
			}
		}
	}
	return lo.known
}

// hold finds out what the claim was the right to.
func (lo *loss) hold(h *snapshot.Head) {
	by, ok := h.State.Slot(lo.key)
	if !ok {
		lo.known = false
		return
	}
	lo.node, lo.known = h.State.Holder(by, lo.fence)
}

// due reports whether the loss has to be counted still.
func (lo *loss) due(h *snapshot.Head) bool {
	if mutation.On(mutation.LossOfLaterHead) {
		lo.hold(h)
	}
	if !lo.known || grapnel.Revision(lo.fence) < h.Instance {
		return false
	}
	return h.State.Uncounted(lo.node, lo.fence) || mutation.On(mutation.LossCountedTwice) && h.State.Ready(lo.node)
}

// lose takes note of a claim that vanished. In history that is replayed the head
// that is known may be younger than the loss; what the claim was the right to is
// found out when the version before it comes.
func (l *loop) lose(r *run, lo loss) {
	asOf := r.head.Mod <= lo.at
	if asOf && (len(r.head.Value) == 0 || !l.find(r, &lo, r.head)) {
		return
	}
	if !slices.ContainsFunc(r.losses, func(o loss) bool { return o.key == lo.key && o.fence == lo.fence }) {
		r.losses = append(r.losses, lo)
		l.view.lossy[r] = struct{}{}
	}
}

// find finds out what a vanished claim was the right to. Whole fleets of claims
// may vanish at once, so it remembers the head it decoded last.
func (l *loop) find(r *run, lo *loss, head store.KV) bool {
	if l.view.lostOf == nil || l.view.lostOf.Run != r.id || l.view.lostOf.Mod != head.Mod {
		h, err := l.decodeForLoss(head)
		if err != nil {
			return false // the run is left alone
		}
		l.view.lostOf = h
	}
	if !lo.find(l.view.lostOf) {
		return false
	}
	if lo.cover.fence == 0 {
		return true
	}
	if c := r.claims[lo.cover.key]; c != nil && c.fence == lo.cover.fence {
		return false
	}
	// It may have gone with this one, or, in history that is replayed, after it.
	return !slices.ContainsFunc(r.losses, func(o loss) bool {
		return o.key == lo.cover.key && o.fence == lo.cover.fence && o.at >= lo.at
	})
}

// decodeForLoss decodes a head of which a claim has vanished. The definition may
// have to be read first, and it is now or never that the loss is taken note of:
// so all else waits for as long as the store does not answer.
func (l *loop) decodeForLoss(head store.KV) (*snapshot.Head, error) {
	for pause := (store.Pause{}); ; {
		h, err := l.runs.Decode(l.ctx, head)
		if !errors.Is(err, grapnel.ErrUnavailable) || pause.Wait(l.ctx) != nil {
			return h, err
		}
		l.log.Warn("definition of a run that lost a claim not read; trying again", "key", head.Key, "error", err)
	}
}

// findLosses finds out what claims were the right to that had vanished before a
// head was written, of which was is the version before.
func (l *loop) findLosses(r *run, was store.KV) {
	found := r.losses[:0]
	for _, lo := range r.losses {
		if lo.known || len(was.Value) > 0 && l.find(r, &lo, was) {
			found = append(found, lo)
		}
	}
	r.losses = found
	l.tidyLosses(r)
}

// uncover forgets the losses of claims on nodes that a claim covered which has
// vanished only now.
func (l *loop) uncover(r *run, c claimed) {
	by := cover{c.node, c.fence}
	r.losses = slices.DeleteFunc(r.losses, func(lo loss) bool { return lo.cover == by })
	l.tidyLosses(r)
}

// endLosses forgets the losses before a head that says that the run has ended:
// an end settles them, and if the run is retried, they are not to be counted
// against the new generation.
func (l *loop) endLosses(r *run, kv store.KV) {
	if len(r.losses) == 0 {
		return
	}
	if s, err := snapshot.DecodeSummary(kv.Value); err != nil || !s.Status.Ended() {
		return
	}
	r.losses = slices.DeleteFunc(r.losses, func(lo loss) bool { return lo.at < kv.Mod })
	l.tidyLosses(r)
}

// pruneLosses forgets the losses that need not be counted any more.
func (l *loop) pruneLosses(r *run, h *snapshot.Head) {
	if len(r.losses) == 0 || h.Mod < r.head.Mod {
		return
	}
	r.losses = slices.DeleteFunc(r.losses, func(lo loss) bool { return lo.known && !lo.due(h) })
	l.tidyLosses(r)
}

func (l *loop) tidyLosses(r *run) {
	if len(r.losses) == 0 {
		l.clearLosses(r)
	}
}

func (l *loop) clearLosses(r *run) {
	r.losses = nil
	delete(l.view.lossy, r)
}

// lostNodes returns the nodes of which a loss waits to be counted.
func (r *run) lostNodes(h *snapshot.Head) map[int]bool {
	if len(r.losses) == 0 {
		return nil
	}
	lost := map[int]bool{}
	for _, lo := range r.losses {
		if lo.due(h) {
			lost[lo.node] = true
		}
	}
	return lost
}

// countable reports whether a loss waits to be counted.
func (r *run) countable(h *snapshot.Head) bool {
	return slices.ContainsFunc(r.losses, func(lo loss) bool { return lo.due(h) && !r.claimedAgain(h, lo) })
}

// claimedAgain: a loss is counted whether or not its node is claimed again, by a
// worker that took an old offer or looked for itself.
func (r *run) claimedAgain(h *snapshot.Head, lo loss) bool {
	return mutation.On(mutation.LossWaitsForClaim) && (r.claims[lo.key] != nil || r.claims.of(h.State, lo.node) != nil)
}

// count counts losses, those of a node in the order in which they happened. That
// the claims are gone needs no guard: a fence does not come back.
func (d *duty) count(h *snapshot.Head, _ *snapshot.Change) (bool, error) {
	counted := false
	for _, lo := range d.losses {
		if !lo.due(h) {
			continue
		}
		ch, err := h.Advance(workflow.ClaimLost{Node: lo.node, Fence: lo.fence, Worker: lo.worker, Now: d.now})
		if err != nil {
			return false, err
		}
		counted = counted || ch.Verdict == workflow.Applied
	}
	return counted, nil
}
