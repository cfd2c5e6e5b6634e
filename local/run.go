package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Work runs a worker in this process until ctx ends, and then drains it. The
// worker serves these workflows, and the queues of their nodes; it has whatever
// tags these ask for. It returns nil once drained, the worker's error, or
// [Cluster.Err] if the cluster stops first.
func (c *Cluster) Work(ctx context.Context, workflows ...workflow.Any) error {
	return c.work(ctx, 0, workflows...)
}

func (c *Cluster) work(ctx context.Context, grace time.Duration, workflows ...workflow.Any) error {
	queues, tags := wants(workflows)
	w, err := worker.New(worker.Config{
		Store: c.st, Namespace: c.cfg.Namespace, Name: "local", Slots: c.cfg.Slots, Grace: grace,
		Queues: queues, Tags: tags, Logger: c.cfg.Logger,
	})
	if err != nil {
		return err
	}
	if c.cfg.Register != nil {
		c.cfg.Register(w)
	}
	w.Serve(workflows...)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(c.Err()) })()
	if err := w.Run(ctx); err != nil {
		return err
	}
	return c.Err()
}

// wants returns the queues that the nodes of workflows are offered on, and the
// tags that they ask for: being the only worker, it has to have them all.
func wants(workflows []workflow.Any) (queues, tags []string) {
	for _, w := range workflows {
		def, err := w.Definition()
		if err != nil {
			continue // the worker reports it
		}
		for i := range def.Nodes {
			queues = append(queues, def.Queue(i))
			tags = append(tags, def.Nodes[i].Policy.Tags...)
		}
	}
	slices.Sort(queues)
	slices.Sort(tags)
	return slices.Compact(queues), slices.Compact(tags)
}

// checkTasks returns an error if a task of w has no implementation and nobody
// could bring one: the run would wait for ever.
func checkTasks(cfg Config, w workflow.Any) error {
	if cfg.Register != nil || cfg.Listen != "" {
		return nil
	}
	for _, t := range w.Tasks() {
		if _, ok := t.Implementation(); !ok {
			return fmt.Errorf("%w: task %s of workflow %s has no implementation; make it with workflow.TaskFunc, or add one in local.Config.Register",
				grapnel.ErrInvalid, t.Name(), w.Name())
		}
	}
	return nil
}

// Run runs w to its end, in a cluster of its own, and returns the output. The
// tasks of w run in this process: those made with [workflow.TaskFunc], and those
// that [Config.Register] adds. Run returns once all that it began has stopped;
// when ctx ends first, so does the run, unless [Config.Dir] keeps it for
// [Cluster.Work] to go on with.
//
// Errors are those of [Open], [client.Start], [client.Run.Wait] and
// [worker.Worker.Run]; [grapnel.ErrInvalid] if a task has no implementation.
func Run[In, Out any](ctx context.Context, cfg Config, w *workflow.Workflow[In, Out], in In, o ...client.StartOption) (out Out, err error) {
	if err := errors.Join(w.Err(), checkTasks(cfg, w)); err != nil {
		return out, err
	}
	c, err := Open(ctx, cfg)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	ctx, cancel := context.WithCancelCause(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel(nil)
	workers.Go(func() {
		// Once Run is done with the worker, nothing that it still executes is
		// wanted.
		if err := c.work(ctx, -1, w); err != nil {
			cancel(fmt.Errorf("worker: %w", err))
		}
	})
	run, err := client.Start(ctx, c.Client(), w, in, o...)
	if err != nil {
		return out, err
	}
	return run.Wait(ctx)
}
