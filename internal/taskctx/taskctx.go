// Package taskctx hands what a worker knows of an attempt to package task,
// through the context of the task's function.
package taskctx

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
)

// Attempt is what a worker knows of the attempt that it executes. See task.Info
// for what the fields mean.
type Attempt struct {
	Run            grapnel.RunID
	Instance       grapnel.Instance
	Node           grapnel.NodeKey
	NodeName       string
	Workflow       string
	Task           string
	Attempt        int
	Fence          grapnel.Fence
	Worker         grapnel.WorkerID
	Deadline       time.Time
	IdempotencyKey string
	Logger         hclog.Logger

	// Heartbeat says that the attempt is alive, and takes its progress, as
	// JSON. It is safe for concurrent use.
	Heartbeat func(ctx context.Context, progress []byte) error
}

type key struct{}

// With returns a context that carries a, which is not modified any more.
func With(ctx context.Context, a *Attempt) context.Context {
	return context.WithValue(ctx, key{}, a)
}

// From returns what [With] put into the context or one it is derived from.
func From(ctx context.Context) (a *Attempt, ok bool) {
	a, ok = ctx.Value(key{}).(*Attempt)
	return a, ok
}
