package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/live"
	"github.com/grapnel-dev/grapnel/internal/tui"
	"github.com/grapnel-dev/grapnel/workflow"
)

// theme is what the environment allows views to look like.
func theme() tui.Theme { return live.Theme(os.Getenv) }

// showLive shows what work shows on the terminal, while logs wait.
func showLive[M any](ctx context.Context, a *app, cfg live.Config[M], work func(ctx context.Context, show func(M)) error) (err error) {
	release := a.logs.Hold()
	defer func() { err = errors.Join(err, release()) }()
	cfg.In = a.in
	if cfg.Out == nil {
		cfg.Out = a.out
	}
	return live.Show(ctx, cfg, work)
}

// viewRun is what there is to see of a run at a moment.
func viewRun(info *client.RunInfo, now time.Time) *tui.Run {
	v := &tui.Run{
		ID: string(info.ID), Workflow: info.Workflow, Status: info.Status.String(), Ended: info.Status.Ended(),
		Elapsed: elapsed(info.Started, info.Ended, now),
	}
	var lasting, passing []tui.Failure
	for i := range info.Nodes {
		n := &info.Nodes[i]
		count(&v.Counts, n.State)
		if n.State == client.NodeRunning {
			v.Running = append(v.Running, tui.Task{
				Node: n.Name, Task: n.Task, Worker: string(n.Worker), Attempt: n.Attempt,
				Elapsed: elapsed(n.Started, time.Time{}, now), Note: string(n.Progress),
			})
		}
		switch f := failureOf(n); {
		case f == nil || n.State == client.NodeCompleted:
		case f.Final:
			lasting = append(lasting, *f)
		default:
			passing = append(passing, *f)
		}
	}
	v.Failures = append(lasting, passing...)
	return v
}

// failureOf returns what went wrong with a node last, or nil.
func failureOf(n *client.NodeInfo) *tui.Failure {
	switch {
	case n.LastFailure != nil:
		return &tui.Failure{
			Node: n.Name, Attempt: n.LastFailure.Attempt, Cause: causeText(n.LastFailure), Final: n.State == client.NodeFailed,
		}
	case n.Losses > 0:
		return &tui.Failure{Node: n.Name, Attempt: max(1, n.Attempt-1), Worker: lostBy(n), Cause: "lost with its worker"}
	}
	return nil
}

func causeText(f *client.FailureInfo) string {
	switch {
	case f.Message == "":
		return f.Kind
	case f.Kind == workflow.KindCancelled:
		return f.Message // the state says the rest
	}
	return f.Kind + ": " + f.Message
}

// lostBy names the worker that lost a node last.
func lostBy(n *client.NodeInfo) string {
	if len(n.LostBy) == 0 {
		return ""
	}
	return n.LostBy[len(n.LostBy)-1]
}

// count counts a node. What this version doesn't know is under way, in some way.
func count(c *tui.Counts, s client.NodeState) {
	switch s {
	case client.NodeWaiting:
		c.Delayed++
	case client.NodeAvailable:
		c.Waiting++
	case client.NodeRunning:
		c.Running++
	case client.NodeCompleted:
		c.Completed++
	case client.NodeFailed:
		c.Failed++
	case client.NodeCancelled:
		c.Cancelled++
	case "skipped":
		c.Skipped++
	default:
		c.Pending++
	}
}

// elapsed is the time from one moment to another, or until now if that has not
// come; none if nothing has begun.
func elapsed(from, to, now time.Time) time.Duration {
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		return 0
	}
	return max(0, to.Sub(from))
}
