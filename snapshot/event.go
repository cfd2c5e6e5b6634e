package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// EventCancel is the kind of event that asks a run to stop.
const EventCancel = "cancel"

// RunEvent is a message to a run: it waits in the run's mailbox until the owner
// of its shard folds it into the head.
type RunEvent struct {
	// ID is the sender's; an event is folded once however often it is sent.
	ID grapnel.OperationID
	// Kind says what it is.
	Kind string
	// Reason is for people.
	Reason string
	// Instance is the run's that it is meant for.
	Instance grapnel.Instance
}

// Send puts an event into the mailbox of the run that h was read from. When it
// returns nil the event is folded before the run ends. Sending the same event
// again is harmless: the answer stays the same, be it that the run has ended and
// is retried. Errors wrap [grapnel.ErrRunEnded] if the run has ended,
// [grapnel.ErrRunGone] if it was deleted, [grapnel.ErrUnknown] if ctx ended
// first, or are those of the store.
func (r *Runs) Send(ctx context.Context, h *Head, ev RunEvent) error {
	value, err := deterministic.Marshal(&pb.RunEvent{Kind: ev.Kind, Reason: strings.ToValidUTF8(ev.Reason, "\uFFFD"), Instance: int64(h.Instance)})
	if err != nil {
		return fmt.Errorf("send %s to run %q: %w", ev.Kind, h.Run, err)
	}
	key, folded, head := r.keys.Event(h.Run, ev.ID), r.keys.Folded(h.Run, ev.ID), r.keys.Head(h.Run)
	t := store.Txn{
		If:   []store.Guard{store.Absent(key), store.Absent(folded), store.CreateIs(head, h.Instance)},
		Then: []store.Op{store.Put(key, value, 0), store.Get(head), store.Get(folded)},
		Else: []store.Op{store.Get(key), store.Get(head), store.Get(folded)},
	}
	for {
		res, err := store.Settle(ctx, r.st, t)
		if err != nil {
			return fmt.Errorf("send %s to run %q: %w", ev.Kind, h.Run, err)
		}
		now := res.Reads[1]
		switch {
		case res.Reads[2].Found && isRefused(res.Reads[2].KV):
			return fmt.Errorf("send %s to run %q: %w", ev.Kind, h.Run, grapnel.ErrRunEnded)
		case res.Reads[2].Found:
			return nil
		case !now.Found || now.KV.Create != h.Instance:
			return fmt.Errorf("send %s to run %q: %w", ev.Kind, h.Run, grapnel.ErrRunGone)
		case !res.Succeeded && !res.Reads[0].Found:
			continue // an earlier sending had arrived, and a retry has emptied the mailbox since
		}
		s, err := DecodeSummary(now.KV.Value)
		if err != nil {
			return fmt.Errorf("send %s to run %q: %w", ev.Kind, h.Run, err)
		}
		if !s.Status.Ended() {
			return nil
		}
		if err := r.withdraw(ctx, h.Run, ev.ID, now.KV.Mod); err != nil {
			return fmt.Errorf("send %s to run %q: %w", ev.Kind, h.Run, err)
		}
	}
}

// withdraw takes back an event that came behind the end of its run, whose head
// was read at revision mod, unless the run has been retried since. The commit
// that ended the run found its mailbox empty, so nobody will fold the event, but
// a retry would begin with an earlier sending that is still on its way: hence
// the marker, which says that the event was refused.
func (r *Runs) withdraw(ctx context.Context, run grapnel.RunID, id grapnel.OperationID, mod grapnel.Revision) error {
	folded := r.keys.Folded(run, id)
	_, err := store.Settle(ctx, r.st, store.Txn{
		If:   []store.Guard{store.ModIs(r.keys.Head(run), mod), store.Absent(folded)},
		Then: []store.Op{store.Delete(r.keys.Event(run, id)), store.Put(folded, []byte(refusedMarker), 0)},
	})
	return err
}

// refusedMarker is the value of the marker of an event that was refused; that
// of a folded one is empty.
const refusedMarker = "refused"

func isRefused(marker store.KV) bool { return len(marker.Value) > 0 }

// Retry begins a new generation of a run that has ended otherwise than
// completed: what completed stays, the rest is tried again. Now is the time on
// the shard's clock as far as the caller knows it. Errors wrap
// [grapnel.ErrConflict] if the run is in no state to be retried, or are those
// of [Runs.Update].
func (r *Runs) Retry(ctx context.Context, h *Head, now workflow.Moment) (*Head, error) {
	generation := h.State.Generation
	next, err := r.Update(ctx, h, func(h *Head, _ Reads) (Change, error) {
		switch {
		case h.State.Generation > generation:
			return Change{}, ErrUnchanged // an earlier sending of this arrived, or somebody else's
		case !h.State.Status.Ended(), h.State.Status == grapnel.RunCompleted:
			return Change{}, fmt.Errorf("retry run %q: it is %v: %w", h.Run, h.State.Status, grapnel.ErrConflict)
		}
		ev := workflow.RunRetried{Now: max(now, h.State.Clock)}
		if d := h.Def().Policy.Timeout; d > 0 {
			ev.Deadline = ev.Now.Add(d)
		}
		if _, err := h.Advance(ev); err != nil {
			return Change{}, err
		}
		// Events that came behind the end were refused, or will be: their senders
		// find the new generation and send them again.
		return Change{Ops: []store.Op{store.DeletePrefix(r.keys.Events(h.Run))}}, nil
	})
	if errors.Is(err, ErrUnchanged) {
		return next, nil
	}
	return next, err
}

// DecodeEvent decodes the event in kv. The error wraps [grapnel.ErrCorrupt].
func DecodeEvent(kv store.KV, id grapnel.OperationID) (RunEvent, error) {
	m := &pb.RunEvent{}
	if err := proto.Unmarshal(kv.Value, m); err != nil {
		return RunEvent{}, fmt.Errorf("%w: key %q: %w", grapnel.ErrCorrupt, kv.Key, err)
	}
	return RunEvent{ID: id, Kind: m.Kind, Reason: m.Reason, Instance: grapnel.Instance(m.Instance)}, nil
}

// Fold returns what moves an event, read at revision mod, from the mailbox to
// its marker.
func (r *Runs) Fold(h *Head, id grapnel.OperationID, mod grapnel.Revision) Change {
	event, folded := r.keys.Event(h.Run, id), r.keys.Folded(h.Run, id)
	c := Change{
		Guards: []store.Guard{store.ModIs(event, mod)},
		Ops:    []store.Op{store.Delete(event)},
		Reads:  []store.Op{store.Get(event)},
	}
	if !mutation.On(mutation.FoldWithoutMarker) {
		c.Ops = append(c.Ops, store.Put(folded, nil, 0))
	}
	return c
}

// End returns what goes with the commit that ends a run: no event may be
// waiting, and the run's claims go.
func (r *Runs) End(h *Head) Change {
	var c Change
	if !mutation.On(mutation.EndOverEvents) {
		events := r.keys.Events(h.Run)
		c.Guards = []store.Guard{store.PrefixEmpty(events)}
		c.Reads = []store.Op{store.GetFirst(events)}
	}
	if !mutation.On(mutation.EndKeepsClaims) {
		c.Ops = []store.Op{store.DeletePrefix(r.keys.Claims(h.Run))}
	}
	return c
}

// EventsWaiting reports whether an attempt to end the run found an event
// waiting.
func (r *Runs) EventsWaiting(h *Head, reads Reads) bool { return reads[r.keys.Events(h.Run)].Found }

// Add adds what o consists of to c.
func (c *Change) Add(o Change) {
	c.Guards = append(c.Guards, o.Guards...)
	c.Ops = append(c.Ops, o.Ops...)
	c.Reads = append(c.Reads, o.Reads...)
}
