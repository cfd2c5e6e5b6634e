package workflow

import (
	"fmt"
	"iter"
	"sort"
	"strconv"
	"strings"

	"github.com/grapnel-dev/grapnel"
)

// Expansion is what a map came to in a run: how many items its list had.
type Expansion struct {
	// Holder is the slot of the map.
	Holder int
	// Items is the length of the list.
	Items int
}

// block is the slots that an expansion added: for each item one after the other,
// all nodes of the map's scope, in the order of the definition. Of maps within
// the scope the bodies are templates there, too, whose slots are not used.
type block struct {
	holder int32 // slot of the map
	node   int32 // and its index in the definition
	base   int32 // the first slot
	size   int32 // slots per item
	items  int32

	first    int32 // of the items, in State.itemLeft
	ended    int32 // items whose nodes have all ended
	admitted int32 // items that may start nodes, as far as Parallel is concerned
}

// spot is where nodes of one instance of a map's body are; the zero spot is
// the top, where slots and nodes are the same.
type spot struct {
	block int // index in State.blocks, plus one
	item  int
}

// spotOf returns the spot of a slot.
func (s *State) spotOf(slot int) spot {
	if slot < len(s.def.Nodes) {
		return spot{}
	}
	// The last block that begins at the slot or before: empty ones begin where the
	// next one does.
	i := sort.Search(len(s.blocks), func(i int) bool { return int(s.blocks[i].base) > slot })
	b := &s.blocks[i-1]
	return spot{i, (slot - int(b.base)) / int(b.size)}
}

// shift returns what to add to the index of a node to get its slot in p.
func (s *State) shift(p spot) int {
	if p.block == 0 {
		return 0
	}
	b := &s.blocks[p.block-1]
	return int(b.base) + p.item*int(b.size) - int(b.node) - 1
}

// around returns the spot of the map whose item p is.
func (s *State) around(p spot) spot { return s.spotOf(int(s.blocks[p.block-1].holder)) }

// sees returns the slot of a node as it is seen from p: in p itself, or in one
// of the spots around it.
func (s *State) sees(p spot, node int) int {
	for p.block > 0 {
		b := &s.blocks[p.block-1]
		if node > int(b.node) && node <= int(b.node+b.size) {
			break
		}
		p = s.around(p)
	}
	return node + s.shift(p)
}

// eachInstance calls visit with each slot of a node that is in the scope that
// the node at from is in, or deeper.
func (s *State) eachInstance(from, node int, visit func(slot int)) {
	h := s.def.scopes.inMap[node]
	p := s.spotOf(from)
	if h < 0 || p.block > 0 && s.blocks[p.block-1].node == h {
		visit(node + s.shift(p))
		return
	}
	s.eachInstance(from, int(h), func(holder int) {
		if s.Nodes[holder].Choice == 0 {
			return
		}
		b := &s.blocks[s.Nodes[holder].Choice-1]
		for slot, i := int(b.base)+node-int(h)-1, int32(0); i < b.items; i++ {
			visit(slot)
			slot += int(b.size)
		}
	})
}

// NodeOf returns the index in the definition of the node at a slot.
func (s *State) NodeOf(slot int) int { return slot - s.shift(s.spotOf(slot)) }

// Node returns the node of the definition that is at a slot.
func (s *State) Node(slot int) *Node { return &s.def.Nodes[s.NodeOf(slot)] }

// IsTemplate reports whether a slot stands for no node of the run, but for the
// node of a map's body that others are instances of.
func (s *State) IsTemplate(slot int) bool {
	p := s.spotOf(slot)
	h := s.def.scopes.inMap[slot-s.shift(p)]
	if p.block == 0 {
		return h >= 0
	}
	return h != s.blocks[p.block-1].node
}

// Key returns the key of the node at a slot: its index in the definition and,
// in the bodies of maps, the indices of the items, the outermost first, with
// dots between.
func (s *State) Key(slot int) grapnel.NodeKey {
	if slot < len(s.def.Nodes) {
		return grapnel.NodeKey(strconv.Itoa(slot))
	}
	return grapnel.NodeKey(s.AppendKey(nil, slot))
}

// AppendKey appends what [State.Key] returns.
func (s *State) AppendKey(buf []byte, slot int) []byte {
	p := s.spotOf(slot)
	buf = strconv.AppendInt(buf, int64(slot-s.shift(p)), 10)
	return s.appendItems(buf, p)
}

func (s *State) appendItems(buf []byte, p spot) []byte {
	if p.block == 0 {
		return buf
	}
	buf = s.appendItems(buf, s.around(p))
	return strconv.AppendInt(append(buf, '.'), int64(p.item), 10)
}

// Slot is the inverse of [State.Key]: ok is false for a key that no node of the
// run has, or does not have yet.
func (s *State) Slot(key grapnel.NodeKey) (slot int, ok bool) {
	node, items, ok := ParseKey(key)
	if !ok || node >= len(s.def.Nodes) {
		return 0, false
	}
	p, ok := s.findSpot(node, items)
	if !ok {
		return 0, false
	}
	return node + s.shift(p), true
}

// findSpot returns the spot of a node that is inside of these items.
func (s *State) findSpot(node int, items []int) (spot, bool) {
	h := int(s.def.scopes.inMap[node])
	if h < 0 || len(items) == 0 {
		return spot{}, h < 0 && len(items) == 0
	}
	last := len(items) - 1
	p, ok := s.findSpot(h, items[:last])
	if !ok {
		return spot{}, false
	}
	choice := s.Nodes[h+s.shift(p)].Choice
	if choice == 0 || items[last] >= int(s.blocks[choice-1].items) {
		return spot{}, false
	}
	return spot{choice, items[last]}, true
}

// ParseKey takes a key apart: the index of the node in the definition, and the
// indices of items behind it. Ok is false for what is no key.
func ParseKey(key grapnel.NodeKey) (node int, items []int, ok bool) {
	text, rest, more := strings.Cut(string(key), ".")
	node, ok = parseIndex(text)
	for ok && more {
		var item int
		text, rest, more = strings.Cut(rest, ".")
		item, ok = parseIndex(text)
		items = append(items, item)
	}
	return node, items, ok
}

// parseIndex accepts what is written as an index, and in no other way.
func parseIndex(s string) (int, bool) {
	i, err := strconv.Atoi(s)
	return i, err == nil && i >= 0 && i <= MaxSlots && strconv.Itoa(i) == s
}

// Name returns the name of the node at a slot, for people: that of the
// definition with the indices of items behind their maps, such as
// "each[3].resize"; or "each[3]" if that node is all there is in the body.
func (s *State) Name(slot int) string { return s.nameIn(s.spotOf(slot), s.NodeOf(slot)) }

func (s *State) nameIn(p spot, node int) string {
	name := s.def.Nodes[node].Name
	if p.block == 0 {
		return name
	}
	b := &s.blocks[p.block-1]
	item := fmt.Sprintf("%s[%d]", s.nameIn(s.around(p), int(b.node)), p.item)
	if b.size == 1 {
		return item
	}
	return item + "." + strings.TrimPrefix(name, s.def.Nodes[b.node].Name+".")
}

// Slots returns the slots of all nodes of the run as one reads them: each map's
// instances follow it, item by item.
func (s *State) Slots() iter.Seq[int] {
	return func(yield func(int) bool) { s.yieldSlots(yield, spot{}, 0, len(s.def.Nodes)) }
}

func (s *State) yieldSlots(yield func(int) bool, p spot, from, to int) bool {
	shift := s.shift(p)
	for node := from; node < to; node++ {
		slot := node + shift
		if !yield(slot) {
			return false
		}
		if s.def.Nodes[node].Kind != KindMap {
			continue
		}
		inside, choice := node+1, s.Nodes[slot].Choice
		node = int(s.def.scopes.end[node]) - 1
		if choice == 0 {
			continue
		}
		for item := range int(s.blocks[choice-1].items) {
			if !s.yieldSlots(yield, spot{choice, item}, inside, node+1) {
				return false
			}
		}
	}
	return true
}

// Describe is [Failure.Error] with the node's name as [State.Name] has it.
func (s *State) Describe(f *Failure) string {
	if f == nil || f.Node < 0 || f.Node >= len(s.Nodes) {
		return f.Error()
	}
	return f.describe(s.Node(f.Node), s.Name(f.Node))
}
