package snapshot

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// CreateRequest says what run to create.
type CreateRequest struct {
	Run        grapnel.RunID
	Definition *workflow.Definition
	// Operation names this start across all times it is sent.
	Operation grapnel.OperationID
	Input     []byte // JSON
	Labels    map[string]string
	// Priority is 1 (first) to 5; zero means the workflow's.
	Priority int
	// Now is the time on the starter's clock.
	Now workflow.Moment
}

// Create starts a run. Created is false if a run of this id, started by another
// operation, exists; its head is returned, and this start is over: none of its
// sendings creates a run later, and its operation is not to be used again.
//
// The start may be repeated, by this call or another one with the same
// operation, for as long as the tombstones of deleted runs are kept: it creates
// at most one run and recognises it, whatever has become of it since. If it was
// deleted the error wraps [grapnel.ErrRunGone]. Errors otherwise wrap
// [grapnel.ErrInvalid], [grapnel.ErrTooLarge], [grapnel.ErrUnknown] if ctx ended
// before the outcome was known, or are those of [Runs.Load].
func (r *Runs) Create(ctx context.Context, req CreateRequest) (h *Head, created bool, err error) {
	if err := req.validate(); err != nil {
		return nil, false, err
	}
	if err := r.defs.Ensure(ctx, req.Definition); err != nil {
		return nil, false, err
	}
	h = req.head()
	value, err := h.Encode()
	if err != nil {
		return nil, false, err
	}
	headKey, endedKey := r.keys.Head(req.Run), r.keys.Ended(req.Run, req.Operation)
	t := store.Txn{
		If:   []store.Guard{store.Absent(headKey)},
		Then: []store.Op{store.Put(headKey, value, 0)},
		Else: []store.Op{store.Get(headKey), store.Get(endedKey)},
	}
	if !mutation.On(mutation.StartWithoutTombstone) {
		// The one absence that is safe to ask for again: whatever makes the head
		// absent once this start was applied leaves the tombstone.
		t.If = append(t.If, store.Absent(endedKey))
	}
	late := false // a sending may still be on its way
	var res store.Result
	for {
		var some bool
		if res, some, err = store.SettleLate(ctx, r.st, t); err != nil {
			return nil, false, fmt.Errorf("start run %q: %w", req.Run, err)
		}
		late = late || some
		if res.Succeeded {
			h.Instance, h.Mod = res.Revision, res.Revision
			return h, true, nil
		}
		if res.Reads[1].Found {
			return nil, false, fmt.Errorf("start run %q: it was started and has been deleted since: %w", req.Run, grapnel.ErrRunGone)
		}
		if res.Reads[0].Found {
			break
		}
		// The run that was in the way is gone already.
	}
	existing, err := r.decode(ctx, res.Reads[0].KV)
	if err != nil {
		return nil, false, err
	}
	if existing.StartOperation == req.Operation && !mutation.On(mutation.StartWithoutOperation) {
		return existing, true, nil
	}
	if late {
		if err := r.entomb(ctx, req.Run, req.Operation); err != nil {
			return nil, false, fmt.Errorf("start run %q: %w: %w", req.Run, grapnel.ErrUnknown, err)
		}
	}
	return existing, false, nil
}

// entomb makes sure that a start that was refused, and of which a sending may
// still be on its way, cannot create a run once the one that exists is deleted.
func (r *Runs) entomb(ctx context.Context, run grapnel.RunID, op grapnel.OperationID) error {
	lease, err := r.tombstoneLease(ctx)
	if err != nil {
		return err
	}
	value, err := deterministic.Marshal(&pb.Tombstone{StartOperation: string(op)})
	if err != nil {
		return err
	}
	_, err = store.Settle(ctx, r.st, store.Txn{Then: []store.Op{store.Put(r.keys.Ended(run, op), value, lease)}})
	return err
}

func (req *CreateRequest) validate() error {
	if err := req.Run.Validate(); err != nil {
		return err
	}
	if req.Definition == nil || req.Definition.Hash() == "" {
		return fmt.Errorf("%w: run %q without a sealed definition", grapnel.ErrInvalid, req.Run)
	}
	if req.Operation == "" {
		return fmt.Errorf("%w: start of run %q without an operation id", grapnel.ErrInvalid, req.Run)
	}
	if req.Priority < 0 || req.Priority > 5 {
		return fmt.Errorf("%w: priority %d of run %q; it is 1 (first) to 5, or 0 for the workflow's", grapnel.ErrInvalid, req.Priority, req.Run)
	}
	size := 0
	for k, v := range req.Labels {
		if err := grapnel.ValidateName("label", k); err != nil {
			return err
		}
		if !utf8.ValidString(v) {
			return fmt.Errorf("%w: label %s of run %q is not UTF-8", grapnel.ErrInvalid, k, req.Run)
		}
		size += len(k) + len(v)
	}
	if size > maxLabels {
		return fmt.Errorf("%w: labels of run %q have %d bytes, at most %d are allowed", grapnel.ErrTooLarge, req.Run, size, maxLabels)
	}
	if len(req.Input) > grapnel.MaxPayload {
		return fmt.Errorf("%w: input of run %q has %d bytes, at most %d are allowed", grapnel.ErrTooLarge, req.Run, len(req.Input), grapnel.MaxPayload)
	}
	return nil
}

// maxLabels is how many bytes the labels of a run may have together; they are
// rewritten with every step.
const maxLabels = 2 << 10

func (req *CreateRequest) head() *Head {
	def := req.Definition
	h := &Head{
		Run: req.Run, Workflow: def.Name, Version: def.Version, Definition: def.Hash(),
		StartOperation: req.Operation, Labels: req.Labels, Input: req.Input,
		Queue: def.Policy.Queue, Priority: req.Priority, State: workflow.NewState(def, req.Now), def: def,
	}
	if h.Queue == "" {
		h.Queue = workflow.DefaultQueue
	}
	if h.Priority == 0 {
		h.Priority = def.Policy.Priority
	}
	if h.Priority == 0 {
		h.Priority = workflow.DefaultPriority
	}
	return h
}
