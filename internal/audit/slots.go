package audit

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
)

// Kinds of nodes, as they are persisted.
const (
	kindTask   = 1
	kindSwitch = 4
	kindMap    = 5
)

// slot is a place for a node's state in a head.
type slot struct {
	node  int   // index in the definition
	items []int // the items it is in, the outermost first
	key   string
	real  bool // it is a node of the run, not one that others are instances of
}

// slots is what stands where in the heads of a run. It only grows.
type slots struct {
	def   *definition
	all   []slot
	real  int
	byKey map[string]int
}

func newSlots(def *definition) *slots {
	s := &slots{def: def, byKey: map[string]int{}}
	for i := range def.nodes {
		s.add(i, nil)
	}
	return s
}

func keyOf(node int, items []int) string {
	key := strconv.AppendInt(nil, int64(node), 10)
	for _, item := range items {
		key = fmt.Appendf(key, ".%d", item)
	}
	return string(key)
}

func (s *slots) add(node int, items []int) {
	key := keyOf(node, items)
	at := slot{node: node, items: items, key: key, real: s.def.mapsAround(node) == len(items)}
	if at.real {
		s.real++
		s.byKey[key] = len(s.all)
	}
	s.all = append(s.all, at)
}

// expand adds the slots of a map's items.
func (s *slots) expand(holder, items uint32) bool {
	if int(holder) >= len(s.all) || !s.all[holder].real || s.def.nodes[s.all[holder].node].Kind != kindMap {
		return false
	}
	h := s.all[holder]
	for item := range int(items) {
		for node := h.node + 1; node < len(s.def.nodes) && s.def.inside(node, h.node); node++ {
			s.add(node, append(slices.Clone(h.items), item))
		}
	}
	return true
}

// sees returns the slot of another node as the one at a slot sees it.
func (s *slots) sees(from, node int) int {
	if i, ok := s.byKey[keyOf(node, s.all[from].items[:s.def.mapsAround(node)])]; ok {
		return i
	}
	return -1
}

// children returns the slots of the nodes directly in a branch of the holder at
// a slot, of all items.
func (s *slots) children(holder int, branch uint32) []int {
	h := s.all[holder]
	var found []int
	for i := range s.all {
		if n := s.all[i]; n.real && int(s.def.nodes[n.node].Scope)-1 == h.node && s.def.nodes[n.node].Branch == branch &&
			len(n.items) >= len(h.items) && slices.Equal(n.items[:len(h.items)], h.items) {
			found = append(found, i)
		}
	}
	return found
}

func (d *definition) mapsAround(node int) int {
	count := 0
	for h := int(d.nodes[node].Scope) - 1; h >= 0; h = int(d.nodes[h].Scope) - 1 {
		if d.nodes[h].Kind == kindMap {
			count++
		}
	}
	return count
}

func (d *definition) inside(node, holder int) bool {
	for h := int(d.nodes[node].Scope) - 1; h >= 0; h = int(d.nodes[h].Scope) - 1 {
		if h == holder {
			return true
		}
	}
	return false
}

func done(n *pb.Node) bool {
	return n != nil && (grapnel.NodeStatus(n.Status) == grapnel.NodeCompleted || grapnel.NodeStatus(n.Status) == grapnel.NodeSkipped)
}

// name is what reports call the node at a slot.
func (s *slots) name(i int) string {
	if s == nil || i < 0 || i >= len(s.all) {
		return strconv.Itoa(i)
	}
	return s.all[i].key
}

// lay brings a run's slots up to what a head says. Maps that were expanded stay
// so.
func (a *Auditor) lay(id grapnel.RunID, r *run, def *definition, head *pb.Head) bool {
	if r.slots == nil {
		r.slots = newSlots(def)
	}
	was := r.head.GetExpansions()
	if len(head.Expansions) < len(was) || !slices.Equal(head.Expansions[:len(was)], was) {
		a.violate("write-once", id, "", "maps that were expanded as %v are now expanded as %v", was, head.Expansions)
		return false
	}
	for at := len(was); at+1 < len(head.Expansions); at += 2 {
		if !r.slots.expand(head.Expansions[at], head.Expansions[at+1]) {
			a.violate("write-once", id, head.Expansions[at], "it is expanded and is no map")
			return false
		}
	}
	if len(r.slots.all) != int(head.NodeCount) {
		a.violate("write-once", id, "", "the head has %d slots, and its definition and expansions make %d", head.NodeCount, len(r.slots.all))
		return false
	}
	return true
}

// scopes checks what became of a node as far as scopes are concerned: nothing
// happens in a branch that was not taken, and a holder ends after all in its
// scope.
func (a *Auditor) scopes(id grapnel.RunID, r *run, i int, was, n *pb.Node, nodes map[int]*pb.Node) {
	at := r.slots.all[i]
	node := r.slots.def.nodes[at.node]
	status, before := grapnel.NodeStatus(n.Status), grapnel.NodeStatus(was.Status)
	switch {
	case n.Choice == was.Choice:
	case was.Choice != 0:
		a.violate("write-once", id, at.key, "its choice went from %d to %d", was.Choice, n.Choice)
	case node.Kind != kindSwitch && node.Kind != kindMap:
		a.violate("write-once", id, at.key, "it is no switch or map and has decided")
	case n.Fence <= was.Fence:
		a.violate("one outcome", id, at.key, "it has decided without a new fence")
	default:
		r.chosenAt[i] = a.rev
	}
	if skipped := a.inBranchNotTaken(r, i, nodes); status != before && (skipped || status == grapnel.NodeSkipped) {
		tookNone := node.Kind == kindSwitch && n.Choice == 0 && n.Fence > was.Fence
		allowed := skipped || tookNone
		if status == grapnel.NodeSkipped && !allowed || status != grapnel.NodeSkipped && skipped {
			a.violate("order", id, at.key, "it is %v, and it is in a branch that was not taken: %v", status, skipped)
		}
	}
	if n.Choice == 0 || status != grapnel.NodeCompleted || before == grapnel.NodeCompleted {
		return
	}
	branch := uint32(0)
	if node.Kind == kindSwitch {
		branch = n.Choice - 1
	}
	for _, child := range r.slots.children(i, branch) {
		if !done(nodes[child]) {
			a.violate("order", id, at.key, "it has ended before node %s, which is in its scope", r.slots.name(child))
		}
	}
}

// inBranchNotTaken reports whether a switch around a node has not taken the
// branch that the node is in.
func (a *Auditor) inBranchNotTaken(r *run, i int, nodes map[int]*pb.Node) bool {
	def := r.slots.def
	for node := r.slots.all[i].node; ; {
		h := int(def.nodes[node].Scope) - 1
		if h < 0 {
			return false
		}
		if def.nodes[h].Kind == kindSwitch {
			st := nodes[r.slots.sees(i, h)]
			if st != nil && (st.Choice != 0 && st.Choice != def.nodes[node].Branch+1 || grapnel.NodeStatus(st.Status) == grapnel.NodeSkipped) {
				return true
			}
		}
		node = h
	}
}

// opened returns the revision at which the scopes around a node were opened, or
// -1 if they are not. Of a scope opened by the revision being applied it is that.
func (r *run) opened(i int, nodes map[int]*pb.Node) grapnel.Revision {
	def, last := r.slots.def, grapnel.Revision(0)
	for h := int(def.nodes[r.slots.all[i].node].Scope) - 1; h >= 0; h = int(def.nodes[h].Scope) - 1 {
		at := r.slots.sees(i, h)
		if st := nodes[at]; st == nil || st.Choice == 0 {
			return -1
		}
		last = max(last, r.chosenAt[at])
	}
	return last
}

// slotOf returns the slot that a claim's key names.
func (r *run) slotOf(node string) (int, bool) {
	if r.slots == nil {
		return 0, false
	}
	i, ok := r.slots.byKey[node]
	return i, ok
}
