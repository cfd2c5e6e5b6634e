package task

import (
	"context"

	"github.com/grapnel-dev/grapnel/internal/taskctx"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Heartbeat says that the attempt is alive, which a node with a heartbeat
// time-out needs to hear more often than that, and how far it has got: progress,
// which is encoded as JSON and may be nil for none. Call it as often as is
// convenient: progress is written when it has changed and was not written within
// the last second, so what is kept may be a second old when the attempt ends.
//
// It returns nil if the attempt is to go on. If it is not, because the claim was
// lost, the run cancelled, a time-out passed or the worker is stopping, it
// returns the cause of the context's end, and the task should return soon. An
// error that wraps [grapnel.ErrTooLarge] or [grapnel.ErrInvalid] is about
// progress; the heartbeat did not count then. Trouble with the store is not
// returned but shows, if it lasts, as a lost claim.
//
// Outside of a task Heartbeat only checks progress and ctx.
func Heartbeat(ctx context.Context, progress any) error {
	var data []byte
	if progress != nil {
		var err error
		if data, err = workflow.Encode(progress); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a, ok := taskctx.From(ctx)
	if !ok {
		return nil
	}
	return a.Heartbeat(ctx, data)
}
