package main

import (
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/client"
)

func newRetry(a *app) *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "retry RUN",
		Short: "Let a run that failed, was cancelled or timed out go on",
		Long: `Let a run that failed, was cancelled or timed out go on: what completed stays,
the rest is tried again.`,
		Example: `  grapnel retry order-17 && grapnel wait order-17`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withClient(cmd.Context(), func(c *client.Client) error {
				if err := c.Retry(cmd.Context(), runArg(args)); err != nil {
					return err
				}
				return a.done(runArg(args), "goes on")
			})
		},
	})
}
