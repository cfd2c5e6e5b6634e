package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags of only one of the two ways to run something.
var (
	flowFlags = []string{"input", "id", "plan", "keep", "restart", "with-worker", "allow-http", "pass-env", "secret-env", "secret-dir"}
	wfFlags   = []string{"time-scale", "workers", "kill-workers", "kill-coordinators", "seed", "ttl", "timeout", "logs"}
)

func newRun(a *app) *cobra.Command {
	f, w := &flowCommand{}, &wfCommand{}
	var data string
	var slots int
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a workflow in YAML, and follow it to its end",
		Long: `Run a workflow in YAML, and follow it to its end: on a terminal as a live view,
otherwise as a line for each change, on standard error. The output goes to
standard output. The file is checked as a whole first; if anything is wrong in it
or in the input, all of it is told and nothing is started.

Without --endpoints, GRAPNEL_ENDPOINTS or such a setting the run has an etcd, a
coordinator and a worker of its own, in this process. The worker runs commands as
you, makes requests to public hosts or where --allow-http says, and has the
secrets that the file names. Its state is in a folder below grapnel/run in your
folder of state ($XDG_STATE_HOME or ~/.local/state), by file and --id, and is
removed once the run has ended, unless --keep. If this process is killed, the same
command goes on where the run was. Without --id, runs of the same file with the
same input have the same id; --restart throws away what is there of it.

With --endpoints the run is started there, under --id or a fresh id, and followed;
if a run of this --id exists, that one is. Workers are others', unless
--with-worker: then this process executes whatever is offered there on the queues
of the workflow, commands included, until the run has ended.

Ctrl-C asks whether to cancel the run, a second one cancels it, and a third one
leaves it as it is. Where nobody can be asked, the first one cancels. SIGTERM
leaves it.

Exit codes: 0 the run completed, 1 it failed or something else went wrong, 2 the
file, its input or the command line cannot be used, 3 the run was cancelled, 4 it
timed out, 5 etcd could not be reached, 6 it was left unfinished.

With --wfformat it runs a workflow that was recorded in WfFormat, the JSON format
of the WfCommons project: each task sleeps for as long as it took, times
--time-scale. It runs on worker processes of its own, with a coordinator and,
unless --endpoints or GRAPNEL_ENDPOINTS names one that is there, an etcd, which
are processes too. With --kill-workers, workers that hold claims are killed on the
way (SIGKILL), at moments that the seed chooses, and replaced; with
--kill-coordinators, the coordinator that looks after the run is. In the end an
audit reads all that happened from the store's history and checks what Grapnel
promises of it.`,
		Example: `  grapnel run flow.yaml --plan
  grapnel run flow.yaml --input '{"folder": "/srv/pictures"}'
  grapnel run flow.yaml --input @input.json -o json | jq .output
  grapnel run flow.yaml --endpoints etcd-1:2379 --id nightly-2026-05-04
  grapnel run --wfformat montage.json --time-scale 0.01 --kill-workers 2 -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	fs := cmd.Flags()
	fs.StringVar(&data, "data", "", "`folder` that keeps the data of an etcd of its own; it stays, and so do runs of recorded workflows, and with --keep that of FILE")
	fs.IntVar(&slots, "slots", 0, "how many tasks a worker executes at a time; 0 means the worker's default")
	f.register(fs)
	w.register(fs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.data, w.cfg.Data, f.worker.Slots, w.cfg.Slots = data, data, slots, slots
		switch {
		case w.cfg.File == "" && len(args) == 0:
			return usagef(cmd, "name a file, of a workflow in YAML, or one recorded in WfFormat by --wfformat")
		case w.cfg.File == "":
			if name := firstChanged(fs, wfFlags); name != "" {
				return usagef(cmd, "--%s is for --wfformat", name)
			}
			return a.runFlow(cmd, f, args[0])
		case len(args) > 0:
			return usagef(cmd, "%s and --wfformat are both given", args[0])
		}
		if name := firstChanged(fs, flowFlags); name != "" {
			return usagef(cmd, "--%s is for workflows in YAML, not for --wfformat", name)
		}
		return a.runWfFormat(cmd, w)
	}
	return a.formatted(cmd)
}

// firstChanged returns the first of these flags that the command line has.
func firstChanged(fs *pflag.FlagSet, names []string) string {
	if i := slices.IndexFunc(names, fs.Changed); i >= 0 {
		return names[i]
	}
	return ""
}
