package main

import (
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

// newWorker is hidden: the command of its own is called worker, too.
func newWorker(a *app) *cobra.Command {
	cmd := cli.NewWorker("worker", func(*cobra.Command) (*cli.Connection, hclog.Logger, error) {
		return &a.conn, a.log, nil
	})
	cmd.Hidden = true
	return cmd
}

func newGuard(*app) *cobra.Command { return cli.NewGuard() }
