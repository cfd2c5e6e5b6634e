package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/workflow"
)

// folderVariable is what commands find the folder of their file by, if the
// process that read it executes them.
const folderVariable = "GRAPNEL_FLOW_DIR"

// flowCommand is grapnel run FILE.
type flowCommand struct {
	input, id, data                 string
	plan, keep, restart, withWorker bool
	worker                          ownWorker
}

func (f *flowCommand) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.input, "input", "", "the input as `JSON`; @FILE reads it from a file, - from standard input")
	fs.StringVar(&f.id, "id", "", "the run's id, under which it goes on if it was begun before")
	fs.BoolVar(&f.plan, "plan", false, "show what would run and in which order, and start nothing")
	fs.BoolVar(&f.keep, "keep", false, "keep the state of the run once it has ended")
	fs.BoolVar(&f.restart, "restart", false, "throw away the run that there is, and begin anew")
	fs.BoolVar(&f.withWorker, "with-worker", false, "with --endpoints: execute tasks in this process, too")
	f.worker.register(fs, "allow-http", "pass-env", "secret-env", "secret-dir")
}

// flow is a workflow with what a run of it starts with.
type flow struct {
	*app
	cmd   *flowCommand
	path  string
	file  *flowfile.File
	def   *workflow.Definition
	input []byte
	id    grapnel.RunID
	own   bool // it has an etcd of its own
	begun time.Time

	signals chan os.Signal
}

// runFlow is grapnel run FILE.
func (a *app) runFlow(cmd *cobra.Command, f *flowCommand, path string) error {
	fl := &flow{app: a, cmd: f, path: path, begun: time.Now(), own: !cmd.Flags().Changed("endpoints")}
	if err := fl.load(cmd); err != nil {
		return err
	}
	if f.plan {
		return fl.printPlan()
	}
	if err := fl.check(cmd); err != nil {
		return err
	}
	// From the start of the run on signals are this command's own affair.
	fl.signals = make(chan os.Signal, 4)
	signal.Notify(fl.signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(fl.signals)
	if fl.own {
		return fl.runAlone(cmd.Context())
	}
	return fl.runThere(cmd.Context())
}

// load reads the file and the input. All that is wrong with the file is told, a
// line each.
func (fl *flow) load(cmd *cobra.Command) error {
	file, err := flowfile.Load(fl.path)
	if problems, ok := errors.AsType[*flowfile.Errors](err); ok {
		_, _ = fmt.Fprintln(fl.err, problems.Error())
		return refused(fl.path, problems, "nothing was started")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", grapnel.ErrInvalid, err)
	}
	fl.file = file
	if fl.def, err = file.Definition(); err != nil {
		return err
	}
	var given []byte
	if cmd.Flags().Changed("input") {
		if given, err = fl.readInput(fl.cmd.input); err != nil {
			return err
		}
	} else if fl.cmd.plan {
		return nil // what it would be is not known yet
	}
	if len(given) > grapnel.MaxPayload {
		return usagef(cmd, "%w: --input is longer than %d bytes", grapnel.ErrTooLarge, grapnel.MaxPayload)
	}
	fl.input, err = file.CheckInput(given)
	return err
}

// refusedError says that a file is wrong, after what is wrong was told. It is
// [grapnel.ErrInvalid].
type refusedError struct {
	path     string
	problems int
	not      string // what was not done therefore
}

func refused(path string, e *flowfile.Errors, not string) *refusedError {
	return &refusedError{path, len(e.Problems) + e.More, not}
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s has %s; %s", e.path, counted(e.problems, "problem"), e.not)
}

// Is reports whether target is [grapnel.ErrInvalid].
func (e *refusedError) Is(target error) bool { return target == grapnel.ErrInvalid }

// check finds out what cannot work, before anything is started, and the run's id.
func (fl *flow) check(cmd *cobra.Command) error {
	f := fl.cmd
	if err := grapnel.ValidateNamespace(fl.conn.Namespace); err != nil {
		return usagef(cmd, "--namespace: %w", err)
	}
	if err := f.worker.Validate(); err != nil {
		return usagef(cmd, "%w", err)
	}
	fl.id = grapnel.RunID(f.id)
	if cmd.Flags().Changed("id") {
		if err := fl.id.Validate(); err != nil {
			return usagef(cmd, "--id: %w", err)
		}
	} else if fl.own {
		fl.id = fl.defaultID()
	}
	if !fl.own {
		for name, set := range map[string]bool{"keep": f.keep, "data": f.data != ""} {
			if set {
				return usagef(cmd, "--%s is for runs with an etcd of their own, not for --endpoints", name)
			}
		}
		return nil
	}
	if f.withWorker {
		return usagef(cmd, "--with-worker is for --endpoints; without, there is a worker anyway")
	}
	return fl.allowSecrets(cmd)
}

// defaultID is the same for the same definition and input, so that the same
// command goes on with the same run.
func (fl *flow) defaultID() grapnel.RunID {
	sum := sha256.Sum256(append([]byte(fl.def.Hash()+"\x00"), fl.input...))
	return grapnel.RunID(fl.file.Name + "-" + hex.EncodeToString(sum[:4]))
}

// allowSecrets gives the worker the secrets that the file names, which are all
// that it will be asked for.
func (fl *flow) allowSecrets(cmd *cobra.Command) error {
	w := &fl.cmd.worker
	for _, s := range fl.file.Secrets {
		if s.Env != "" {
			if os.Getenv(s.Env) == "" {
				return usagef(cmd, "secret %s: environment variable %s is not set", s.Name, s.Env)
			}
			w.SecretEnv = append(w.SecretEnv, s.Env)
			continue
		}
		if !filepath.IsAbs(s.File) {
			return usagef(cmd, "secret %s: file %s is no absolute path", s.Name, s.File)
		}
		if _, err := os.Stat(s.File); err != nil {
			return usagef(cmd, "secret %s: %w", s.Name, err)
		}
		w.SecretDirs = append(w.SecretDirs, filepath.Dir(s.File))
	}
	return nil
}

// runAlone runs the flow in this process.
func (fl *flow) runAlone(ctx context.Context) (err error) {
	dir := fl.cmd.data
	if dir == "" {
		if dir, err = fl.folder(); err != nil {
			return err
		}
	}
	c, err := local.Open(ctx, local.Config{Dir: dir, Private: true, Namespace: fl.conn.Namespace, Logger: fl.log})
	if err != nil {
		return fmt.Errorf("run %q: %w", fl.id, err)
	}
	ctx = context.WithoutCancel(ctx)
	info, err := fl.workAndFollow(ctx, c.Client(), c.Failed(), c.Err, func(ctx context.Context) error {
		return fl.cmd.worker.run(ctx, c, fl.conn.Namespace, fl.log)
	})
	ended := err == nil
	if ended && fl.cmd.data != "" && !fl.cmd.keep {
		err = c.Client().Delete(ctx, fl.id) // the folder may hold others
	}
	err = errors.Join(err, c.Close())
	if ended && fl.cmd.data == "" && !fl.cmd.keep {
		err = errors.Join(err, removeState(dir))
	}
	if !ended {
		return fl.unfinished(err)
	}
	return errors.Join(err, fl.report(info))
}

// folder is where the state of a run is by default: the same for the same file
// and id.
func (fl *flow) folder() (string, error) {
	abs, err := filepath.Abs(fl.path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(abs + "\x00" + string(fl.id)))
	return stateFolder("run", fl.file.Name+"-"+hex.EncodeToString(sum[:8]))
}

// runThere runs the flow where the settings say.
func (fl *flow) runThere(ctx context.Context) error {
	var info *client.RunInfo
	onwards := context.WithoutCancel(ctx)
	err := fl.withClient(ctx, func(c *client.Client) (err error) {
		var work func(ctx context.Context) error
		if fl.cmd.withWorker {
			work = func(ctx context.Context) error {
				return fl.cmd.worker.RunStandard(ctx, &fl.conn, fl.log, &fl.cmd.worker.StandardTasks)
			}
		}
		info, err = fl.workAndFollow(onwards, c, nil, nil, work)
		return err
	})
	if err != nil {
		return fl.unfinished(err)
	}
	return fl.report(info)
}

// workAndFollow starts the run and follows it to its end, while work, unless it
// is nil, executes tasks. Failed tells that the cluster has stopped, and why says
// why.
func (fl *flow) workAndFollow(ctx context.Context, c *client.Client, failed <-chan struct{}, why func() error, work func(context.Context) error) (*client.RunInfo, error) {
	if err := fl.start(ctx, c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	if failed != nil {
		wg.Go(func() {
			select {
			case <-failed:
				cancel(why())
			case <-ctx.Done():
			}
		})
	}
	if work != nil {
		if err := fl.prepareWorker(); err != nil {
			return nil, err
		}
		wg.Go(func() {
			if err := work(ctx); err != nil {
				cancel(fmt.Errorf("worker: %w", err))
			}
		})
	}
	return fl.follow(ctx, c)
}

// prepareWorker makes the worker one for this workflow.
func (fl *flow) prepareWorker() error {
	w := &fl.cmd.worker
	w.allowAll()
	w.Name, w.Grace = "run", -1 // once the run has ended nothing else is wanted
	w.Queues, w.Tags = nil, nil
	for i := range fl.def.Nodes {
		w.Queues = append(w.Queues, fl.def.Queue(i))
		w.Tags = append(w.Tags, fl.def.Nodes[i].Policy.Tags...)
	}
	slices.Sort(w.Queues)
	slices.Sort(w.Tags)
	w.Queues, w.Tags = slices.Compact(w.Queues), slices.Compact(w.Tags)
	abs, err := filepath.Abs(fl.path)
	if err != nil {
		return err
	}
	w.PassEnv = append(w.PassEnv, folderVariable)
	return os.Setenv(folderVariable, filepath.Dir(abs))
}

// start starts the run, or finds it.
func (fl *flow) start(ctx context.Context, c *client.Client) error {
	opts := []client.StartOption{client.OnConflict(client.UseExisting)}
	if fl.cmd.restart {
		opts[0] = client.OnConflict(client.TerminateExisting)
	}
	if fl.id != "" {
		opts = append(opts, client.WithID(fl.id))
		found, err := c.Get(ctx, fl.id)
		switch {
		case errors.Is(err, grapnel.ErrNotFound):
		case err != nil:
			return err
		case fl.cmd.restart:
		default:
			return fl.resume(found)
		}
	}
	run, err := c.StartDefinition(ctx, fl.def, fl.input, opts...)
	if err != nil {
		return err
	}
	fl.id = run.ID()
	return nil
}

// resume says how far the run is that there is, if it is the one that was meant.
func (fl *flow) resume(found *client.RunInfo) error {
	what := ""
	switch {
	case found.Workflow != fl.file.Name:
		what = "of another workflow, " + found.Workflow
	case found.Definition != fl.def.Hash():
		what = "of another version of " + fl.path
	case !bytes.Equal(found.Input, fl.input):
		what = "with another input"
	}
	if what != "" {
		return fmt.Errorf("run %q is there, %s: %w; choose another --id, or throw it away with --restart", fl.id, what, grapnel.ErrWrongDefinition)
	}
	if found.Status.Ended() {
		return fl.say("run %s ended before; --restart runs it anew", fl.id)
	}
	return fl.say("run %s goes on; %d of its tasks are done", fl.id, viewRun(tasksOf(found), fl.begun).Counts.Completed)
}

// unfinished says how to go on with a run that was left.
func (fl *flow) unfinished(err error) error {
	if !errors.Is(err, cli.ErrLeft) {
		return err
	}
	if fl.own {
		return fmt.Errorf("run %q is %w; the same command goes on with it", fl.id, cli.ErrLeft)
	}
	return fmt.Errorf("run %q is %w; grapnel watch %s follows it", fl.id, cli.ErrLeft, fl.id)
}

// say writes a line for people.
func (fl *flow) say(format string, args ...any) error {
	_, err := fmt.Fprintf(fl.err, format+"\n", args...)
	return err
}

// counted is a number with what it counts.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
