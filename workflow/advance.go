package workflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
)

// Advance applies an event to a run's state. It is the whole of the run's
// logic: it does no I/O, reads no clock, draws no random number and calls no
// user code, so the same events give the same state wherever they are applied.
//
// Advance modifies s, which must have come from [NewState] or been bound with
// [State.Bind]. On an error, which means that the caller broke the protocol and
// not that the run failed, s is unchanged. The cost of an event is independent
// of how many nodes the graph has, except for those that end, expire or retry a
// whole run.
//
// What holds of every sequence of events:
//
//   - a node completes only after all it needs have ended, be it as skipped;
//   - a switch picks one branch, or none, and a map expands once, for good; the
//     nodes in branches not taken end as skipped, and no others do but switches
//     that took none;
//   - nodes in a scope start after its holder has decided, and the holder ends
//     after all of them;
//   - of a map with a limit, no node of an item starts before all but that many
//     of the items ahead of it have ended;
//   - a node that has ended does not change again within a generation, but for
//     the count of claims that were lost before, nor does its output ever;
//   - the fences of a node only grow;
//   - an event with the same node and fence counts once;
//   - once a cancel or failure is in the state, no node becomes ready;
//   - a run that has ended changes only by [RunRetried], and a completed one
//     never.
func Advance(def *Definition, s *State, ev Event) (Changes, error) {
	m := machine{def: def, s: s}
	switch ev := ev.(type) {
	case NodeCompleted:
		return m.completed(ev)
	case SwitchDecided:
		return m.decided(ev)
	case MapExpanded:
		return m.expanded(ev)
	case AttemptFailed:
		return m.failed(ev)
	case NodeExpired:
		return m.expired(ev)
	case ClaimLost:
		return m.lost(ev)
	case NodeCovered:
		return m.covered(ev)
	case RunCancelled:
		return m.cancelled(ev), nil
	case RunExpired:
		return m.runExpired(ev), nil
	case RunEnded:
		return m.ended(ev)
	case RunRetried:
		return m.retried(ev)
	}
	return Changes{}, fmt.Errorf("advance: unknown event %T", ev)
}

type machine struct {
	def *Definition
	s   *State
}

func (m machine) node(i int) (*NodeState, error) {
	if i < 0 || i >= len(m.s.Nodes) || m.s.IsTemplate(i) {
		return nil, fmt.Errorf("advance: the run of workflow %s has no node %d", m.def.Name, i)
	}
	return &m.s.Nodes[i], nil
}

// nodeAt returns the node at a slot, of the definition that Advance was given:
// its policies may be newer than those of the one the state was bound to.
func (m machine) nodeAt(i int) *Node { return &m.def.Nodes[m.s.NodeOf(i)] }

// due reports whether an attempt of the node may be under way. It may be even if
// its item is not admitted, when a policy admitted more before.
func (m machine) due(i int) bool { return m.s.Startable(i) }

// tick moves the state's clock, never back, and returns it.
func (m machine) tick(now Moment) Moment {
	m.s.Clock = max(m.s.Clock, now)
	return m.s.Clock
}

// outcome decides what an outcome under fence is worth. With verdict Applied
// the caller goes on; otherwise it returns the verdict.
func (m machine) outcome(i int, fence grapnel.Fence, now Moment) (*NodeState, Verdict, error) {
	n, err := m.node(i)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case fence <= 0:
		return nil, 0, fmt.Errorf("advance: outcome of node %d has fence %d", i, fence)
	case n.Fence == fence:
		return n, Repeated, nil
	case m.s.Status.Ended(), n.Status != grapnel.NodePending, n.Choice != 0, fence < n.Fence, n.Trouble != nil && fence <= n.Trouble.LossFence:
		return n, Discarded, nil
	case m.s.unmet[i] != 0:
		return nil, 0, fmt.Errorf("advance: outcome of node %d, which waits for %d others", i, m.s.unmet[i])
	case m.s.Status == grapnel.RunCancelling:
		n.Fence = fence
		m.end(i, grapnel.NodeCancelled, m.tick(now))
		return n, Discarded, nil
	}
	return n, Applied, nil
}

// end gives a pending node its final status.
func (m machine) end(i int, status grapnel.NodeStatus, now Moment) {
	n := &m.s.Nodes[i]
	m.unready(i)
	n.Status, n.Finished, n.Cover = status, now, Cover{}
	n.Available, n.Since = 0, 0
	m.s.unmet[i] = 0
	m.s.open--
}

// unready is called before a node that may be ready stops being so.
func (m machine) unready(i int) {
	if m.s.startable(i) && m.s.admits(i) {
		m.s.ready--
	}
}

func (m machine) completed(ev NodeCompleted) (Changes, error) {
	n, verdict, err := m.outcome(ev.Node, ev.Fence, ev.Now)
	if err != nil || verdict != Applied {
		return Changes{Verdict: verdict}, err
	}
	if k := m.s.Node(ev.Node).Kind; k.Holds() {
		return Changes{}, fmt.Errorf("advance: node %d is a %v, which has no output of its own", ev.Node, k)
	}
	now := m.tick(ev.Now)
	n.Fence, n.Started = ev.Fence, ev.Started
	n.Output, n.Recorded = ev.Output, ev.Recorded
	c := Changes{Verdict: Applied}
	m.done(ev.Node, grapnel.NodeCompleted, now, &c)
	return c, nil
}

func (m machine) failed(ev AttemptFailed) (Changes, error) {
	n, verdict, err := m.outcome(ev.Node, ev.Fence, ev.Now)
	if err != nil || verdict != Applied {
		return Changes{Verdict: verdict}, err
	}
	if !n.current(ev.Attempt) {
		return Changes{Verdict: Discarded}, nil
	}
	now := m.tick(ev.Now)
	t := n.trouble()
	t.Failures++
	f := ev.Failure
	f.Node, f.Attempt = ev.Node, ev.Attempt
	t.Last = &f
	n.Fence, n.Cover, n.Started = ev.Fence, Cover{}, ev.Started
	if n.Since == 0 { // not admitted by the policy that this goes by
		n.Available, n.Since = now, now
	}
	p := m.nodeAt(ev.Node).Policy
	retryAt := max(ev.RetryAt, now)
	switch {
	case m.s.Cause != nil || !p.retries(t.Failures, &f):
		m.fail(ev.Node, &f, now)
	case p.ScheduleToClose > 0 && retryAt >= n.Since.Add(p.ScheduleToClose):
		m.fail(ev.Node, m.outOfTime(ev.Node, KindScheduleToClose, &f), now)
	default:
		n.Available = retryAt
	}
	return Changes{Verdict: Applied}, nil
}

func (p Policy) retries(failures int, f *Failure) bool {
	if f.Permanent || slices.Contains(p.Retry.NonRetryable, f.Kind) {
		return false
	}
	return p.Retry.Attempts < 0 || failures < p.Retry.Attempts
}

// fail ends a node, and with it, unless it was failing already, the run.
func (m machine) fail(i int, f *Failure, now Moment) {
	m.s.Nodes[i].trouble().Last = f
	m.end(i, grapnel.NodeFailed, now)
	if m.s.Cause == nil {
		m.s.Cause = f
	}
}

func (m machine) expired(ev NodeExpired) (Changes, error) {
	n, err := m.node(ev.Node)
	if err != nil {
		return Changes{}, err
	}
	if !m.due(ev.Node) {
		return Changes{Verdict: Discarded}, nil
	}
	var last *Failure
	if n.Trouble != nil {
		last = n.Trouble.Last
	}
	m.fail(ev.Node, m.outOfTime(ev.Node, ev.Kind, last), m.tick(ev.Now))
	return Changes{Verdict: Applied}, nil
}

// outOfTime is the failure of a node that ran out of time; last is its last
// failed attempt's, or nil.
func (m machine) outOfTime(i int, kind string, last *Failure) *Failure {
	p := m.nodeAt(i).Policy
	limit := p.ScheduleToClose
	if kind == KindScheduleToStart {
		limit = p.ScheduleToStart
	}
	f := &Failure{Kind: kind, Node: i, Attempt: m.s.Nodes[i].Attempt(), Permanent: true,
		Message: fmt.Sprintf("%s is over its limit of %v", m.s.Name(i), limit)}
	if last != nil {
		f.Message += "; its last attempt failed: " + last.Message
	}
	return f
}

func (m machine) lost(ev ClaimLost) (Changes, error) {
	n, err := m.node(ev.Node)
	if err != nil {
		return Changes{}, err
	}
	if n.Trouble != nil && ev.Fence <= n.Trouble.LossFence && !mutation.On(mutation.LossCountedTwice) {
		return Changes{Verdict: Repeated}, nil
	}
	if !m.s.losable(ev.Node, ev.Fence) {
		return Changes{Verdict: Discarded}, nil
	}
	now := m.tick(ev.Now)
	t := n.trouble()
	t.Losses++
	t.LossFence = ev.Fence
	t.LostBy = append(t.LostBy, string(ev.Worker))
	if n.Status.Done() || n.Choice != 0 {
		return Changes{Verdict: Applied}, nil
	}
	if n.Cover.Fence <= ev.Fence {
		n.Cover = Cover{}
	}
	if ev.Fence > n.Fence {
		n.Available = max(n.Available, now)
	}
	most := m.nodeAt(ev.Node).Policy.MaxLosses
	if most == 0 {
		most = DefaultMaxLosses
	}
	if t.Losses >= most {
		m.fail(ev.Node, &Failure{Kind: KindLost, Node: ev.Node, Attempt: t.Failures + t.Losses, Permanent: true,
			Message: fmt.Sprintf("%s was lost %d times, by workers %s", m.s.Name(ev.Node), t.Losses, strings.Join(t.LostBy, ", "))}, now)
	}
	return Changes{Verdict: Applied}, nil
}

func (m machine) covered(ev NodeCovered) (Changes, error) {
	n, err := m.node(ev.Node)
	if err != nil {
		return Changes{}, err
	}
	if _, err := m.node(ev.By); err != nil {
		return Changes{}, err
	}
	cover := Cover{Node: ev.By, Fence: ev.Fence}
	switch {
	case n.Cover == cover && n.Status == grapnel.NodePending:
		return Changes{Verdict: Repeated}, nil
	case !m.due(ev.Node), ev.Fence <= n.Fence, n.Trouble != nil && ev.Fence <= n.Trouble.LossFence:
		return Changes{Verdict: Discarded}, nil
	}
	n.Cover, n.Started = cover, m.tick(ev.Now)
	return Changes{Verdict: Applied}, nil
}

func (n *NodeState) trouble() *Trouble {
	if n.Trouble == nil {
		n.Trouble = &Trouble{}
	}
	return n.Trouble
}
