// Command coordinator runs a coordinator: it finds nodes that are available,
// offers them to workers, counts losses, fires time-outs, takes in cancels, and
// archives what has ended. Several may run: each looks after a part of the runs,
// and takes over the part of one that dies.
package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

func main() {
	os.Exit(cli.Main("coordinator", func(ctx context.Context) error {
		return newCommand().ExecuteContext(ctx)
	}))
}

func newCommand() *cobra.Command {
	var (
		conn cli.Connection
		co   cli.Coordinator
	)
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "Run a Grapnel coordinator until interrupted",
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := conn.Prepare(cmd.Flags(), "grapnel", cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return co.Run(cmd.Context(), &conn, log)
		},
	}
	conn.Register(cmd.Flags(), "info")
	co.Register(cmd.Flags())
	return cli.Strict(cmd)
}
