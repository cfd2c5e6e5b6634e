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
		Long: `Run a Grapnel coordinator until interrupted. It offers nodes to workers, counts
losses, fires time-outs and archives what has ended. Several may run: each looks
after a part of the runs, and takes over the part of one that dies.

Settings can be given by flags, by environment variables such as
GRAPNEL_COORDINATOR_TTL for --ttl, or in section coordinator of a file; see
grapnel config.`,
		Example: `  coordinator --endpoints etcd-1:2379,etcd-2:2379 --retention 72h
  coordinator --config /etc/grapnel/config.yaml --sink /var/lib/grapnel/ended.jsonl`,
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
