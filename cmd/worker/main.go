// Command worker runs a worker for the tasks that need no Go: commands, if it is
// told to allow them, and HTTP requests, to where it is told they may go. Tasks
// written in Go live in programs of their users, built with package worker.
package main

import (
	"context"
	"os"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

func main() {
	os.Exit(cli.Main("worker", func(ctx context.Context) error {
		return cli.NewWorkerBinary().ExecuteContext(ctx)
	}))
}
