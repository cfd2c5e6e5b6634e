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
	s.def = def
	s.derive()
	return s
}

// Bind makes a state that was read from a store ready for use: it checks it
// against its definition and computes what follows from both. The error wraps
// [grapnel.ErrCorrupt].
func (s *State) Bind(def *Definition) error {
	if s.Status < grapnel.RunRunning || s.Status > grapnel.RunTimedOut {
		return fmt.Errorf("%w: run status %d", grapnel.ErrCorrupt, s.Status)
	}
	s.def = def
	slots, err := s.layBlocks()
	if err != nil {
		return err
	}
	if len(s.Nodes) > slots {
		return fmt.Errorf("%w: state of %d nodes for workflow %s, whose run has %d", grapnel.ErrCorrupt, len(s.Nodes), def.Name, slots)
	}
	s.Nodes = append(s.Nodes, make([]NodeState, slots-len(s.Nodes))...)
	for i := range s.Nodes {
		if err := s.checkNode(i); err != nil {
			return err
		}
	}
	s.derive()
	return nil
}

// checkNode checks the state of a node as far as others rely on it.
func (s *State) checkNode(i int) error {
	n := &s.Nodes[i]
	if n.Status > grapnel.NodeSkipped || n.Cover.Node < 0 || n.Cover.Node >= len(s.Nodes) {
		return fmt.Errorf("%w: node %d has status %d and cover %d", grapnel.ErrCorrupt, i, n.Status, n.Cover.Node)
	}
	if n.Choice == 0 {
		return nil
	}
	most := 0
	switch node := s.Node(i); node.Kind {
	case KindSwitch:
		most = len(node.Branches)
	case KindMap:
		if n.Choice > 0 && n.Choice <= len(s.Expansions) && s.Expansions[n.Choice-1].Holder == i {
			return nil
		}
	}
	if n.Choice < 0 || n.Choice > most {
		return fmt.Errorf("%w: node %d has made choice %d", grapnel.ErrCorrupt, i, n.Choice)
	}
	return nil
}

// layBlocks computes where the slots of each expansion are and returns how many
// slots there are in all.
func (s *State) layBlocks() (int, error) {
	s.blocks = make([]block, 0, len(s.Expansions))
	slots, items := len(s.def.Nodes), 0
	for i, e := range s.Expansions {
		if e.Holder < 0 || e.Holder >= slots || e.Items < 0 || e.Items > MaxItems || s.Node(e.Holder).Kind != KindMap {
			return 0, fmt.Errorf("%w: expansion %d of node %d into %d items", grapnel.ErrCorrupt, i, e.Holder, e.Items)
		}
		b := s.newBlock(e, slots, items)
		s.blocks = append(s.blocks, b)
		slots += int(b.size) * e.Items
		items += e.Items
	}
	if slots > max(MaxSlots, len(s.def.Nodes)) {
		return 0, fmt.Errorf("%w: %d nodes", grapnel.ErrCorrupt, slots)
	}
	s.itemLeft = make([]int32, items)
	return slots, nil
}

func (s *State) newBlock(e Expansion, base, first int) block {
	node := s.NodeOf(e.Holder)
	return block{
		holder: int32(e.Holder), node: int32(node), base: int32(base), size: s.def.scopes.end[node] - int32(node) - 1,
		items: int32(e.Items), first: int32(first),
	}
}

// derive computes all that follows from the statuses of nodes. Slots of nodes
// that became ready when nobody looked, because a policy admits more items of a
// map than it did, become available as of the state's clock.
func (s *State) derive() {
	s.unmet = make([]int32, len(s.Nodes))
	s.open, s.ready = 0, 0
	for i := range s.blocks {
		s.countItems(&s.blocks[i])
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Status != grapnel.NodePending {
			continue
		}
		if s.IsTemplate(i) {
			s.unmet[i] = 1 // never ready
			continue
		}
		s.open++
		s.unmet[i] = s.countUnmet(i)
		if s.startable(i) && s.admits(i) {
			s.ready++
			if n.Since == 0 && !s.Status.Ended() {
				n.Available, n.Since = max(n.Available, s.Clock), s.Clock
			}
		}
	}
}

// countItems counts what is left of the items of an expansion and admits them.
func (s *State) countItems(b *block) {
	inside := s.def.scopes.inside[b.node][0].nodes
	b.ended = 0
	for item := range b.items {
		left := int32(0)
		shift := b.base + item*b.size - b.node - 1
		for _, node := range inside {
			if !s.Nodes[node+shift].Status.Done() {
				left++
			}
		}
		s.itemLeft[b.first+item] = left
		if left == 0 {
			b.ended++
		}
	}
	b.admitted = s.admissible(b)
}

// admissible returns how many items of an expansion may start nodes: as many as
// may be under way beside those that have ended, which are admitted as well.
func (s *State) admissible(b *block) int32 {
	if limit := s.def.Nodes[b.node].Policy.Parallel; limit > 0 {
		return min(b.items, b.ended+int32(min(limit, MaxItems)))
	}
	return b.items
}

// countUnmet returns what unmet says of a pending node.
func (s *State) countUnmet(slot int) int32 {
	p := s.spotOf(slot)
	shift := s.shift(p)
	node := slot - shift
	n := &s.def.Nodes[node]
	count := int32(0)
	if choice := s.Nodes[slot].Choice; choice > 0 {
		b := 0
		if n.Kind == KindMap {
			block := &s.blocks[choice-1]
			count = block.items - block.ended
		} else {
			b = choice - 1
			for _, inside := range s.def.scopes.inside[node][b].nodes {
				if !s.Nodes[int(inside)+shift].Status.Done() {
					count++
				}
			}
		}
		for _, outer := range s.def.scopes.inside[node][b].outer {
			if !s.Nodes[s.sees(p, int(outer))].Status.Done() {
				count++
			}
		}
		return count
	}
	for _, need := range n.Needs {
		if !s.Nodes[s.sees(p, need)].Status.Done() {
			count++
		}
	}
	if h := n.Scope - 1; h >= 0 && s.def.Nodes[h].Kind == KindSwitch && s.Nodes[h+shift].Choice == 0 {
		count++
	}
	return count
}

// Clone returns a copy that shares nothing that [Advance] modifies.
func (s *State) Clone() *State {
	c := *s
	c.Nodes = append([]NodeState(nil), s.Nodes...)
	c.Expansions = append([]Expansion(nil), s.Expansions...)
	c.blocks = append([]block(nil), s.blocks...)
	c.unmet = append([]int32(nil), s.unmet...)
	c.itemLeft = append([]int32(nil), s.itemLeft...)
	for i := range c.Nodes {
		if t := c.Nodes[i].Trouble; t != nil {
			copied := *t
			copied.LostBy = append([]string(nil), t.LostBy...)
			c.Nodes[i].Trouble = &copied
		}
	}
	return &c
}

// startable reports whether the node could be executed if the run is running and
// its item is admitted.
func (s *State) startable(slot int) bool {
	n := &s.Nodes[slot]
	return n.Status == grapnel.NodePending && s.unmet[slot] == 0 && n.Choice == 0
}

// admits reports whether the item that the node is in, if any, may start nodes.
func (s *State) admits(slot int) bool {
	if len(s.blocks) == 0 {
		return true
	}
	p := s.spotOf(slot)
	return p.block == 0 || p.item < int(s.blocks[p.block-1].admitted)
}

// Ready reports whether the node at a slot may be executed as far as the graph
// is concerned: the run is running and not failing, the node is pending and
// undecided, its needs are met, and no limit on parallel items holds it back.
// Its not-before time and claims are the caller's to look at.
func (s *State) Ready(slot int) bool {
	return s.starting() && s.startable(slot) && s.admits(slot)
}

// Startable is [State.Ready] but for limits on parallel items. It is what counts
// for a node that was offered: limits are policies, those of whoever offers it
// hold, and what they admitted stays admitted.
func (s *State) Startable(slot int) bool { return s.starting() && s.startable(slot) }

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
	if n := &s.Nodes[by]; n.Status == grapnel.NodePending && n.Choice == 0 && fence > n.Fence {
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
	if n.Status.Done() || n.Choice != 0 {
		return s.starting() && fence < n.Fence
	}
	return s.starting() && s.startable(node) && fence != n.Fence
}

// Open returns how many nodes have not ended.
func (s *State) Open() int { return s.open }

func (s *State) starting() bool { return s.Status == grapnel.RunRunning && s.Cause == nil }
