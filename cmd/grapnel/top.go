package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/live"
	"github.com/grapnel-dev/grapnel/internal/tui"
)

const (
	// topWidth is how wide a reading is that goes to no terminal.
	topWidth = 120
	// topRest is how many times as long as a reading took nothing is read, so
	// that looking at a large namespace doesn't become a load of its own.
	topRest = 4
)

func newTop(a *app) *cobra.Command {
	var interval, window time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show queues, workers, running tasks and rates, live",
		Long: `Show queues, workers, running tasks and rates, live, until q, Esc or Ctrl-C. If
the output is no terminal, or with -o json, one reading is printed.

A reading looks at all runs of the namespace; where that takes long, there is
one less often than --interval says. Rates are counted over --window from what
the runs remember: of a node, its last attempt.`,
		Example: `  grapnel top
  grapnel top --namespace team-a --interval 5s
  grapnel top -o json | jq '.queues[] | select(.waiting > 100)'`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "how often to look")
	cmd.Flags().DurationVar(&window, "window", client.DefaultWindow, "over which time rates are counted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if interval <= 0 || window <= 0 {
			return usagef(cmd, "--interval %v or --window %v is not positive", interval, window)
		}
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			if a.format == formatTable && live.Possible(a.out) {
				return a.topLive(cmd.Context(), c, interval, window)
			}
			o, err := c.Overview(cmd.Context(), window)
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return writeJSON(a.out, o)
			}
			return a.topOnce(o)
		})
	}
	return a.formatted(cmd)
}

// topOnce prints a reading in full.
func (a *app) topOnce(o *client.Overview) error {
	height := 100 + 4*(len(o.Queues)+len(o.Workers)+len(o.Running)) // room for all of it
	for _, line := range viewTop(o, a.conn.Namespace, o.Time).Lines(tui.Theme{}, topWidth, height) {
		if _, err := fmt.Fprintln(a.out, line); err != nil {
			return err
		}
	}
	return nil
}

// topReading is the latest reading, and why there is no later one.
type topReading struct {
	overview *client.Overview
	trouble  error
}

// topLive shows readings until the user has seen enough.
func (a *app) topLive(ctx context.Context, c *client.Client, interval, window time.Duration) error {
	t := theme()
	err := showLive(ctx, a, live.Config[topReading]{
		Full: true,
		Draw: func(r topReading, now time.Time, width, height int) []string {
			v := viewTop(r.overview, a.conn.Namespace, now)
			if r.trouble != nil {
				v.Trouble = fmt.Sprintf("as of %s: %v", r.overview.Time.Local().Format(time.TimeOnly), r.trouble)
			}
			v.Hint = "q quits"
			return v.Lines(t, width, height)
		},
	}, func(ctx context.Context, show func(topReading)) error {
		var r topReading
		for {
			begun, rest := time.Now(), interval
			o, err := c.Overview(ctx, window)
			switch {
			case err == nil:
				r, rest = topReading{overview: o}, max(interval, topRest*time.Since(begun))
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case r.overview == nil:
				return err
			default:
				r.trouble = err
			}
			show(r)
			select {
			case <-time.After(rest):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
	stopped := errors.Is(err, live.ErrQuit) || ctx.Err() != nil
	if !stopped {
		return err
	}
	return nil // as asked for
}

// viewTop is what there is to see of a reading at a moment.
func viewTop(o *client.Overview, namespace string, now time.Time) *tui.Top {
	v := &tui.Top{
		Namespace: namespace, Clock: o.Time.Local().Format(time.TimeOnly),
		Started: o.Rates.Started, Finished: o.Rates.Finished, Failed: o.Rates.Failed,
	}
	for _, n := range o.Runs {
		v.Runs += n
	}
	for _, q := range o.Queues {
		v.Queues = append(v.Queues, tui.Queue{
			Name: q.Queue, Waiting: q.Waiting, Delayed: q.Delayed, Running: q.Running, Workers: q.Workers, Slots: q.Slots,
			Oldest: elapsed(q.Oldest, time.Time{}, now),
		})
	}
	for _, w := range o.Workers {
		v.Workers = append(v.Workers, tui.Worker{
			ID: string(w.ID), Host: w.Host, Queues: w.Queues, Running: w.Running, Slots: w.Slots, Draining: w.Draining,
		})
	}
	for _, n := range o.Running {
		v.Tasks = append(v.Tasks, tui.Task{
			Run: string(n.Run), Node: n.Node, Task: n.Task, Worker: string(n.Worker), Attempt: n.Attempt,
			Elapsed: elapsed(n.Started, time.Time{}, now),
		})
	}
	return v
}
