package workflow

import (
	"fmt"

	"github.com/grapnel-dev/grapnel"
)

func (m machine) cancelled(ev RunCancelled) Changes {
	switch {
	case m.s.Status == grapnel.RunCancelling:
		return Changes{Verdict: Repeated}
	case m.s.Status.Ended(), m.s.Cause != nil:
		return Changes{Verdict: Discarded}
	}
	m.tick(ev.Now)
	m.s.Status = grapnel.RunCancelling
	m.s.Cause = &Failure{Kind: KindCancelled, Node: -1, Message: ev.Reason, Permanent: true}
	return Changes{Verdict: Applied}
}

func (m machine) runExpired(ev RunExpired) Changes {
	switch {
	case m.s.Status != grapnel.RunRunning, m.s.Cause != nil, m.s.open == 0:
		return Changes{Verdict: Discarded}
	case m.s.Deadline == 0, ev.Now < m.s.Deadline:
		return Changes{Verdict: Discarded}
	}
	m.tick(ev.Now)
	m.s.Cause = &Failure{Kind: KindRunTimeout, Node: -1, Permanent: true,
		Message: fmt.Sprintf("the run is over its time-out of %v", m.s.Deadline.Sub(m.s.Started))}
	return Changes{Verdict: Applied}
}

func (m machine) ended(ev RunEnded) (Changes, error) {
	if m.s.Status.Ended() {
		return Changes{Verdict: Repeated}, nil
	}
	if !m.s.Finished() {
		return Changes{}, fmt.Errorf("advance: a run with %d open nodes cannot end", m.s.open)
	}
	now := m.tick(ev.Now)
	for i := range m.s.Nodes {
		n := &m.s.Nodes[i]
		if n.Status != grapnel.NodePending || m.s.IsTemplate(i) {
			continue
		}
		if at := ev.Started[i]; at != 0 {
			n.Started = at
		}
		n.Status, n.Finished, n.Cover = grapnel.NodeCancelled, now, Cover{}
		n.Available, n.Since = 0, 0
		m.s.unmet[i] = 0
	}
	m.s.open, m.s.ready = 0, 0
	switch {
	case m.s.Status == grapnel.RunCancelling:
		m.s.Status = grapnel.RunCancelled
	case m.s.Cause == nil:
		m.s.Status = grapnel.RunCompleted
	case m.s.Cause.Kind == KindRunTimeout:
		m.s.Status = grapnel.RunTimedOut
	default:
		m.s.Status = grapnel.RunFailed
	}
	m.s.Ended = now
	return Changes{Verdict: Applied}, nil
}

func (m machine) retried(ev RunRetried) (Changes, error) {
	if !m.s.Status.Ended() || m.s.Status == grapnel.RunCompleted {
		return Changes{}, fmt.Errorf("advance: a run that is %v cannot be retried", m.s.Status)
	}
	now := m.tick(ev.Now)
	m.s.Status, m.s.Cause, m.s.Ended, m.s.Deadline = grapnel.RunRunning, nil, 0, ev.Deadline
	m.s.Generation++
	for i := range m.s.Nodes {
		n := &m.s.Nodes[i]
		if n.Status.Done() || m.s.IsTemplate(i) {
			continue
		}
		n.Status, n.Finished, n.Cover = grapnel.NodePending, 0, Cover{}
		if n.Choice == 0 { // a holder stays with what it has decided
			n.Started = 0
		}
		if t := n.Trouble; t != nil {
			t.Failures, t.Losses, t.LostBy = 0, 0, nil
		}
	}
	m.s.derive()
	var c Changes
	c.Verdict = Applied
	for i := range m.s.Nodes {
		if m.s.Ready(i) {
			m.s.Nodes[i].Available, m.s.Nodes[i].Since = now, now
			c.Freed = append(c.Freed, i)
		}
	}
	return c, nil
}
