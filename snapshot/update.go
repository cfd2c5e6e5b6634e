package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/store"
)

// ErrUnchanged is what an edit returns to say that it has nothing to write,
// because its work is done already or no longer wanted.
var ErrUnchanged = errors.New("snapshot: nothing to change")

// Change is what goes with a head into one commit.
type Change struct {
	// Guards must hold beside "the head is as it was read".
	Guards []store.Guard
	// Ops are applied beside the put of the head.
	Ops []store.Op
	// Reads are gets to do if a guard does not hold; the next call of the edit
	// receives what they found.
	Reads []store.Op
}

// Reads is what a failed attempt found, by key or, for [store.GetFirst], by
// prefix. It is nil in an edit's first call.
type Reads map[string]store.Read

// Edit changes h, which it may modify freely, and returns what goes with it.
// It is called again, with a fresh head, for as long as commits find the head
// changed or a guard not holding; it returns [ErrUnchanged] or another error to
// stop.
type Edit func(h *Head, reads Reads) (Change, error)

// Update applies an edit to h and commits it, as the package comment says. It
// leaves h as it is and returns the head that was written, or, with
// [ErrUnchanged], the head as it was read last.
//
// Unknown outcomes are resolved before Update returns, except when ctx ends
// first: then the error wraps [grapnel.ErrUnknown], and the edit may have been
// committed or may still be. It wraps [grapnel.ErrRunGone] if the run was
// deleted or replaced, be it after the edit was committed. Other errors mean
// that the edit, as last applied, was not committed: the edit's own,
// [grapnel.ErrCorrupt], [grapnel.ErrWrongDefinition], and
// those of [store.Store].
func (r *Runs) Update(ctx context.Context, h *Head, edit Edit) (*Head, error) {
	key := r.keys.Head(h.Run)
	var reads Reads
	for {
		next := h.Clone()
		change, err := edit(next, reads)
		if err != nil {
			return h, err
		}
		value, err := next.Encode()
		if err != nil {
			return h, err
		}
		t := store.Txn{
			If:   change.Guards,
			Then: append([]store.Op{store.Put(key, value, 0)}, change.Ops...),
			Else: append([]store.Op{store.Get(key)}, change.Reads...),
		}
		if !mutation.On(mutation.CommitWithoutHead) {
			t.If = append([]store.Guard{store.ModIs(key, h.Mod)}, t.If...)
		}
		res, err := store.Settle(ctx, r.st, t)
		if err != nil {
			return h, fmt.Errorf("commit run %q: %w", h.Run, err)
		}
		if res.Succeeded {
			next.Mod = res.Revision
			return next, nil
		}
		if !res.Reads[0].Found || res.Reads[0].KV.Create != h.Instance {
			return h, fmt.Errorf("commit run %q: %w", h.Run, grapnel.ErrRunGone)
		}
		now, err := r.decode(ctx, res.Reads[0].KV)
		if err != nil {
			return h, err
		}
		h = now
		reads = make(Reads, len(change.Reads))
		for i, op := range change.Reads {
			reads[op.Key] = res.Reads[i+1]
		}
	}
}
