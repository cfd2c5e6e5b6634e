package client

import (
	"context"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Run is a run whose output is of type Out. It is one instance: if the run is
// deleted and its id used again, a Run does not turn into the new one.
type Run[Out any] struct {
	c        *Client
	id       grapnel.RunID
	instance grapnel.Instance
	running  grapnel.Revision // as of it the run had not ended; zero if that is not known
}

func newRun[Out any](c *Client, h *snapshot.Head) *Run[Out] {
	r := &Run[Out]{c: c, id: h.Run, instance: h.Instance}
	if !h.State.Status.Ended() {
		r.running = h.Mod
	}
	return r
}

// Attach returns the run of w that has this id, for waiting. Errors wrap
// [grapnel.ErrNotFound], [grapnel.ErrWrongDefinition] if the run is of another
// workflow, or are those of the store.
func Attach[In, Out any](ctx context.Context, c *Client, w *workflow.Workflow[In, Out], id grapnel.RunID) (*Run[Out], error) {
	h, err := c.runs.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if h.Workflow != w.Name() {
		return nil, fmt.Errorf("run %q: %w: it is of workflow %s, not %s", id, grapnel.ErrWrongDefinition, h.Workflow, w.Name())
	}
	return newRun[Out](c, h), nil
}

// ID returns the run's id.
func (r *Run[Out]) ID() grapnel.RunID { return r.id }

// Instance tells the run from others that have or had its id.
func (r *Run[Out]) Instance() grapnel.Instance { return r.instance }

// Wait waits until the run has ended and returns its output. It goes on while
// the store cannot be reached, until ctx ends, when it returns ctx's cause.
//
// Other errors: a [RunFailedError] if the run ended otherwise than completed;
// [grapnel.ErrRunGone] if it was deleted; [grapnel.ErrInvalid] if the output is
// no Out; [grapnel.ErrCorrupt]. After a retry, call Wait again.
func (r *Run[Out]) Wait(ctx context.Context) (Out, error) {
	var none Out
	h, err := r.c.waitEnded(ctx, r.id, r.instance, r.running)
	if err != nil {
		return none, err
	}
	if h.State.Status != grapnel.RunCompleted {
		return none, runFailed(h)
	}
	var data []byte
	err = r.c.patiently(ctx, "wait for", r.id, func() error {
		data, err = r.c.output(ctx, h)
		return err
	})
	if err != nil {
		return none, err
	}
	out, err := workflow.Decode[Out](data)
	if err != nil {
		return none, fmt.Errorf("output of run %q: %w", r.id, err)
	}
	return out, nil
}

// output makes the output of a completed run.
func (c *Client) output(ctx context.Context, h *snapshot.Head) ([]byte, error) {
	from := h.Def().Output
	values, err := c.runs.Values(ctx, h, from)
	if err != nil {
		return nil, err
	}
	data, err := from.Eval(values)
	if err != nil {
		return nil, fmt.Errorf("output of run %q: %w", h.Run, err)
	}
	return data, nil
}
