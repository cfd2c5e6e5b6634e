package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

var conflictPolicies = map[string]client.ConflictPolicy{
	"fail": client.Fail, "use": client.UseExisting, "terminate": client.TerminateExisting,
}

func newStart(a *app) *cobra.Command {
	var (
		input, id, onConflict string
		labels                map[string]string
		priority              int
		wait                  bool
	)
	cmd := &cobra.Command{
		Use:   "start WORKFLOW|DEFINITION-HASH",
		Short: "Start a run of a workflow whose definition is stored",
		Long: `Start a run of a workflow whose definition is stored, which a worker that
serves the workflow does, or its first start from Go. Prints the run's id; with
--wait, waits for the end, prints the output and exits as grapnel wait does.`,
		Example: `  grapnel start order --input '{"sku": "a-1"}' --id order-17
  grapnel start order --input @order.json --wait`,
		Args: cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	fs.StringVar(&input, "input", "null", "the input as `JSON`; @FILE reads it from a file, - from standard input")
	fs.StringVar(&id, "id", "", "the run's id, which makes the start idempotent; the default is a fresh one")
	fs.StringVar(&onConflict, "on-conflict", "fail", "what to do if a run of this id exists: fail, use (print the existing one), or terminate (delete it, then start)")
	fs.StringToStringVar(&labels, "label", nil, "a label, `key=value`; may be repeated")
	fs.IntVar(&priority, "priority", 0, "1 (first) to 5; 0 means the workflow's")
	fs.BoolVar(&wait, "wait", false, "wait for the end and print the output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		policy, ok := conflictPolicies[onConflict]
		if !ok {
			return usagef(cmd, "--on-conflict %q is none of fail, use, terminate", onConflict)
		}
		data, err := a.readInput(input)
		if err != nil {
			return err
		}
		if len(data) > grapnel.MaxPayload {
			return usagef(cmd, "%w: --input is longer than %d bytes", grapnel.ErrTooLarge, grapnel.MaxPayload)
		}
		if !json.Valid(data) {
			return usagef(cmd, "--input is not JSON")
		}
		opts := []client.StartOption{client.OnConflict(policy), client.WithLabels(labels), client.WithPriority(priority)}
		if cmd.Flags().Changed("id") {
			if err := grapnel.RunID(id).Validate(); err != nil {
				return usagef(cmd, "--id: %w", err)
			}
			opts = append(opts, client.WithID(grapnel.RunID(id)))
		}
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			return a.start(cmd.Context(), c, args[0], data, wait, opts)
		})
	}
	return a.formatted(cmd)
}

func (a *app) start(ctx context.Context, c *client.Client, name string, input []byte, wait bool, opts []client.StartOption) error {
	def, err := c.FindDefinition(ctx, name)
	if err != nil {
		return err
	}
	run, err := c.StartDefinition(ctx, def, input, opts...)
	if err != nil {
		return err
	}
	if wait {
		return a.wait(ctx, c, run.ID())
	}
	started := struct {
		ID       grapnel.RunID    `json:"id"`
		Instance grapnel.Instance `json:"instance"`
	}{run.ID(), run.Instance()}
	return a.print(started, func(t *table) { t.row(started.ID) })
}

// readInput returns the value of --input, or what it names.
func (a *app) readInput(arg string) ([]byte, error) {
	if arg == "-" {
		data, err := io.ReadAll(io.LimitReader(a.in, grapnel.MaxPayload+1))
		if err != nil {
			return nil, fmt.Errorf("read --input from standard input: %w", err)
		}
		return data, nil
	}
	file, ok := strings.CutPrefix(arg, "@")
	if !ok {
		return []byte(arg), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: --input: %w", grapnel.ErrInvalid, err)
	}
	return data, nil
}
