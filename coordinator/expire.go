package coordinator

import (
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// expire lets time run out for the run and for its nodes. It adds to deletes the
// keys of the claims that go with it.
func (d *duty) expire(h *snapshot.Head, c *snapshot.Change, deletes *[]string) (bool, error) {
	if h.State.Deadline != 0 && h.State.Deadline <= d.now {
		ch, err := h.Advance(workflow.RunExpired{Now: d.now})
		if err != nil || ch.Verdict == workflow.Applied {
			return true, err
		}
	}
	expired := false
	for i := range h.State.Nodes {
		if !h.State.Startable(i) || d.spared[i] || len(d.checks) >= mostChecks {
			continue
		}
		live := d.claims.covering(h.State, i)
		if live == nil && !h.State.Ready(i) {
			continue
		}
		at, kind := expiry(h, i, live, d.grace)
		if at == 0 || at > d.now {
			continue
		}
		cover := h.State.Nodes[i].Cover
		ch, err := h.Advance(d.expiryEvent(h, i, live, kind))
		if err != nil {
			return false, err
		}
		if ch.Verdict != workflow.Applied {
			continue
		}
		expired = true
		spare := func() error { d.spared[i] = true; return nil }
		if live == nil {
			d.require(c, store.Absent(d.claimKey(h.State.Key(i))), spare)
			if cover.Fence != 0 {
				d.require(c, store.CreateIsNot(d.claimKey(h.State.Key(cover.Node)), grapnel.Revision(cover.Fence)), spare)
			}
			continue
		}
		key := d.claimKey(live.node)
		d.require(c, store.CreateIs(key, grapnel.Revision(live.fence)), spare)
		*deletes = append(*deletes, key)
		if kind == workflow.KindStartToClose {
			d.stops = append(d.stops, stopOf(h, live, kind, "the attempt took too long"))
		}
	}
	return expired, nil
}

// expiryEvent is what the state machine is told: that an attempt took too long,
// which its policy may allow to be repeated, or that the node did.
func (d *duty) expiryEvent(h *snapshot.Head, i int, live *claimed, kind string) workflow.Event {
	if kind != workflow.KindStartToClose {
		return workflow.NodeExpired{Node: i, Kind: kind, Now: d.now}
	}
	n, p := &h.State.Nodes[i], &h.Node(i).Policy
	attempt, failures := n.Attempt(), 0
	if n.Trouble != nil {
		failures = n.Trouble.Failures
	}
	return workflow.AttemptFailed{
		Node: i, Fence: live.fence, Attempt: attempt, Started: attemptStart(n, live, h.State.Key(i)), Now: d.now,
		Failure: workflow.Failure{
			Kind: kind, Message: fmt.Sprintf("attempt %d of %s is over its limit of %v", attempt, h.State.Name(i), p.StartToClose),
		},
		RetryAt: max(d.now, h.State.Clock).Add(p.Retry.Delay(failures+1, d.random())),
	}
}

// stop is a message to a worker that a claim it held was deleted.
type stop struct {
	worker grapnel.WorkerID
	m      *pb.Stop
}

func stopOf(h *snapshot.Head, c *claimed, kind, reason string) stop {
	m := &pb.Stop{Run: string(h.Run), Fence: int64(c.fence), Kind: kind, Reason: reason}
	if node, items, ok := workflow.ParseKey(c.node); ok && len(items) == 0 {
		m.Node = uint32(node)
	} else {
		m.Key = string(c.node)
	}
	return stop{worker: c.worker, m: m}
}

// sendStops tells workers of claims that a commit deleted which was neither
// their outcome nor their release.
func (l *loop) sendStops(r *run, h *snapshot.Head) {
	for _, c := range r.freed {
		if c.worker == "" || concluded(h.State, &c) {
			continue
		}
		by, known := h.State.Slot(c.node)
		if slot, ok := h.State.Holder(by, c.fence); known && ok && h.State.Ready(slot) {
			continue // given back
		}
		kind, reason := workflow.KindCancelled, "the run does not need it any more"
		if cause := h.State.Cause; cause != nil {
			reason = cause.Message
			if cause.Node < 0 || known && cause.Node == by {
				kind = cause.Kind
			}
		}
		l.workers.stop(stopOf(h, &c, kind, reason))
	}
	r.freed = nil
}

// concluded reports whether the worker itself ended a claim, by the outcome of
// the node that the claim was made for. If that completed and the run failed or
// was stopped, the claim may have been at a node chained to it, so the worker is
// told, which is of no harm if it knows. Another node with the same fence says
// nothing: claims made in one request share it.
func concluded(s *workflow.State, c *claimed) bool {
	slot, ok := s.Slot(c.node)
	if !ok || s.Nodes[slot].Fence != c.fence {
		return false
	}
	return s.Cause == nil || s.Nodes[slot].Status != grapnel.NodeCompleted
}
