package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// fewRecords is up to how many records are read one by one; more are listed.
const fewRecords = 4

// Values returns what a source of the head's definition can be evaluated with:
// the run's input and the outputs of the nodes that the source reads, including
// those in records, which it reads from the store. Errors wrap
// [grapnel.ErrRunGone] if a record is missing or is that of a later run of this
// id, which is one that is younger than the head, or are those of the store.
func (r *Runs) Values(ctx context.Context, h *Head, s workflow.Source) (workflow.Resolver, error) {
	set := map[int]bool{}
	s.Nodes(set)
	v := &values{head: h}
	var missing []int
	for i := range set {
		if h.State.Nodes[i].Recorded {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return v, nil
	}
	v.records = make(map[int][]byte, len(missing))
	if len(missing) > fewRecords {
		return v, r.listRecords(ctx, h, set, v.records)
	}
	for _, i := range missing {
		kv, err := r.st.Get(ctx, r.keys.Record(h.Run, NodeKey(i), 0))
		if errors.Is(err, grapnel.ErrNotFound) {
			return nil, fmt.Errorf("output of node %d of run %q: %w", i, h.Run, grapnel.ErrRunGone)
		}
		if err != nil {
			return nil, fmt.Errorf("output of node %d of run %q: %w", i, h.Run, err)
		}
		if kv.Create > h.Mod {
			return nil, fmt.Errorf("output of node %d of run %q: %w", i, h.Run, grapnel.ErrRunGone)
		}
		v.records[i] = kv.Value
	}
	return v, nil
}

// listRecords fills records with the outputs of the nodes in set that have one.
func (r *Runs) listRecords(ctx context.Context, h *Head, set map[int]bool, records map[int][]byte) error {
	byKey := make(map[string]int, len(set))
	for i := range set {
		if h.State.Nodes[i].Recorded {
			byKey[r.keys.Record(h.Run, NodeKey(i), 0)] = i
		}
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

type values struct {
	head    *Head
	records map[int][]byte
}

func (v *values) Input() ([]byte, error) { return v.head.Input, nil }

func (v *values) Output(node int) ([]byte, error) {
	n := &v.head.State.Nodes[node]
	if n.Status != grapnel.NodeCompleted {
		return nil, fmt.Errorf("node %d of run %q has no output: it is %v", node, v.head.Run, n.Status)
	}
	if !n.Recorded {
		return n.Output, nil
	}
	if out, ok := v.records[node]; ok {
		return out, nil
	}
	return nil, fmt.Errorf("%w: output of node %d of run %q is in a record", ErrNotInHead, node, v.head.Run)
}

// ErrNotInHead is returned by [InHead]'s resolver for an output that is in a
// record.
var ErrNotInHead = errors.New("snapshot: output is not in the head")

// InHead returns what a source can be evaluated with without reading from the
// store.
func InHead(h *Head) workflow.Resolver { return &values{head: h} }

// PutOutput returns where an output of node i goes: into the event that
// completes it, or, where the head has no room, into a record.
func (r *Runs) PutOutput(h *Head, i int, output []byte, ev *workflow.NodeCompleted) []store.Op {
	if h.Takes(len(output)) {
		ev.Output = output
		return nil
	}
	ev.Recorded = true
	return []store.Op{store.Put(r.keys.Record(h.Run, NodeKey(i), 0), output, 0)}
}
