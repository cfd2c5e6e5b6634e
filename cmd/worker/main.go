// Command worker runs a worker without Go tasks of its own. It serves queues and
// shows up among the workers, and says that there is nothing it can execute:
// tasks written in Go live in programs of their users, built with package
// worker.
package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

func main() {
	os.Exit(cli.Main("worker", func(ctx context.Context) error {
		return newCommand().ExecuteContext(ctx)
	}))
}

func newCommand() *cobra.Command {
	var (
		conn cli.Connection
		w    cli.Worker
	)
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run a Grapnel worker that has no tasks, until interrupted",
		Long: `Run a Grapnel worker until interrupted. It has no tasks: it connects and shows
up in "grapnel workers", but no node is ever offered to it. Workers that execute
something are Go programs of yours, built with package worker.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := conn.Prepare(cmd.Flags(), "grapnel", cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			log.Warn("this worker has no tasks and will execute nothing; build one of your own with package worker")
			return w.Run(cmd.Context(), &conn, log, nil)
		},
	}
	conn.Register(cmd.Flags(), "info")
	w.Register(cmd.Flags())
	return cli.Strict(cmd)
}
