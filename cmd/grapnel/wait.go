package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

func newWait(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait RUN",
		Short: "Wait until a run has ended, and print its output",
		Long: `Wait until a run has ended, and print its output, or with -o json the whole
run. Exits with 0 if the run completed, 1 if it failed, 3 if it was cancelled and
4 if it timed out.`,
		Example: `  grapnel wait order-17
  grapnel wait order-17 -o json > order-17.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withClient(cmd.Context(), func(c *client.Client) error {
				return a.wait(cmd.Context(), c, runArg(args))
			})
		},
	}
	return a.formatted(cmd)
}

// wait waits for the end of a run and prints it. The error tells how the run
// ended if it has no output.
func (a *app) wait(ctx context.Context, c *client.Client, id grapnel.RunID) error {
	info, err := c.WaitEnded(ctx, id)
	if err != nil {
		return err
	}
	if a.format == formatJSON {
		err = writeJSON(a.out, info)
	} else if info.Status == grapnel.RunCompleted {
		_, err = fmt.Fprintf(a.out, "%s\n", info.Output)
	}
	if err != nil {
		return err
	}
	return info.Failure()
}
