package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/local"
)

func newDev(a *app) *cobra.Command {
	var cfg local.Config
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run etcd and a coordinator in this process, for development",
		Long: `Run etcd and a coordinator in this process, for development, until interrupted.
Workers are yours: programs that connect to the address that is printed.`,
		Example: `  grapnel dev
  grapnel dev --data .grapnel --listen 127.0.0.1:2379`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&cfg.Dir, "data", "", "`folder` to keep the data in; by default everything is gone at the end")
	cmd.Flags().StringVar(&cfg.Listen, "listen", cli.DefaultEndpoint, "`host:port` of etcd; port 0 takes a free one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := grapnel.ValidateNamespace(a.conn.Namespace); err != nil {
			return usagef(cmd, "--namespace: %w", err)
		}
		cfg.Namespace, cfg.Logger = a.conn.Namespace, a.log
		return a.dev(cmd.Context(), cfg)
	}
	return cmd
}

func (a *app) dev(ctx context.Context, cfg local.Config) (err error) {
	c, err := local.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	kept := "nothing is kept: give --data to keep the runs"
	if cfg.Dir != "" {
		kept = "the data is kept in " + cfg.Dir
	}
	address := strings.TrimPrefix(c.Endpoints()[0], "http://")
	_, err = fmt.Fprintf(a.out, `Grapnel is up, with etcd at %[1]s; %[2]s.
Connect your workers to that address. In the shell of the commands: export GRAPNEL_ENDPOINTS=%[1]s
Then: grapnel start WORKFLOW --input JSON --wait · grapnel list · grapnel get RUN · Ctrl-C to stop
`, address, kept)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-c.Failed():
		return c.Err()
	}
}
