package coordinator

import (
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// expiry returns the next time at which time runs out for the ready node at a slot, and the
// kind of failure that this is; zero is never. C is the live claim that covers
// the node, or nil. Grace is added to a start-to-close time-out, which the
// worker reports itself unless it is in trouble.
func expiry(h *snapshot.Head, slot int, c *claimed, grace time.Duration) (at workflow.Moment, kind string) {
	p, n := &h.Node(slot).Policy, &h.State.Nodes[slot]
	earlier := func(from workflow.Moment, limit time.Duration, k string) {
		if limit <= 0 || from == 0 {
			return
		}
		if m := from.Add(limit); at == 0 || m < at {
			at, kind = m, k
		}
	}
	earlier(n.Since, p.ScheduleToClose, workflow.KindScheduleToClose)
	switch {
	case c == nil:
		earlier(n.Available, p.ScheduleToStart, workflow.KindScheduleToStart)
	case p.StartToClose > 0 && !mutation.On(mutation.DeadlineByWorkerAlone):
		earlier(attemptStart(n, c, h.State.Key(slot)), p.StartToClose+grace, workflow.KindStartToClose)
	}
	return at, kind
}

// attemptStart returns when the attempt that a claim covers started: for a
// chained node the head says it, for the claim's own node the claim.
func attemptStart(n *workflow.NodeState, c *claimed, node grapnel.NodeKey) workflow.Moment {
	if c.node != node {
		return n.Started
	}
	return c.started
}

// wakes are the runs to look at again at some time, the earliest first.
type wakes struct{ heap[*run] }

func newWakes() wakes {
	return wakes{heap[*run]{
		before: func(a, b *run) bool { return a.wakeAt < b.wakeAt },
		moved:  func(r *run, slot int) { r.wakeSlot = slot + 1 },
	}}
}

// next returns the earliest time, or zero.
func (w *wakes) next() workflow.Moment {
	if len(w.all) == 0 {
		return 0
	}
	return w.all[0].wakeAt
}

// set makes the run be looked at again at a time; zero is never.
func (w *wakes) set(r *run, at workflow.Moment) {
	switch in := r.wakeSlot > 0; {
	case at == 0 && in:
		w.remove(r.wakeSlot - 1)
	case at == 0 || in && r.wakeAt == at:
	case in:
		r.wakeAt = at
		w.fix(r.wakeSlot - 1)
	default:
		r.wakeAt = at
		w.push(r)
	}
}

// wake looks at the runs whose time has come.
func (l *loop) wake() {
	now := l.clock.now()
	for {
		if at := l.wakes.next(); at == 0 || at > now {
			return
		}
		r := l.wakes.all[0]
		l.wakes.set(r, 0)
		l.refresh(r)
	}
}
