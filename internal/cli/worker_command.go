package cli

import (
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
)

// NewWorker makes the command of a worker without Go tasks of its own. Prepare
// returns the connection and the logger once the command line is known.
func NewWorker(use string, prepare func(cmd *cobra.Command) (*Connection, hclog.Logger, error)) *cobra.Command {
	var (
		w Worker
		t StandardTasks
	)
	cmd := &cobra.Command{
		Use:   use,
		Short: "Run a worker for commands and HTTP requests, until interrupted",
		Long: `Run a Grapnel worker for the tasks that need no Go, until interrupted: commands,
with --allow-commands, and HTTP requests, to where --allow-http says. Without
either it connects and shows up in "grapnel workers", but executes nothing.
Workers with tasks in Go are programs of yours, built with package worker.

Commands run as the user that the worker runs as. Whoever may start runs can then
do whatever this user may do.

Settings can be given by flags, by environment variables such as
GRAPNEL_WORKER_SLOTS for --slots, or in section worker of a file; see grapnel
config.`,
		Example: `  ` + use + ` --allow-commands
  ` + use + ` --allow-commands --queues media --tags ffmpeg --slots 2
  ` + use + ` --allow-http api.example.com,*.internal.example:8443,10.1.0.0/16
  API_TOKEN=… ` + use + ` --allow-http api.example.com --secret-env API_TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, log, err := prepare(cmd)
			if err != nil {
				return err
			}
			return w.RunStandard(cmd.Context(), conn, log, &t)
		},
	}
	w.Register(cmd.Flags())
	t.Register(cmd.Flags())
	return cmd
}

// NewWorkerBinary makes the command line of a binary that is a worker and nothing
// else.
func NewWorkerBinary() *cobra.Command {
	var conn Connection
	cmd := NewWorker("worker", func(cmd *cobra.Command) (*Connection, hclog.Logger, error) {
		log, err := conn.Prepare(cmd.Flags(), "grapnel", cmd.ErrOrStderr())
		return &conn, log, err
	})
	conn.Register(cmd.Flags(), "info")
	cmd.AddCommand(NewGuard())
	cmd.CompletionOptions.DisableDefaultCmd = true
	return Strict(cmd)
}
