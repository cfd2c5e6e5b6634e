package workflow

import (
	"fmt"

	"github.com/grapnel-dev/grapnel"
)

// NewState returns the state of a run that starts at now. Its deadline follows
// from the definition's time-out.
func NewState(def *Definition, now Moment) *State {
	s := &State{Status: grapnel.RunRunning, Clock: now, Started: now, Nodes: make([]NodeState, len(def.Nodes))}
	if def.Policy.Timeout > 0 {
		s.Deadline = now.Add(def.Policy.Timeout)
	}
	for i := range s.Nodes {
		if len(def.Nodes[i].Needs) == 0 {
			s.Nodes[i].Available, s.Nodes[i].Since = now, now
		}
	}
	s.derive(def)
	return s
}

// Bind makes a state that was read from a store ready for use: it checks it
// against its definition and computes what follows from both. The error wraps
// [grapnel.ErrCorrupt].
func (s *State) Bind(def *Definition) error {
	if len(s.Nodes) > len(def.Nodes) {
		return fmt.Errorf("%w: state of %d nodes for workflow %s, which has %d", grapnel.ErrCorrupt, len(s.Nodes), def.Name, len(def.Nodes))
	}
	if s.Status < grapnel.RunRunning || s.Status > grapnel.RunTimedOut {
		return fmt.Errorf("%w: run status %d", grapnel.ErrCorrupt, s.Status)
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Status > grapnel.NodeCancelled || n.Cover.Node < 0 || n.Cover.Node >= len(def.Nodes) {
			return fmt.Errorf("%w: node %d has status %d and cover %d", grapnel.ErrCorrupt, i, n.Status, n.Cover.Node)
		}
	}
	s.Nodes = append(s.Nodes, make([]NodeState, len(def.Nodes)-len(s.Nodes))...)
	s.derive(def)
	return nil
}

func (s *State) derive(def *Definition) {
	s.unmet = make([]int32, len(def.Nodes))
	s.open, s.ready = 0, 0
	for i := range s.Nodes {
		if s.Nodes[i].Status != grapnel.NodePending {
			continue
		}
		s.open++
		for _, need := range def.Nodes[i].Needs {
			if s.Nodes[need].Status != grapnel.NodeCompleted {
				s.unmet[i]++
			}
		}
		if s.unmet[i] == 0 {
			s.ready++
		}
	}
}

// Clone returns a copy that shares nothing that [Advance] modifies.
func (s *State) Clone() *State {
	c := *s
	c.Nodes = append([]NodeState(nil), s.Nodes...)
	c.unmet = append([]int32(nil), s.unmet...)
	for i := range c.Nodes {
		if t := c.Nodes[i].Trouble; t != nil {
			copied := *t
			copied.LostBy = append([]string(nil), t.LostBy...)
			c.Nodes[i].Trouble = &copied
		}
	}
	return &c
}

// Ready reports whether the node may be executed as far as the graph is
// concerned: the run is running and not failing, the node is pending, and its
// needs are met. Its not-before time and claims are the caller's to look at.
func (s *State) Ready(node int) bool {
	return s.starting() && s.Nodes[node].Status == grapnel.NodePending && s.unmet[node] == 0
}

// AnyReady reports whether some node is [State.Ready], whatever its not-before
// time.
func (s *State) AnyReady() bool { return s.starting() && s.ready > 0 }

// Failing reports whether the run has failed or timed out but not yet ended.
func (s *State) Failing() bool { return s.Cause != nil && !s.Status.Ended() }

// Finished reports whether the run has nothing left to do but to end: what
// [RunEnded] is for.
func (s *State) Finished() bool {
	switch s.Status {
	case grapnel.RunRunning:
		return s.open == 0 || s.Cause != nil
	case grapnel.RunCancelling:
		return true
	}
	return false
}

// Interrupts reports whether the end of a run may cut attempts short: there are
// pending nodes whose needs are met.
func (s *State) Interrupts() bool { return s.ready > 0 }

// Holder returns the node that the claim on node by with this fence is the
// right to execute: the node itself while it is pending, or the one that was
// chained to it last. Ok is false if it is the right to nothing any more.
func (s *State) Holder(by int, fence grapnel.Fence) (node int, ok bool) {
	if by < 0 || by >= len(s.Nodes) {
		return 0, false
	}
	if n := &s.Nodes[by]; n.Status == grapnel.NodePending && fence > n.Fence {
		return by, true
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Status == grapnel.NodePending && n.Cover == (Cover{Node: by, Fence: fence}) {
			return i, true
		}
	}
	return 0, false
}

// Uncounted reports whether the loss of a claim with this fence, which was the
// right to execute the node, is still to be counted. Losses of one node are
// counted in the order of their fences, and only while the run is running and
// not failing: an end settles what was not counted before it. That the node was
// claimed again meanwhile, or has an outcome under a later fence, makes no
// difference.
func (s *State) Uncounted(node int, fence grapnel.Fence) bool {
	if node < 0 || node >= len(s.Nodes) || !s.losable(node, fence) {
		return false
	}
	t := s.Nodes[node].Trouble
	return t == nil || fence > t.LossFence
}

// losable reports whether the node is one whose losses are counted, and this
// fence that of no outcome of it.
func (s *State) losable(node int, fence grapnel.Fence) bool {
	n := &s.Nodes[node]
	if n.Status == grapnel.NodeCompleted {
		return s.starting() && fence < n.Fence
	}
	return s.Ready(node) && fence != n.Fence
}

// Open returns how many nodes have not ended.
func (s *State) Open() int { return s.open }

func (s *State) starting() bool { return s.Status == grapnel.RunRunning && s.Cause == nil }
