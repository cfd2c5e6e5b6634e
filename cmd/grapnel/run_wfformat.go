package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel/internal/wfformat"
	"github.com/grapnel-dev/grapnel/internal/wfrun"
)

// wfCommand is grapnel run --wfformat.
type wfCommand struct{ cfg wfrun.Config }

func (w *wfCommand) register(fs *pflag.FlagSet) {
	cfg := &w.cfg
	fs.StringVar(&cfg.File, "wfformat", "", "the WfFormat `file` of a recorded workflow; the flags that follow are for it")
	fs.Float64Var(&cfg.TimeScale, "time-scale", 1, "what to multiply recorded times by; 0 takes no time")
	fs.IntVar(&cfg.Workers, "workers", wfrun.DefaultWorkers, "how many worker processes there are at a time")
	fs.IntVar(&cfg.KillWorkers, "kill-workers", 0, "how many workers to kill while they hold a claim")
	fs.IntVar(&cfg.KillCoordinators, "kill-coordinators", 0, "how many coordinators to kill while they look after the run")
	fs.Uint64Var(&cfg.Seed, "seed", 1, "decides when and whom to kill")
	fs.DurationVar(&cfg.TTL, "ttl", wfrun.DefaultTTL, "how long after a process's death its work is given to others")
	fs.DurationVar(&cfg.Timeout, "timeout", 0, "how long to wait for the run; 0 means as long as it takes")
	fs.StringVar(&cfg.Logs, "logs", "", "`folder` that gets a log of each process")
}

func (a *app) runWfFormat(cmd *cobra.Command, w *wfCommand) error {
	cfg := w.cfg
	var err error
	if cfg.Workflow, err = wfformat.ReadFile(cfg.File); err != nil {
		return err
	}
	if cmd.Flags().Changed("endpoints") {
		cfg.Etcd = &a.conn
	}
	if cmd.Flags().Changed("namespace") {
		cfg.Namespace = a.conn.Namespace
	}
	cfg.LogLevel, cfg.Progress = a.conn.LogLevel, a.err
	report, err := wfrun.Run(cmd.Context(), cfg)
	if report == nil {
		return err
	}
	return errors.Join(a.print(report, func(t *table) { runReport(t, report) }), err, report.Err())
}

func runReport(t *table, r *wfrun.Report) {
	violations := "unknown"
	if r.Violations != nil {
		violations = fmt.Sprint(*r.Violations)
	}
	t.row("STATUS", "TASKS", "COMPLETED", "EXECUTIONS", "KILLS", "REQUEUED", "VIOLATIONS", "TOOK")
	took := time.Duration(r.WallSeconds * float64(time.Second)).Round(time.Millisecond)
	t.row(r.Status, r.Tasks, r.Completed, r.Executions, r.Kills, r.Requeued, violations, took)
	if len(r.ViolationList) > 0 {
		t.gap()
	}
	for _, v := range r.ViolationList {
		t.row(v)
	}
}

// newRole makes the command with which run starts its processes.
func newRole(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "role etcd|coordinator|worker",
		Short:  "Be one of the processes of grapnel run",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return wfrun.Serve(cmd.Context(), args[0], nil, a.in, a.out, a.err)
		},
	}
}
