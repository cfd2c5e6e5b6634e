package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// fewRecords is up to how many records are read one by one; more are listed.
const fewRecords = 4

// Values returns what a source of the head's definition that is outside of all
// scopes, such as that of the run's output, can be evaluated with: the run's
// input and the outputs of the nodes that the source reads, including those in
// records, which it reads from the store. Errors wrap [grapnel.ErrRunGone] if a record is
// missing or is that of a later run of this id, which is one that is younger
// than the head, or are those of the store.
func (r *Runs) Values(ctx context.Context, h *Head, s workflow.Source) (workflow.Resolver, error) {
	var slots []int
	h.State.Reads(-1, s, func(slot int) { slots = append(slots, slot) })
	v, err := r.load(ctx, h, slots)
	if err != nil {
		return nil, err
	}
	return v.Run(), nil
}

// InputValues is [Runs.Values] for the input of the node at a slot.
func (r *Runs) InputValues(ctx context.Context, h *Head, slot int) (workflow.Resolver, error) {
	var slots []int
	h.State.Reads(slot, h.State.Node(slot).Input, func(slot int) { slots = append(slots, slot) })
	v, err := r.load(ctx, h, slots)
	if err != nil {
		return nil, err
	}
	return v.At(slot), nil
}

// Outputs returns the values of nodes that have ended, by slot. Errors are those
// of [Runs.Values].
func (r *Runs) Outputs(ctx context.Context, h *Head, of []int) (*workflow.Values, error) {
	set := map[int]bool{}
	for _, slot := range of {
		h.State.ReadsOutput(slot, func(slot int) { set[slot] = true })
	}
	return r.load(ctx, h, slices.Collect(maps.Keys(set)))
}

// load returns the values of a head for which the outputs of these nodes are
// needed.
func (r *Runs) load(ctx context.Context, h *Head, slots []int) (*workflow.Values, error) {
	v := &stored{head: h}
	values := workflow.NewValues(h.State, v)
	var missing []int
	for _, i := range slots {
		if h.State.Nodes[i].Recorded {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return values, nil
	}
	v.records = make(map[int][]byte, len(missing))
	if len(missing) > fewRecords {
		return values, r.listRecords(ctx, h, missing, v.records)
	}
	for _, i := range missing {
		kv, err := r.st.Get(ctx, r.keys.Record(h.Run, h.State.Key(i), 0))
		if errors.Is(err, grapnel.ErrNotFound) {
			return nil, fmt.Errorf("output of node %s of run %q: %w", h.State.Key(i), h.Run, grapnel.ErrRunGone)
		}
		if err != nil {
			return nil, fmt.Errorf("output of node %s of run %q: %w", h.State.Key(i), h.Run, err)
		}
		if kv.Create > h.Mod {
			return nil, fmt.Errorf("output of node %s of run %q: %w", h.State.Key(i), h.Run, grapnel.ErrRunGone)
		}
		v.records[i] = kv.Value
	}
	return values, nil
}

// listRecords fills records with the outputs of these nodes.
func (r *Runs) listRecords(ctx context.Context, h *Head, slots []int, records map[int][]byte) error {
	byKey := make(map[string]int, len(slots))
	for _, i := range slots {
		byKey[r.keys.Record(h.Run, h.State.Key(i), 0)] = i
	}
	req := store.ListRequest{Prefix: r.keys.Records(h.Run), Limit: 100}
	for {
		page, err := r.st.List(ctx, req)
		if err != nil {
			return fmt.Errorf("outputs of run %q: %w", h.Run, err)
		}
		for _, kv := range page.KVs {
			if i, ok := byKey[kv.Key]; ok && kv.Create <= h.Mod {
				records[i] = kv.Value
			}
		}
		if len(records) == len(byKey) {
			return nil
		}
		if !page.More {
			return fmt.Errorf("outputs of run %q: %w", h.Run, grapnel.ErrRunGone)
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// stored is what is stored of a run: what the head has, and the records that
// were read.
type stored struct {
	head    *Head
	records map[int][]byte
}

func (v *stored) RunID() grapnel.RunID { return v.head.Run }

func (v *stored) Input() ([]byte, error) { return v.head.Input, nil }

func (v *stored) Output(slot int) ([]byte, error) {
	n := &v.head.State.Nodes[slot]
	if !n.Recorded {
		return n.Output, nil
	}
	if out, ok := v.records[slot]; ok {
		return out, nil
	}
	return nil, fmt.Errorf("%w: output of node %s of run %q is in a record", ErrNotInHead, v.head.State.Key(slot), v.head.Run)
}

// ErrNotInHead is the error of what [InHead] returns for an output that is in a
// record.
var ErrNotInHead = errors.New("snapshot: output is not in the head")

// InHead returns the values that can be made without reading from the store. It
// goes on being valid while the head is advanced.
func InHead(h *Head) *workflow.Values { return workflow.NewValues(h.State, &stored{head: h}) }

// PutOutput returns where an output of the node at slot i goes: into the event that
// completes it, or, where the head has no room, into a record.
func (r *Runs) PutOutput(h *Head, i int, output []byte, ev *workflow.NodeCompleted) []store.Op {
	if h.Takes(len(output)) {
		ev.Output = output
		return nil
	}
	ev.Recorded = true
	return []store.Op{store.Put(r.keys.Record(h.Run, h.State.Key(i), 0), output, 0)}
}
