package worker

import (
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// inlineBudget is what the inline nodes evaluated in one application have used
// of the room in the commit.
type inlineBudget struct{ records, bytes int }

// evaluateFreed evaluates what need not be executed among the nodes that outcome
// i has freed, those that become free by that, and so on: inline functions,
// expressions, switches and maps. What it does not evaluate, for want of the
// function, of an input that the head does not hold, or of room, is available to
// everybody like a task.
func (ed *edit) evaluateFreed(h *snapshot.Head, i int, o *outcome, freed []int, change *snapshot.Change) error {
	for len(freed) > 0 {
		node := freed[0]
		freed = freed[1:]
		changes, err := ed.evaluate(h, node, o, change)
		switch {
		case err != nil:
			return err
		case changes.Verdict != workflow.Applied:
			ed.steps[i].freed = append(ed.steps[i].freed, node)
		default:
			freed = append(freed, changes.Freed...)
		}
	}
	return nil
}

// evaluate evaluates a node in passing and applies what it comes to, under the
// fence of the outcome that freed it. The verdict is not [workflow.Applied] if it
// did not.
func (ed *edit) evaluate(h *snapshot.Head, node int, o *outcome, change *snapshot.Change) (workflow.Changes, error) {
	n := h.Node(node)
	if n.Kind == workflow.KindTask || !h.State.Ready(node) || ed.budget.records >= maxInlined || ed.budget.bytes >= maxInlineOutput {
		return workflow.Changes{}, nil
	}
	fn, ok := ed.s.w.reg.inPassing(h.Def(), h.State.NodeOf(node))
	if !ok {
		return workflow.Changes{}, nil
	}
	in, err := n.Input.Eval(ed.values.At(node))
	if errors.Is(err, snapshot.ErrNotInHead) {
		return workflow.Changes{}, nil
	}
	var out []byte
	var d decided
	switch {
	case err != nil:
		err = badInput(err)
	case n.Kind.Holds():
		d, err = decide(n.Kind, in)
	default:
		out, err = fn(in)
	}
	var changes workflow.Changes
	switch {
	case err != nil:
		f := workflow.FailureOf(err)
		f.Permanent = true
		changes, err = h.Advance(workflow.AttemptFailed{
			Node: node, Fence: o.fence(), Attempt: h.State.Nodes[node].Attempt(), Started: o.now, Now: o.now, Failure: *f,
		})
	case n.Kind.Holds():
		changes, err = h.Advance(decision(n.Kind, node, o.fence(), o.now, o.now, d))
	default:
		ev := workflow.NodeCompleted{Node: node, Fence: o.fence(), Started: o.now, Now: o.now}
		ops := ed.s.w.runs.PutOutput(h, node, out, &ev)
		if changes, err = h.Advance(ev); changes.Verdict == workflow.Applied {
			change.Ops = append(change.Ops, ops...)
			ed.count(ops, out)
		}
	}
	if err != nil {
		return changes, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return changes, nil
}

func (ed *edit) count(ops []store.Op, out []byte) {
	ed.budget.records += len(ops)
	ed.budget.bytes += len(out)
}

// badInput is the failure of a node whose input cannot be made.
func badInput(err error) *workflow.Failure {
	f := workflow.FailureOf(err)
	f.Kind, f.Permanent = workflow.KindBadInput, true
	return f
}

// chain lets the claim of outcome i cover the node that the outcome has freed,
// if that is the only one and the worker can go on with it at once.
func (ed *edit) chain(h *snapshot.Head, reads snapshot.Reads, i int, o *outcome, change *snapshot.Change) error {
	st := &ed.steps[i]
	if !st.chains || len(st.freed) != 1 || !ed.goesOn(h, o, st.freed[0]) || reads[ed.s.claimKey(h, st.freed[0])].Found {
		ed.freed = append(ed.freed, st.freed...)
		return nil
	}
	next := st.freed[0]
	if mutation.On(mutation.ChainWithoutCover) {
		st.keep, ed.verdicts[i].next = true, next
		return nil
	}
	changes, err := h.Advance(workflow.NodeCovered{Node: next, By: o.by, Fence: o.fence(), Now: o.now})
	if err != nil {
		return fmt.Errorf("%w: %w", errProtocol, err)
	}
	if changes.Verdict == workflow.Applied {
		st.keep, ed.verdicts[i].next = true, next
		if inLimitedMap(h.Def(), h.State.NodeOf(next)) && !mutation.On(mutation.ChainOverClaim) {
			key := ed.s.claimKey(h, next)
			change.Guards = append(change.Guards, store.Absent(key))
			change.Reads = append(change.Reads, store.Get(key))
		}
	}
	return nil
}

func (s *session) claimKey(h *snapshot.Head, node int) string {
	return s.w.keys.Claim(h.Run, h.State.Key(node))
}

// inLimitedMap reports whether node i is in the body of a map that limits how
// many items are under way. That is a policy, and others may go by another one: a
// node that this worker sees as freed just now may be claimed already.
func inLimitedMap(def *workflow.Definition, i int) bool {
	for holder := def.Nodes[i].Scope - 1; holder >= 0; holder = def.Nodes[holder].Scope - 1 {
		if n := &def.Nodes[holder]; n.Kind == workflow.KindMap {
			return n.Policy.Parallel > 0
		}
	}
	return false
}

// goesOn reports whether the worker goes on with a node under the claim of an
// outcome. Claims of nodes with a heartbeat time-out have leases of their own,
// which are made for that node alone.
func (ed *edit) goesOn(h *snapshot.Head, o *outcome, node int) bool {
	return !ed.last && h.State.Ready(node) && h.State.Nodes[node].Available <= h.State.Clock &&
		h.Node(o.by).Policy.Heartbeat == 0 && h.Node(node).Policy.Heartbeat == 0 && ed.s.canRun(h.Def(), h.State.NodeOf(node))
}
