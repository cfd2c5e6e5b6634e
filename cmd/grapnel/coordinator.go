package main

import (
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

// newCoordinator is hidden: the command of its own is called coordinator, too.
func newCoordinator(a *app) *cobra.Command {
	var co cli.Coordinator
	cmd := &cobra.Command{
		Use:    "coordinator",
		Short:  "Run a coordinator",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return co.Run(cmd.Context(), &a.conn, a.log)
		},
	}
	co.Register(cmd.Flags())
	return cmd
}
