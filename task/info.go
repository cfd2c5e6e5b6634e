package task

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/taskctx"
)

// Info says which attempt is being executed.
type Info struct {
	// Run is the run's id, and Instance tells it from other runs that had the
	// same id before.
	Run      grapnel.RunID
	Instance grapnel.Instance
	// Node is the node's key and NodeName its name in the definition.
	Node     grapnel.NodeKey
	NodeName string
	// Workflow and Task name what is being executed.
	Workflow string
	Task     string
	// Attempt counts from 1, failed and lost attempts included; it begins anew
	// when the run is retried after its end.
	Attempt int
	// Fence only grows from one attempt of the node to the next. A system that
	// remembers the largest fence it has seen can refuse an attempt that was
	// overtaken.
	Fence grapnel.Fence
	// Worker is the session of the worker that executes the attempt.
	Worker grapnel.WorkerID
	// Deadline is when the attempt is ended, by the clock of this process; the
	// zero time is never. The context has the same deadline.
	Deadline time.Time
	// IdempotencyKey is the same for all attempts of the node and for no other
	// node or run, ASCII without spaces.
	IdempotencyKey string
	// Logger names run, node and attempt with each line. It is never nil.
	Logger hclog.Logger
}

// InfoFrom returns the Info of the attempt that ctx belongs to. Outside of a
// task all its fields are zero but Logger, which then writes nothing.
func InfoFrom(ctx context.Context) Info {
	a, ok := taskctx.From(ctx)
	if !ok {
		return Info{Logger: hclog.NewNullLogger()}
	}
	info := Info{
		Run: a.Run, Instance: a.Instance, Node: a.Node, NodeName: a.NodeName,
		Workflow: a.Workflow, Task: a.Task, Attempt: a.Attempt, Fence: a.Fence,
		Worker: a.Worker, Deadline: a.Deadline, IdempotencyKey: a.IdempotencyKey, Logger: a.Logger,
	}
	if info.Logger == nil {
		info.Logger = hclog.NewNullLogger()
	}
	return info
}
