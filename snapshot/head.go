package snapshot

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// inlineBudget is the size in bytes up to which a head takes outputs in. A head
// is rewritten at each commit of its run, so what is in it is paid for again
// and again.
const inlineBudget = 8 << 10

// Head is a run's head, decoded.
type Head struct {
	Run grapnel.RunID
	// Instance is the head's create revision and Mod the revision that wrote
	// it last; both are zero for a head that is not stored yet.
	Instance grapnel.Instance
	Mod      grapnel.Revision

	// Workflow and Version name the workflow; Definition is the topology hash.
	Workflow   string
	Version    string
	Definition string
	// StartOperation is the operation id of the start, for as long as the run
	// exists.
	StartOperation grapnel.OperationID
	// Labels are the starter's, for filters. Not to be modified.
	Labels map[string]string
	// Queue is the workflow's queue.
	Queue string
	// Priority is 1 (first) to 5.
	Priority int
	// Input is the run's input, as JSON.
	Input []byte
	// State is where the run stands in its graph. It is usable once it has been
	// bound to its definition, as those are that [Runs] returns.
	State *workflow.State

	def     *workflow.Definition
	size    int // of the value last read or encoded, plus outputs added since
	unknown []byte
}

// Def returns the definition that the head is bound to, or nil.
func (h *Head) Def() *workflow.Definition { return h.def }

// Node returns the node of the definition that is at slot i.
func (h *Head) Node(i int) *workflow.Node { return &h.def.Nodes[h.State.NodeOf(i)] }

// Bind makes the head's state ready for [workflow.Advance]. Errors wrap
// [grapnel.ErrWrongDefinition] or [grapnel.ErrCorrupt].
func (h *Head) Bind(def *workflow.Definition) error {
	if def.Hash() != h.Definition {
		return fmt.Errorf("%w: run %q has definition %s, not %s", grapnel.ErrWrongDefinition, h.Run, h.Definition, def.Hash())
	}
	if err := h.State.Bind(def); err != nil {
		return fmt.Errorf("run %q: %w", h.Run, err)
	}
	h.def = def
	return nil
}

// Clone returns a copy that can be changed without changing h.
func (h *Head) Clone() *Head {
	c := *h
	c.State = h.State.Clone()
	c.Labels = maps.Clone(h.Labels)
	return &c
}

// Advance applies an event to the head's state.
func (h *Head) Advance(ev workflow.Event) (workflow.Changes, error) {
	c, err := workflow.Advance(h.def, h.State, ev)
	if err != nil {
		return c, fmt.Errorf("run %q: %w", h.Run, err)
	}
	return c, nil
}

// Takes reports whether an output of n bytes goes into the head, rather than
// into a record, and if so counts it as being there.
func (h *Head) Takes(n int) bool {
	if h.size+n > inlineBudget {
		return false
	}
	h.size += n
	return true
}

// Sizes of a head in bytes, up to which the texts of failures are kept whole, and
// up to which their beginnings are. Many nodes of a run may fail, and a head that
// the store does not take could never be written again.
const (
	wholeTexts = 256 << 10
	shortTexts = 1 << 20
	shortText  = 256
)

// TakeFailure cuts the texts of an attempt's failure to what the head has room
// for, and counts them as being there.
func (h *Head) TakeFailure(f *workflow.Failure) {
	const mark = " …"
	switch {
	case h.size+len(f.Message)+len(f.Stack) <= wholeTexts:
	case h.size > shortTexts:
		f.Message, f.Stack = "", ""
	case len(f.Message) > shortText:
		f.Message = strings.ToValidUTF8(f.Message[:shortText-len(mark)], "") + mark
		fallthrough
	default:
		f.Stack = ""
	}
	h.size += len(f.Message) + len(f.Stack)
}

// NodePriority returns the priority, 1 (first) to 5, with which the node at slot
// i is offered.
func (h *Head) NodePriority(i int) int {
	if p := h.Node(i).Policy.Priority; p != 0 {
		return p
	}
	return h.Priority
}

// Summary returns the summary that the head is stored with.
func (h *Head) Summary() Summary {
	return Summary{
		Status:    h.State.Status,
		Ready:     h.State.AnyReady(),
		Finished:  h.State.Finished(),
		Priority:  h.Priority,
		QueueHash: queueHash(h.Queue),
		Deadline:  h.State.Deadline,
	}
}

// MessageKey returns the key of the node that a message names: by its index in
// the definition, or by its key if it is in the body of a map.
func MessageKey(node uint32, key string) grapnel.NodeKey {
	if key != "" {
		return grapnel.NodeKey(key)
	}
	return grapnel.NodeKey(strconv.FormatUint(uint64(node), 10))
}

// KeyForMessage is the inverse of [MessageKey], for the node at a slot.
func (h *Head) KeyForMessage(slot int) (node uint32, key string) {
	if slot < len(h.def.Nodes) {
		return uint32(slot), ""
	}
	return uint32(h.State.NodeOf(slot)), string(h.State.Key(slot))
}

// NodeKey returns the key of a node that is in the body of no map, by its index
// in the definition. For others see [workflow.State.Key].
func NodeKey(index int) grapnel.NodeKey { return grapnel.NodeKey(strconv.Itoa(index)) }

// NodeIndex is the inverse of [NodeKey].
func NodeIndex(key grapnel.NodeKey) (int, bool) {
	node, items, ok := workflow.ParseKey(key)
	return node, ok && len(items) == 0
}
