package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
)

// MaxReason is the longest reason of a cancel, in bytes.
const MaxReason = 1 << 10

// Cancel asks the run to stop; reason is for people. When it returns nil the
// request is stored and will be honoured: no attempt starts once the owner of
// the run's shard has taken it in. It does not wait for the run to end: see
// [Client.WaitEnded]. Cancelling a run that is being cancelled is no error.
//
// Errors: an [EndedError] if the run has ended; errors that wrap
// [grapnel.ErrNotFound], [grapnel.ErrRunGone] if it was deleted meanwhile,
// [grapnel.ErrUnknown] if ctx ended first, or are those of the store.
func (c *Client) Cancel(ctx context.Context, id grapnel.RunID, reason string) error {
	if len(reason) > MaxReason {
		return fmt.Errorf("cancel run %q: %w: the reason has %d bytes, at most %d are allowed", id, grapnel.ErrTooLarge, len(reason), MaxReason)
	}
	h, err := c.runs.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	switch {
	case h.State.Status.Ended():
		return fmt.Errorf("cancel: %w", &EndedError{Run: id, Status: h.State.Status})
	case h.State.Status == grapnel.RunCancelling:
		return nil
	}
	err = c.runs.Send(ctx, h, snapshot.RunEvent{ID: grapnel.NewOperationID(), Kind: snapshot.EventCancel, Reason: reason})
	if !errors.Is(err, grapnel.ErrRunEnded) {
		return err
	}
	if now, loadErr := c.runs.Load(ctx, id); loadErr == nil && now.Instance == h.Instance && now.State.Status.Ended() {
		return fmt.Errorf("cancel: %w", &EndedError{Run: id, Status: now.State.Status})
	}
	return err
}

// Retry begins a new generation of a run that ended otherwise than completed:
// what completed stays, the rest is tried again. It is harmless to repeat.
// Errors wrap [grapnel.ErrNotFound], [grapnel.ErrConflict] if the run has not
// ended or has completed, [grapnel.ErrRunGone] if it was deleted meanwhile, or
// are those of the store.
func (c *Client) Retry(ctx context.Context, id grapnel.RunID) error {
	h, err := c.runs.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	switch s := h.State.Status; {
	case s == grapnel.RunCompleted:
		return fmt.Errorf("retry: %w", &statusError{id, s, "there is nothing left to retry"})
	case !s.Ended():
		return fmt.Errorf("retry: %w", &statusError{id, s, "wait for its end first"})
	}
	_, err = c.runs.Retry(ctx, h, c.moment())
	return err
}

// Delete deletes a run that has ended, with its outputs and its history. A start
// that is still being sent again recognises that its run was deleted. Errors
// wrap [grapnel.ErrNotFound], [grapnel.ErrConflict] if the run has not ended or
// was retried meanwhile, or are those of the store.
func (c *Client) Delete(ctx context.Context, id grapnel.RunID) error {
	h, err := c.runs.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if !h.State.Status.Ended() {
		return fmt.Errorf("delete: %w", &statusError{id, h.State.Status, "cancel it and wait for its end first"})
	}
	return c.runs.Delete(ctx, h)
}
