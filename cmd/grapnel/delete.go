package main

import (
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/client"
)

func newDelete(a *app) *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "delete RUN",
		Short: "Delete a run that has ended, with its outputs",
		Long: `Delete a run that has ended, with its outputs. Its id can be used again then. A
run that has not ended has to be cancelled first.`,
		Example: `  grapnel delete order-17
  grapnel cancel order-17 && grapnel wait order-17; grapnel delete order-17`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withClient(cmd.Context(), func(c *client.Client) error {
				if err := c.Delete(cmd.Context(), runArg(args)); err != nil {
					return err
				}
				return a.done(runArg(args), "deleted")
			})
		},
	})
}
