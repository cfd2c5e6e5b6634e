package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/live"
)

// app is what the commands share.
type app struct {
	conn   cli.Connection
	format string
	log    hclog.Logger // set before a command runs

	in       io.Reader
	out, err io.Writer
	logs     *live.Gate // before err; held while a view is shown
}

func newApp(in io.Reader, out, err io.Writer) *app {
	return &app{in: in, out: out, err: err, logs: live.NewGate(err)}
}

// run executes a command line.
func (a *app) run(ctx context.Context, args []string) error {
	root := a.root()
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "grapnel",
		Short: "Durable workflows on etcd",
		Long: `Grapnel runs workflows on a fleet of workers and keeps their state in etcd.

Settings can be given by flags, by environment variables such as GRAPNEL_ENDPOINTS
for --endpoints, or in a file: grapnel config tells which, and where each came
from.

Exit codes: 0 success, 1 the run failed or something else went wrong, 2 bad
command line or file, 3 the run was cancelled, 4 it timed out, 5 etcd could not be
reached or did not say what became of a change, 6 the run was left unfinished.`,
		Example: `  grapnel dev --data .grapnel
  grapnel start order --input '{"sku": "a-1"}' --id order-17
  grapnel watch order-17`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	a.conn.Register(root.PersistentFlags(), cli.DefaultLogLevel)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		if cli.ForShells(cmd) {
			return nil // they want an answer whatever the settings are
		}
		a.log, err = a.conn.Prepare(cmd.Flags(), "grapnel", a.logs)
		return err
	}
	for _, command := range commands {
		root.AddCommand(command(a))
	}
	a.completeAll(root)
	return cli.Strict(root)
}

// usagef returns a mistake in a command line.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &cli.UsageError{Command: cmd.CommandPath(), Err: fmt.Errorf(format, args...)}
}

// withClient connects, calls do and disconnects.
func (a *app) withClient(ctx context.Context, do func(c *client.Client) error) (err error) {
	st, err := a.conn.Open(ctx, a.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c, err := client.New(client.Config{Store: st, Namespace: a.conn.Namespace, Logger: a.log})
	if err != nil {
		return err
	}
	return do(c)
}

// runArg is the only argument of commands that take a run.
func runArg(args []string) grapnel.RunID { return grapnel.RunID(args[0]) }
