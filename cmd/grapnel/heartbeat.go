package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
)

func newHeartbeat(*app) *cobra.Command {
	var progress string
	cmd := &cobra.Command{
		Use:   "heartbeat",
		Short: "From inside of a command: say that it is alive",
		Long: `From inside of a command that a Grapnel worker runs: tell the worker that the
command is alive, which a task with a heartbeat time-out needs to hear more often
than that, and how far it has got.

The exit code is 0 if the command is to go on. If it is to stop, the exit code is
3 after a cancel, 4 after a time-out, and 1 if the worker has lost the task or is
shutting down, or if the attempt is over; the worker sends SIGTERM besides. It is
2 outside of a command, or if --progress cannot be used.`,
		Example: `  grapnel heartbeat
  grapnel heartbeat --progress '{"frames": 1200}' || exit`,
		Args: cobra.NoArgs,
		// It talks to the worker, not to etcd: settings of connections are nothing
		// to it.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.Flags().StringVar(&progress, "progress", "", "how far the command has got, as `JSON`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if progress != "" && !json.Valid([]byte(progress)) {
			return fmt.Errorf("heartbeat: %w: --progress is not JSON", grapnel.ErrInvalid)
		}
		if err := cli.Heartbeat(cmd.Context(), []byte(progress)); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		return nil
	}
	return cmd
}
