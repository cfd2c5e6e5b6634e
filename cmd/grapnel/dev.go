package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/local"
)

// devGrace is how long tasks may go on after Ctrl-C, unless --grace says
// otherwise: somebody sits there and waits.
const devGrace = 5 * time.Second

// dev is the settings of grapnel dev.
type dev struct {
	local      local.Config
	temporary  bool
	noCommands bool
	worker     ownWorker
}

func newDev(a *app) *cobra.Command {
	d := &dev{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run etcd, a coordinator and a worker in this process, for development",
		Long: `Run etcd, a coordinator and a worker in this process, for development, until
interrupted. The worker runs commands, as you, and makes HTTP requests to public
hosts, or to where --allow-http says. Other workers are programs of yours that
connect to the address that is printed. With --no-commands there is no worker,
unless --allow-http is given.

Whoever can connect to that address can have commands run as you: on a machine
that others use, too, give --no-commands.

Runs are kept, also when this process is killed, and go on the next time: in the
folder that --data names, or else in grapnel/dev of your folder of state, which
is $XDG_STATE_HOME or ~/.local/state. With --temporary all is gone at the end. A
folder is for one process at a time.

Ctrl-C stops the taking of tasks and lets those under way go on for --grace; what
has not ended then is given back. A second Ctrl-C ends everything at once.`,
		Example: `  grapnel dev
  grapnel dev --data .grapnel --listen 127.0.0.1:2379
  grapnel dev --temporary --no-commands`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.StringVar(&d.local.Dir, "data", "", "`folder` to keep the runs in (default: grapnel/dev in your folder of state)")
	fs.BoolVar(&d.temporary, "temporary", false, "keep nothing")
	fs.StringVar(&d.local.Listen, "listen", cli.DefaultEndpoint, "`host:port` of etcd; port 0 takes a free one")
	fs.BoolVar(&d.noCommands, "no-commands", false, "run no commands")
	d.worker.register(fs, "queues", "tags", "slots", "grace", "allow-http", "work-dir", "pass-env", "secret-env", "secret-dir")
	fs.Lookup("grace").DefValue = devGrace.String()
	d.worker.Grace = devGrace
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := grapnel.ValidateNamespace(a.conn.Namespace); err != nil {
			return usagef(cmd, "--namespace: %w", err)
		}
		if d.temporary && d.local.Dir != "" {
			return usagef(cmd, "--data and --temporary are both given")
		}
		if err := d.worker.Validate(); err != nil {
			return usagef(cmd, "%w", err)
		}
		return a.dev(cmd.Context(), d)
	}
	return cmd
}

func (a *app) dev(ctx context.Context, d *dev) (err error) {
	if d.local.Dir == "" && !d.temporary {
		if d.local.Dir, err = stateFolder("dev"); err != nil {
			return err
		}
	}
	d.local.Namespace, d.local.Logger = a.conn.Namespace, a.log
	c, err := local.Open(ctx, d.local)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	d.worker.Name = "dev"
	if !d.noCommands {
		d.worker.allowAll()
	}
	var failed error // of the worker; set before ctx ends with it
	if d.worker.Any() {
		wg.Go(func() {
			if err := d.worker.run(ctx, c, a.conn.Namespace, a.log); err != nil {
				failed = err
				cancel(err)
			}
		})
	}
	if err := a.introduce(d, addresses(c)[0]); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		cancel(nil)
		_, _ = fmt.Fprintln(a.err, "Stopping, as soon as what runs has ended or given way; Ctrl-C again stops at once.")
		wg.Wait()
		return failed
	case <-c.Failed():
		return c.Err()
	}
}

// introduce says in three lines what there is and how to use it.
func (a *app) introduce(d *dev, address string) error {
	kept, commands, end := "the runs are kept in "+d.local.Dir, "run as you", "what is not done goes on at the next start"
	if d.temporary {
		kept, end = "nothing is kept", "then all is gone"
	}
	if d.noCommands {
		commands = "are refused"
	}
	_, err := fmt.Fprintf(a.out, `Grapnel is up, with etcd at %[1]s; %[2]s; commands %[3]s.
In other terminals: export GRAPNEL_ENDPOINTS=%[1]s, then grapnel run FLOW.yaml, grapnel start WORKFLOW --wait, or a worker of yours.
Look with grapnel top, list, get RUN, watch RUN. Ctrl-C stops; %[4]s.
`, address, kept, commands, end)
	return err
}
