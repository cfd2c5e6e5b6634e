package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// errProtocol: the state machine refused an event as impossible. That is a bug.
var errProtocol = errors.New("worker: outcome against the protocol")

// edit applies a batch of outcomes to a head. All that it depends on beside its
// arguments is fixed when it is made, for it may be applied several times.
type edit struct {
	s     *session
	batch []*outcome
	last  bool      // draining: no outcome is followed by another node
	since time.Time // when the edit was made
	begun begun     // what the end of the run may cut short; nil if that is not known

	// What the last application came to.
	verdicts []verdict
	steps    []step
	freed    []int // slots of nodes that were freed and nobody goes on with
	budget   inlineBudget
	values   *workflow.Values // of the head that is being changed
}

// step is what one outcome adds to an application.
type step struct {
	mine   bool  // the claim is there as far as known, and is to be guarded
	keep   bool  // it covers another node and stays
	freed  []int // by this outcome, and not evaluated in passing
	chains bool  // the outcome completed its node, so a chain may go on
}

func newEdit(s *session, batch []*outcome) *edit {
	return &edit{s: s, batch: batch, last: s.draining.Load(), since: time.Now()}
}

// apply is a [snapshot.Edit].
func (ed *edit) apply(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
	ed.verdicts = make([]verdict, len(ed.batch))
	ed.steps = make([]step, len(ed.batch))
	ed.freed, ed.budget, ed.values = nil, inlineBudget{}, snapshot.InHead(h)
	var change snapshot.Change
	writes := false
	for i, o := range ed.batch {
		ed.verdicts[i].next = -1
		if err := ed.applyOutcome(h, reads, i, o, &change); err != nil {
			return snapshot.Change{}, err
		}
		writes = writes || ed.steps[i].mine
	}
	if !writes {
		return snapshot.Change{}, snapshot.ErrUnchanged
	}
	ended, err := ed.endRun(h, reads, &change)
	if err != nil {
		return snapshot.Change{}, err
	}
	for i, o := range ed.batch {
		if !ed.steps[i].mine {
			continue
		}
		if err := ed.chain(h, reads, i, o, &change); err != nil {
			return snapshot.Change{}, err
		}
		if !mutation.On(mutation.CommitWithoutFence) {
			change.Guards = append(change.Guards, o.e.claim.Guard())
		}
		change.Reads = append(change.Reads, store.Get(o.e.claim.Key()))
		// The end of the run deletes all its claims at once.
		if !ed.steps[i].keep && !ended {
			change.Ops = append(change.Ops, o.e.claim.Delete())
		}
	}
	return change, nil
}

// applyOutcome applies one outcome, unless its claim is found to be gone.
func (ed *edit) applyOutcome(h *snapshot.Head, reads snapshot.Reads, i int, o *outcome, change *snapshot.Change) error {
	v, st := &ed.verdicts[i], &ed.steps[i]
	if reads != nil && !stillThere(o, reads) {
		// Gone by this very commit, sent earlier, or lost. The head tells which.
		if h.State.Nodes[o.node].Fence == o.fence() {
			v.kind = committed
		} else {
			v.kind, v.why = discarded, fmt.Errorf("%w before its outcome was committed", grapnel.ErrClaimLost)
		}
		return nil
	}
	changes, err := ed.advance(h, o, change)
	if err != nil {
		return err
	}
	switch changes.Verdict {
	case workflow.Repeated:
		// An earlier sending of this commit arrived. Either it kept the claim for
		// another node or it deleted it.
		v.kind = committed
		if next, ok := h.State.Holder(o.by, o.fence()); ok {
			v.next = next
			return nil
		}
		st.mine = reads != nil
	case workflow.Discarded:
		v.kind, v.why = discarded, fmt.Errorf("the node is %v and its run %v", h.State.Nodes[o.node].Status, h.State.Status)
		st.mine = true
	default:
		v.kind, st.mine, st.chains = committed, true, o.failure == nil
		return ed.evaluateFreed(h, i, o, changes.Freed, change)
	}
	return nil
}

// stillThere reports whether the outcome's claim was there when the last try of
// the commit failed.
func stillThere(o *outcome, reads snapshot.Reads) bool {
	r := reads[o.e.claim.Key()]
	return r.Found && r.KV.Create == grapnel.Revision(o.fence())
}

// advance applies the event that an outcome is.
func (ed *edit) advance(h *snapshot.Head, o *outcome, change *snapshot.Change) (workflow.Changes, error) {
	before := h.State.Nodes[o.node].Fence
	var changes workflow.Changes
	var err error
	switch kind := h.Node(o.node).Kind; {
	case o.failure != nil:
		changes, err = h.Advance(o.failed(h))
	case kind.Holds():
		changes, err = h.Advance(decision(kind, o.node, o.fence(), o.started, o.now, o.decided))
	default:
		ev := workflow.NodeCompleted{Node: o.node, Fence: o.fence(), Started: o.started, Now: o.now}
		var ops []store.Op
		// Placing an output takes room in the head, so only if it counts.
		if h.State.Nodes[o.node].Status == grapnel.NodePending {
			ops = ed.s.w.runs.PutOutput(h, o.node, o.output, &ev)
		}
		if changes, err = h.Advance(ev); changes.Verdict == workflow.Applied {
			change.Ops = append(change.Ops, ops...)
		}
	}
	if err != nil {
		return changes, fmt.Errorf("%w: %w", errProtocol, err)
	}
	if mutation.On(mutation.CommitForgetsFence) {
		h.State.Nodes[o.node].Fence = before
	}
	return changes, nil
}

// failed returns the event of a failed attempt. Its delay is counted from the
// head's clock, which may be ahead of the worker's.
func (o *outcome) failed(h *snapshot.Head) workflow.AttemptFailed {
	n := &h.State.Nodes[o.node]
	failures := 0
	if n.Trouble != nil {
		failures = n.Trouble.Failures
	}
	delay := h.Node(o.node).Policy.Retry.Delay(failures+1, o.random)
	f := *o.failure
	h.TakeFailure(&f)
	return workflow.AttemptFailed{
		Node: o.node, Fence: o.fence(), Attempt: o.e.head.State.Nodes[o.node].Attempt(), Started: o.started, Now: o.now,
		Failure: f, RetryAt: max(o.now, h.State.Clock).Add(delay),
	}
}

// endRun ends the run in this commit if it has nothing left to do. If the last
// try found an event waiting, its owner folds it and ends the run.
func (ed *edit) endRun(h *snapshot.Head, reads snapshot.Reads, change *snapshot.Change) (bool, error) {
	if !h.State.Finished() || ed.s.w.runs.EventsWaiting(h, reads) {
		return false, nil
	}
	if h.State.Interrupts() && ed.begun == nil {
		return false, errBegunUnknown
	}
	if _, err := h.Advance(workflow.RunEnded{Now: h.State.Clock, Started: ed.begun.in(h)}); err != nil {
		return false, fmt.Errorf("%w: %w", errProtocol, err)
	}
	end := ed.s.w.runs.End(h)
	change.Add(end)
	return len(end.Ops) > 0, nil
}
