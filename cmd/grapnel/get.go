package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/client"
)

func newGet(a *app) *cobra.Command {
	var outputs bool
	cmd := &cobra.Command{
		Use:   "get RUN",
		Short: "Show a run and its nodes",
		Long: `Show a run and its nodes, and why no worker that is alive can run those that are
available, if that is so. The stack of a panic is shown with -o json.`,
		Example: `  grapnel get order-17
  grapnel get order-17 -o json --outputs | jq '.nodes[].output'`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&outputs, "outputs", false, "with -o json, include the outputs of nodes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts := []client.GetOption{client.WithOutput()}
		if outputs {
			opts = append(opts, client.WithNodeOutputs())
		}
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			info, err := c.Get(cmd.Context(), runArg(args), opts...)
			if err != nil {
				return err
			}
			return a.print(info, func(t *table) { runTable(t, info) })
		})
	}
	return a.formatted(cmd)
}

func runTable(t *table, info *client.RunInfo) {
	t.row("run:", info.ID)
	t.row("status:", info.Status)
	t.row("workflow:", strings.TrimSpace(info.Workflow+" "+info.Version))
	t.row("definition:", info.Definition)
	t.row("started:", when(info.Started))
	for _, opt := range []struct{ name, value string }{
		{"ended:", when(info.Ended)},
		{"took:", took(info.Started, info.Ended)},
		{"deadline:", when(info.Deadline)},
		{"labels:", labelText(info.Labels)},
		{"output:", string(info.Output)},
	} {
		if opt.value != "" {
			t.row(opt.name, opt.value)
		}
	}
	if info.Generation > 0 {
		t.row("retried:", times(int(info.Generation)))
	}
	if err := info.Failure(); err != nil {
		t.row("cause:", err)
	}
	t.gap()
	t.row("NODE", "TASK", "STATE", "ATTEMPT", "WORKER", "STARTED", "TOOK", "TROUBLE")
	for i := range info.Nodes {
		n := &info.Nodes[i]
		t.row(n.Name, runs(n), n.State, n.Attempt, n.Worker, when(n.Started), took(n.Started, n.Finished), trouble(n))
	}
}

// runs says what a node runs, or what a switch or map has come to.
func runs(n *client.NodeInfo) string {
	switch {
	case n.Branch != "":
		return "switch: " + n.Branch
	case n.Items != nil:
		return fmt.Sprintf("map: %d items", *n.Items)
	case n.Task == "":
		return n.Kind
	}
	return n.Task
}

func trouble(n *client.NodeInfo) string {
	var parts []string
	if n.Stuck != "" {
		parts = append(parts, n.Stuck)
	}
	if n.Losses > 0 {
		parts = append(parts, "lost "+times(n.Losses))
	}
	if f := n.LastFailure; f != nil {
		parts = append(parts, strings.TrimSuffix(f.Kind+": "+f.Message, ": "))
	}
	return strings.Join(parts, "; ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func labelText(labels map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ",")
}
