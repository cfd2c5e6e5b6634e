package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// ConflictPolicy says what a start does when a run of its id exists.
type ConflictPolicy uint8

const (
	// Fail returns an [ExistsError]. It is the default.
	Fail ConflictPolicy = iota
	// UseExisting returns the run that exists, in whatever state it is, if it is
	// of the same workflow; otherwise the error wraps
	// [grapnel.ErrWrongDefinition]. The existing run keeps its own definition
	// and input.
	UseExisting
	// TerminateExisting deletes the run that exists, in whatever state it is,
	// and starts anew. These are two commits, between which another start may
	// come. The deleted run leaves nothing behind: it is not archived, and its
	// undos don't run.
	TerminateExisting
)

// StartOption is a setting of one start.
type StartOption func(*startSpec)

type startSpec struct {
	id       grapnel.RunID
	policy   ConflictPolicy
	labels   map[string]string
	priority int
}

// WithID sets the run's id, which makes the start idempotent: starts that share
// an id make one run. Without it the run gets a fresh id.
func WithID(id grapnel.RunID) StartOption { return func(s *startSpec) { s.id = id } }

// OnConflict sets what happens when a run of the id exists; the default is
// [Fail].
func OnConflict(p ConflictPolicy) StartOption { return func(s *startSpec) { s.policy = p } }

// WithLabels adds labels, for [Filter]. They are rewritten with every step of
// the run, so they may have 2 KiB in total.
func WithLabels(labels map[string]string) StartOption {
	labels = maps.Clone(labels)
	return func(s *startSpec) {
		if s.labels == nil {
			s.labels = map[string]string{}
		}
		maps.Copy(s.labels, labels)
	}
}

// WithPriority sets the run's priority, 1 (first) to 5; 0 means the workflow's.
func WithPriority(p int) StartOption { return func(s *startSpec) { s.priority = p } }

func newStartSpec(o []StartOption) (*startSpec, error) {
	s := &startSpec{}
	for i, set := range o {
		if set == nil {
			return nil, fmt.Errorf("%w: start option %d is nil", grapnel.ErrInvalid, i+1)
		}
		set(s)
	}
	if s.policy > TerminateExisting {
		return nil, fmt.Errorf("%w: conflict policy %d", grapnel.ErrInvalid, s.policy)
	}
	if s.id == "" {
		s.id = grapnel.NewRunID()
	}
	return s, nil
}

// Start starts a run of w. Once it has returned without an error, the run exists
// and ends when its tasks can.
//
// Errors: those of w ([workflow.Workflow.Err]); an [ExistsError] as the conflict
// policy has it; errors that wrap [grapnel.ErrInvalid] or [grapnel.ErrTooLarge];
// [grapnel.ErrRunGone] if the run was started and has been deleted since;
// [grapnel.ErrUnknown] if ctx ended, or [snapshot.ResendLife] passed, before it
// was known whether the run was started: then start it again, with the same id;
// or those of the store.
func Start[In, Out any](ctx context.Context, c *Client, w *workflow.Workflow[In, Out], in In, o ...StartOption) (*Run[Out], error) {
	def, err := w.Definition()
	if err != nil {
		return nil, fmt.Errorf("start a run: %w", err)
	}
	input, err := workflow.Encode(in)
	if err != nil {
		return nil, fmt.Errorf("start a run of workflow %s: %w", w.Name(), err)
	}
	h, err := c.start(ctx, def, input, o)
	if err != nil {
		return nil, err
	}
	return newRun[Out](c, h), nil
}

// StartDefinition is [Start] for a definition that is data and an input that is
// JSON; no input at all counts as null.
func (c *Client) StartDefinition(ctx context.Context, def *workflow.Definition, input []byte, o ...StartOption) (*Run[json.RawMessage], error) {
	switch {
	case def == nil || def.Hash() == "":
		return nil, fmt.Errorf("start a run: %w: the definition is nil or not sealed", grapnel.ErrInvalid)
	case len(input) == 0:
		input = []byte("null")
	case !json.Valid(input):
		return nil, fmt.Errorf("start a run of workflow %s: %w: the input is not JSON", def.Name, grapnel.ErrInvalid)
	}
	h, err := c.start(ctx, def, input, o)
	if err != nil {
		return nil, err
	}
	return newRun[json.RawMessage](c, h), nil
}

var errResendLife = fmt.Errorf("not known within %v, after which sending it again might start a second run", snapshot.ResendLife)

func (c *Client) start(ctx context.Context, def *workflow.Definition, input []byte, o []StartOption) (*snapshot.Head, error) {
	spec, err := newStartSpec(o)
	if err != nil {
		return nil, fmt.Errorf("start a run of workflow %s: %w", def.Name, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, snapshot.ResendLife, errResendLife)
	defer cancel()
	req := snapshot.CreateRequest{
		Run: spec.id, Definition: def, Input: input,
		Labels: spec.labels, Priority: spec.priority, Now: c.moment(),
	}
	for {
		req.Operation = grapnel.NewOperationID() // one that was refused is over
		h, created, err := c.runs.Create(ctx, req)
		if err != nil {
			return nil, err
		}
		if created {
			c.log.Debug("run started", "run", h.Run, "workflow", h.Workflow)
			return h, nil
		}
		switch spec.policy {
		case UseExisting:
			if h.Workflow != def.Name {
				return nil, fmt.Errorf("start run %q of workflow %s: %w: the run that exists is of workflow %s", h.Run, def.Name, grapnel.ErrWrongDefinition, h.Workflow)
			}
			return h, nil
		case TerminateExisting:
			// A conflict means that the run moved on: look at it again.
			if err := c.runs.Delete(ctx, h); err != nil && !errors.Is(err, grapnel.ErrConflict) {
				return nil, fmt.Errorf("start run %q: %w", h.Run, err)
			}
		default:
			return nil, fmt.Errorf("start a run of workflow %s: %w", def.Name,
				&ExistsError{Run: h.Run, Instance: h.Instance, Workflow: h.Workflow, Status: h.State.Status})
		}
	}
}
