package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grapnel-dev/grapnel"
)

// Stored gives what is stored of a run. All methods but RunID return JSON, which
// is not modified; no bytes at all count as null.
type Stored interface {
	// RunID returns the run's id.
	RunID() grapnel.RunID
	// Input returns the run's input.
	Input() ([]byte, error)
	// Output returns the output of a completed node, by its slot. It is not asked
	// for those of holders.
	Output(slot int) ([]byte, error)
}

// Values makes the values that nodes of a run see. It remembers what holders
// came to, so it is for one state, which may be advanced meanwhile; it is not
// safe for concurrent use.
type Values struct {
	s      *State
	stored Stored

	holders map[int][]byte            // by slot, what a holder came to
	lists   map[int][]json.RawMessage // by slot, the items of a map
}

// NewValues returns the values of a state that is bound to its definition.
func NewValues(s *State, stored Stored) *Values {
	return &Values{s: s, stored: stored, holders: map[int][]byte{}, lists: map[int][]json.RawMessage{}}
}

// Run returns what the output of the run is made with.
func (v *Values) Run() Resolver { return seen{v, spot{}} }

// At returns what the input of the node at a slot is made with.
func (v *Values) At(slot int) Resolver { return seen{v, v.s.spotOf(slot)} }

// Output returns what a node that has ended came to, by its slot: of a holder,
// what its scope did; null if it was skipped. Errors are those of [Source.Eval].
func (v *Values) Output(slot int) ([]byte, error) {
	n := &v.s.Nodes[slot]
	switch {
	case n.Status == grapnel.NodeSkipped:
		return nil, nil
	case n.Status != grapnel.NodeCompleted:
		return nil, fmt.Errorf("node %s has no output: it is %v", v.s.Name(slot), n.Status)
	case !v.s.Node(slot).Kind.Holds():
		return v.stored.Output(slot)
	}
	if data, ok := v.holders[slot]; ok {
		return data, nil
	}
	data, err := v.result(slot)
	if err != nil {
		return nil, err
	}
	v.holders[slot] = data
	return data, nil
}

// result makes the value of a holder that has completed.
func (v *Values) result(slot int) ([]byte, error) {
	node, choice := v.s.Node(slot), v.s.Nodes[slot].Choice
	if node.Kind == KindSwitch {
		return node.Branches[choice-1].Result.Eval(v.At(slot))
	}
	var list bytes.Buffer
	list.WriteByte('[')
	for item := range int(v.s.blocks[choice-1].items) {
		data, err := node.Branches[0].Result.Eval(seen{v, spot{choice, item}})
		if err != nil {
			return nil, err
		}
		if item > 0 {
			list.WriteByte(',')
		}
		list.Write(data)
		if list.Len() > MaxEvaluated {
			return nil, fmt.Errorf("%w: what the items of %s came to has more than %d bytes as JSON, the limit workflow.MaxEvaluated",
				grapnel.ErrTooLarge, v.s.Name(slot), MaxEvaluated)
		}
	}
	list.WriteByte(']')
	return list.Bytes(), nil
}

// items returns the items of the list that the map at a slot is over.
func (v *Values) items(slot int) ([]json.RawMessage, error) {
	if items, ok := v.lists[slot]; ok {
		return items, nil
	}
	list, err := v.s.Node(slot).Input.Eval(v.At(slot))
	if err != nil {
		return nil, err
	}
	items, err := splitList(list)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", grapnel.ErrInvalid, err)
	}
	v.lists[slot] = items
	return items, nil
}

// splitList takes a list apart; null is an empty one.
func splitList(list []byte) ([]json.RawMessage, error) {
	var items []json.RawMessage
	if len(list) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(list, &items); err != nil {
		return nil, errNoList
	}
	return items, nil
}

// seen is what can be seen from a place.
type seen struct {
	v *Values
	p spot
}

func (r seen) RunID() grapnel.RunID { return r.v.stored.RunID() }

func (r seen) Input() ([]byte, error) { return r.v.stored.Input() }

func (r seen) Output(node int) ([]byte, error) { return r.v.Output(r.v.s.sees(r.p, node)) }

func (r seen) Item(holder int) ([]byte, int, error) {
	s, p := r.v.s, r.p
	for p.block > 0 && int(s.blocks[p.block-1].node) != holder {
		p = s.around(p)
	}
	if p.block == 0 {
		return nil, 0, fmt.Errorf("%w: the item of node %d is read outside of its body", grapnel.ErrInvalid, holder)
	}
	items, err := r.v.items(int(s.blocks[p.block-1].holder))
	if err != nil {
		return nil, 0, err
	}
	if p.item >= len(items) {
		return nil, 0, fmt.Errorf("%w: item %d of %s, which has %d", grapnel.ErrCorrupt, p.item, s.Name(int(s.blocks[p.block-1].holder)), len(items))
	}
	return items[p.item], p.item, nil
}

// Reads calls visit with the slots of the nodes whose stored outputs a value
// depends on that the node at a slot, or the run's output if that is negative,
// makes from source: each one once.
func (s *State) Reads(slot int, source Source, visit func(slot int)) {
	r := reader{s: s, visit: visit}
	p := spot{}
	if slot >= 0 {
		p = s.spotOf(slot)
	}
	r.source(p, source)
}

// ReadsOutput is [State.Reads] for what [Values.Output] returns.
func (s *State) ReadsOutput(slot int, visit func(slot int)) {
	r := reader{s: s, visit: visit}
	r.output(slot)
}

type reader struct {
	s     *State
	visit func(slot int)
	seen  map[int]bool // slots whose outputs were taken in; nil while there are none
	lists map[int]bool // and maps whose lists were
}

// first reports whether a slot is new to a set, and adds it.
func first(set *map[int]bool, slot int) bool {
	if (*set)[slot] {
		return false
	}
	if *set == nil {
		*set = map[int]bool{}
	}
	(*set)[slot] = true
	return true
}

func (r *reader) source(p spot, source Source) {
	switch source.Kind {
	case SourceNode:
		r.output(r.s.sees(p, source.Node))
	case SourceItem:
		for p.block > 0 && int(r.s.blocks[p.block-1].node) != source.Node {
			p = r.s.around(p)
		}
		if p.block > 0 {
			if holder := int(r.s.blocks[p.block-1].holder); first(&r.lists, holder) {
				r.source(r.s.spotOf(holder), r.s.Node(holder).Input)
			}
		}
	}
	for _, of := range source.Of {
		r.source(p, of)
	}
}

func (r *reader) output(slot int) {
	if !first(&r.seen, slot) {
		return
	}
	node, n := r.s.Node(slot), &r.s.Nodes[slot]
	switch {
	case !node.Kind.Holds():
		r.visit(slot)
	case n.Choice == 0:
	case node.Kind == KindSwitch:
		r.source(r.s.spotOf(slot), node.Branches[n.Choice-1].Result)
	default:
		for item := range int(r.s.blocks[n.Choice-1].items) {
			r.source(spot{n.Choice, item}, node.Branches[0].Result)
		}
	}
}
