package workflow

import (
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
)

// done ends a node as completed or skipped and lets go on what waited for that:
// those that need it, the holders whose results read it, and the holder whose
// scope it is in, which may end by that in turn.
func (m machine) done(slot int, status grapnel.NodeStatus, now Moment, c *Changes) {
	m.end(slot, status, now)
	s := m.s
	p := s.spotOf(slot)
	node := slot - s.shift(p)
	for _, d := range m.def.dependents[node] {
		s.eachInstance(slot, int(d), func(d int) {
			if s.Nodes[d].Status == grapnel.NodePending && s.Nodes[d].Choice == 0 {
				m.met(d, now, c)
			}
		})
	}
	for _, cl := range m.def.scopes.closers[node] {
		s.eachInstance(slot, int(cl.holder), func(holder int) {
			if m.picked(holder, int(cl.branch)) {
				m.partEnded(holder, now, c)
			}
		})
	}
	h := m.def.holderOf(node)
	switch {
	case h < 0:
	case m.def.Nodes[h].Kind == KindMap:
		m.itemPartEnded(p, now, c)
	default:
		m.partEnded(h+s.shift(p), now, c)
	}
}

// met counts down what a node waits for.
func (m machine) met(slot int, now Moment, c *Changes) {
	m.s.unmet[slot]--
	if m.s.unmet[slot] == 0 || mutation.On(mutation.JoinIgnoresNeed) {
		m.free(slot, now, c)
	}
}

// free makes a node available that has nothing left to wait for, unless its item
// has to wait. It may have been available before, when a policy admitted more
// items: then an attempt may be under way, or wait for its time.
func (m machine) free(slot int, now Moment, c *Changes) {
	if !m.s.admits(slot) {
		return
	}
	n := &m.s.Nodes[slot]
	m.s.ready++
	if n.Since != 0 {
		return
	}
	n.Available, n.Since = now, now
	if m.s.Cause == nil {
		c.Freed = append(c.Freed, slot)
	}
}

// picked reports whether a holder has picked a branch, and has not ended.
func (m machine) picked(holder, branch int) bool {
	n := &m.s.Nodes[holder]
	if n.Status != grapnel.NodePending || n.Choice == 0 {
		return false
	}
	return n.Choice == branch+1 || m.s.Node(holder).Kind == KindMap
}

// partEnded counts down what is left of a holder's scope.
func (m machine) partEnded(holder int, now Moment, c *Changes) {
	m.s.unmet[holder]--
	m.close(holder, now, c)
}

// close completes a holder of whose scope nothing is left.
func (m machine) close(holder int, now Moment, c *Changes) {
	if m.s.unmet[holder] == 0 && m.s.Nodes[holder].Status == grapnel.NodePending {
		m.done(holder, grapnel.NodeCompleted, now, c)
	}
}

// itemPartEnded counts down what is left of an item, and admits the next one
// when the item has ended.
func (m machine) itemPartEnded(p spot, now Moment, c *Changes) {
	b := &m.s.blocks[p.block-1]
	left := &m.s.itemLeft[int(b.first)+p.item]
	if *left--; *left > 0 {
		return
	}
	b.ended++
	m.admit(p.block, now, c)
	m.partEnded(int(b.holder), now, c)
}

// admit lets items of an expansion start that had to wait.
func (m machine) admit(block int, now Moment, c *Changes) {
	b := &m.s.blocks[block-1]
	most := max(b.admitted, m.s.admissible(b))
	for item := b.admitted; item < most; item++ {
		b.admitted = item + 1
		from := b.base + item*b.size
		for slot := int(from); slot < int(from+b.size); slot++ {
			if m.s.startable(slot) {
				m.free(slot, now, c)
			}
		}
	}
}

func (m machine) decided(ev SwitchDecided) (Changes, error) {
	n, verdict, err := m.outcome(ev.Node, ev.Fence, ev.Now)
	if err != nil || verdict != Applied {
		return Changes{Verdict: verdict}, err
	}
	node := m.nodeAt(ev.Node)
	if node.Kind != KindSwitch {
		return Changes{}, fmt.Errorf("advance: node %d is no switch but a %v", ev.Node, node.Kind)
	}
	if m.s.Failing() { // nothing starts any more, and so nothing is decided
		return Changes{Verdict: Discarded}, nil
	}
	now := m.tick(ev.Now)
	n.Fence, n.Started, n.Cover = ev.Fence, ev.Started, Cover{}
	c := Changes{Verdict: Applied}
	branch, err := node.choose(ev.Key)
	switch {
	case err != nil:
		m.refuse(ev.Node, KindBadInput, err, now)
		return c, nil
	case branch < 0 && node.Exhaustive:
		m.refuse(ev.Node, KindNoBranch, fmt.Errorf("no branch of %s has the key %s", m.s.Name(ev.Node), shorten(string(ev.Key))), now)
		return c, nil
	}
	m.skipBranches(ev.Node, branch, now)
	if branch < 0 {
		m.done(ev.Node, grapnel.NodeSkipped, now, &c)
		return c, nil
	}
	m.choose(ev.Node, branch+1)
	shift := ev.Node - m.s.NodeOf(ev.Node)
	for _, inside := range m.def.scopes.inside[ev.Node-shift][branch].nodes {
		m.met(int(inside)+shift, now, &c)
	}
	m.close(ev.Node, now, &c)
	return c, nil
}

// refuse fails a holder whose input is not what it must be.
func (m machine) refuse(i int, kind string, err error, now Moment) {
	m.fail(i, &Failure{Kind: kind, Node: i, Attempt: m.s.Nodes[i].Attempt(), Permanent: true, Message: shorten(err.Error())}, now)
}

// choose records a holder's choice and counts what is left of its scope.
func (m machine) choose(holder, choice int) {
	n := &m.s.Nodes[holder]
	m.unready(holder)
	n.Choice, n.Available, n.Since = choice, 0, 0
	m.s.unmet[holder] = m.s.countUnmet(holder)
}

// skipBranches ends the nodes of all branches but one.
func (m machine) skipBranches(holder, but int, now Moment) {
	node := m.s.NodeOf(holder)
	shift := holder - node
	for b, branch := range m.def.scopes.inside[node] {
		if b == but {
			continue
		}
		for _, inside := range branch.nodes {
			for i := inside; i < m.def.scopes.end[inside]; i++ {
				if slot := int(i) + shift; !m.s.IsTemplate(slot) {
					m.end(slot, grapnel.NodeSkipped, now)
				}
			}
		}
	}
}

func (m machine) expanded(ev MapExpanded) (Changes, error) {
	n, verdict, err := m.outcome(ev.Node, ev.Fence, ev.Now)
	if err != nil || verdict != Applied {
		return Changes{Verdict: verdict}, err
	}
	node := m.nodeAt(ev.Node)
	if node.Kind != KindMap || ev.Items < 0 {
		return Changes{}, fmt.Errorf("advance: node %d, a %v, has a list of %d items", ev.Node, node.Kind, ev.Items)
	}
	if m.s.Failing() {
		return Changes{Verdict: Discarded}, nil
	}
	now := m.tick(ev.Now)
	n.Fence, n.Started, n.Cover = ev.Fence, ev.Started, Cover{}
	c := Changes{Verdict: Applied}
	e := Expansion{Holder: ev.Node, Items: ev.Items}
	b := m.s.newBlock(e, len(m.s.Nodes), len(m.s.itemLeft))
	if err := fits(m.s, &b, ev.Items); err != nil {
		m.refuse(ev.Node, KindTooManyItems, err, now)
		return c, nil
	}
	m.s.Expansions = append(m.s.Expansions, e)
	m.s.blocks = append(m.s.blocks, b)
	m.s.Nodes = append(m.s.Nodes, make([]NodeState, int(b.size)*ev.Items)...)
	m.s.unmet = append(m.s.unmet, make([]int32, int(b.size)*ev.Items)...)
	m.s.itemLeft = append(m.s.itemLeft, make([]int32, ev.Items)...)
	laid := &m.s.blocks[len(m.s.blocks)-1]
	m.s.countItems(laid)
	laid.admitted = 0
	for slot := int(b.base); slot < len(m.s.Nodes); slot++ {
		if m.s.IsTemplate(slot) {
			m.s.unmet[slot] = 1 // never ready
			continue
		}
		m.s.open++
		m.s.unmet[slot] = m.s.countUnmet(slot)
	}
	m.choose(ev.Node, len(m.s.blocks))
	m.admit(len(m.s.blocks), now, &c)
	m.close(ev.Node, now, &c)
	return c, nil
}

// fits says why a map cannot have this many items.
func fits(s *State, b *block, items int) error {
	switch {
	case items > MaxItems:
		return fmt.Errorf("%s has %d items, at most %d are allowed", s.Name(int(b.holder)), items, MaxItems)
	case len(s.Nodes)+items*int(b.size) > max(MaxSlots, len(s.def.Nodes)):
		return fmt.Errorf("%s would give the run %d nodes, at most %d are allowed", s.Name(int(b.holder)), len(s.Nodes)+items*int(b.size), MaxSlots)
	}
	return nil
}

// CountItems returns how many items there are in the JSON that the input of a
// map came to. The error is a *[Failure] that no retry mends.
func CountItems(list []byte) (int, error) {
	items, err := splitList(list)
	if err != nil {
		return 0, permanent(KindBadInput, err)
	}
	return len(items), nil
}

var errNoList = errors.New("the input of a map is no list")
