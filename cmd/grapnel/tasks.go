package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/httptask"
)

func newTasks(a *app) *cobra.Command {
	var (
		available bool
		worker    string
		limit     int
	)
	cmd := &cobra.Command{
		Use:   "tasks --available",
		Short: "Show what waits for a worker, and why it waits",
		Long: `Show the nodes that wait for a worker, those of the best priority first and of
those the ones that have waited longest, and why no worker that is alive can run
them, if that is so. It reads all runs of the namespace.`,
		Example: `  grapnel tasks --available
  grapnel tasks --available --limit 1000 -o json | jq '.[] | select(.stuck)'`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.BoolVar(&available, "available", false, "show what is available")
	fs.StringVar(&worker, "worker", "", "only what the worker of this `id` can run")
	fs.IntVar(&limit, "limit", 100, "at most so many nodes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case !available:
			return usagef(cmd, "say what to show: --available")
		case limit < 1:
			return usagef(cmd, "--limit %d is less than 1", limit)
		}
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			nodes, err := availableNodes(cmd.Context(), c, grapnel.WorkerID(worker), limit)
			if err != nil {
				return err
			}
			for i := range nodes {
				nodes[i].Stuck += wayOut(&nodes[i])
			}
			return a.print(nodes, func(t *table) {
				t.row("RUN", "NODE", "TASK", "QUEUE", "PRIORITY", "ATTEMPT", "SINCE", "STUCK BECAUSE")
				for _, n := range nodes {
					t.row(n.Run, n.Node, n.Task, n.Queue, n.Priority, n.Attempt, when(n.Since), n.Stuck)
				}
			})
		})
	}
	return a.formatted(cmd)
}

func availableNodes(ctx context.Context, c *client.Client, worker grapnel.WorkerID, limit int) ([]client.AvailableNode, error) {
	if worker != "" {
		return c.AvailableFor(ctx, worker, limit)
	}
	return c.Available(ctx, limit)
}

// wayOut says how to get a worker for a task that needs no Go, if there is none.
func wayOut(n *client.AvailableNode) string {
	if !strings.Contains(n.Stuck, "does not have task "+n.Task) {
		return ""
	}
	switch n.Task {
	case commandtask.TaskName:
		return "; start one with: worker --allow-commands"
	case httptask.TaskName:
		return "; start one with: worker --allow-http HOST"
	}
	return ""
}
