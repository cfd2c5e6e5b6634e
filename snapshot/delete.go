package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

const (
	// TombstoneLife is for how long after a run's deletion its start is still
	// recognised.
	TombstoneLife = 10 * time.Minute
	// ResendLife is for how long a start may be sent again: half a tombstone's
	// life. Later, it might create a second run.
	ResendLife = TombstoneLife / 2

	tombstoneShare = time.Minute // for how long deletions share a lease
)

// Delete deletes a run, with all that is stored of it, on condition that its
// head is still as in h and that guards hold, and leaves a tombstone for
// [TombstoneLife]. Errors wrap [grapnel.ErrConflict] if the head has changed or
// a guard does not hold, [grapnel.ErrUnknown], or are those of the store. A run
// that is gone is no error.
func (r *Runs) Delete(ctx context.Context, h *Head, guards ...store.Guard) error {
	value, err := deterministic.Marshal(&pb.Tombstone{StartOperation: string(h.StartOperation), Instance: int64(h.Instance)})
	if err != nil {
		return fmt.Errorf("delete run %q: %w", h.Run, err)
	}
	key := r.keys.Head(h.Run)
	for {
		lease, err := r.tombstoneLease(ctx)
		if err != nil {
			return fmt.Errorf("delete run %q: %w", h.Run, err)
		}
		t := store.Txn{
			If:   append([]store.Guard{store.ModIs(key, h.Mod)}, guards...),
			Then: []store.Op{store.DeletePrefix(r.keys.Run(h.Run)), store.DeletePrefix(r.keys.Records(h.Run))},
			Else: []store.Op{store.Get(key)},
		}
		if !mutation.On(mutation.DeleteWithoutTombstone) {
			t.Then = append(t.Then, store.Put(r.keys.Ended(h.Run, h.StartOperation), value, lease))
		}
		res, err := store.Settle(ctx, r.st, t)
		switch {
		case errors.Is(err, store.ErrLeaseNotFound):
			r.dropTombstoneLease(lease)
		case err != nil:
			return fmt.Errorf("delete run %q: %w", h.Run, err)
		case res.Succeeded, !res.Reads[0].Found, res.Reads[0].KV.Create != h.Instance:
			return nil
		default:
			return fmt.Errorf("delete run %q: %w", h.Run, grapnel.ErrConflict)
		}
	}
}

// tombstoneLease returns a lease that lasts at least [TombstoneLife] from now.
// Deletions share one for a minute: etcd suffers from many leases.
func (r *Runs) tombstoneLease(ctx context.Context) (store.LeaseID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.tombstones != 0 && now.Before(r.until) {
		return r.tombstones, nil
	}
	l, err := r.st.Grant(ctx, TombstoneLife+tombstoneShare)
	if err != nil {
		return 0, err
	}
	r.tombstones, r.until = l.ID, now.Add(tombstoneShare)
	return l.ID, nil
}

func (r *Runs) dropTombstoneLease(id store.LeaseID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tombstones == id {
		r.tombstones = 0
	}
}
