//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Runner runs commands. It is safe for concurrent use.
type Runner struct {
	cfg   Config
	log   hclog.Logger
	place *place
	guard *guard // nil without one
	hub   *hub
	count atomic.Int64

	running sync.WaitGroup     // calls of Run
	closing context.Context    // ends when Close begins
	close   context.CancelFunc // ends it
}

// Open makes the folder that this worker's attempts live in, removes those of
// dead workers, and starts the guard. The caller closes the Runner once nothing
// calls it any more. Errors wrap [grapnel.ErrInvalid] if the settings are wrong.
func Open(cfg Config) (*Runner, error) {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.KillGrace == 0 {
		cfg.KillGrace = DefaultKillGrace
	}
	log := cfg.Logger.Named("command")
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	p, err := openPlace(cfg.Root, log)
	if err != nil {
		return nil, fmt.Errorf("allow commands: %w", err)
	}
	r := &Runner{cfg: cfg, log: log, place: p}
	r.closing, r.close = context.WithCancel(context.Background())
	if r.hub, err = openHub(p.socket(), log); err == nil && len(cfg.Guard) > 0 {
		r.guard, err = startGuard(cfg.Guard, p, log)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("allow commands: %w", err), r.Close())
	}
	return r, nil
}

// Close kills the commands that are still running, because nobody waits for them,
// and removes the worker's folder. Run must not be called any more.
func (r *Runner) Close() error {
	r.close()
	r.running.Wait()
	var errs []error
	if r.hub != nil {
		errs = append(errs, r.hub.close())
	}
	if r.guard != nil {
		errs = append(errs, r.guard.close())
	}
	return errors.Join(append(errs, r.place.close())...)
}

// attempt is what a command needs a place for.
type attempt struct {
	folder    string // all of it
	work      string // where the command starts
	temp      string // for its temporary files
	heartbeat string // how it reaches the worker
	redact    *secret.Redactor
}

// Run runs a command, until it ends or ctx does, and returns its output. It
// returns when nothing of the command's process group is left. Errors are
// failures, see package workflow, in which the values of secrets are replaced.
func (r *Runner) Run(ctx context.Context, in Input) (out Output, err error) {
	r.running.Add(1)
	defer r.running.Done()
	if err := in.Check(); err != nil {
		return Output{}, badInput(err)
	}
	secrets := make(map[string]string, len(in.Secrets))
	values := make([]string, 0, len(in.Secrets))
	for name, s := range in.Secrets {
		v, err := r.cfg.Secrets.Resolve(s)
		if err != nil {
			return Output{}, task.Fail(KindSecret, fmt.Errorf("environment variable %s: %w", name, err))
		}
		secrets[name] = v
		values = append(values, v)
	}
	a, err := r.newAttempt()
	if err != nil {
		return Output{}, err
	}
	a.redact = secret.NewRedactor(values...)
	defer func() {
		if err := removeAll(a.folder); err != nil {
			r.log.Error("folder of an attempt not removed", "folder", a.folder, "error", err)
		}
		if err != nil {
			f := workflow.FailureOf(err)
			f.Message = a.redact.Text(f.Message)
			out, err = Output{}, f
		}
	}()
	token := r.hub.enter(ctx, a.redact)
	defer r.hub.leave(token)
	a.heartbeat = r.hub.address(token)
	return r.run(ctx, &in, secrets, a)
}

func (r *Runner) newAttempt() (*attempt, error) {
	folder := filepath.Join(r.place.dir, fmt.Sprint(r.count.Add(1)))
	a := &attempt{folder: folder, work: filepath.Join(folder, "work"), temp: filepath.Join(folder, "tmp")}
	for _, dir := range []string{a.folder, a.work, a.temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("make the attempt's folder: %w", err), removeAll(folder))
		}
	}
	return a, nil
}

func (r *Runner) run(ctx context.Context, in *Input, secrets map[string]string, a *attempt) (Output, error) {
	dir := in.Dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.work, dir)
	}
	if err := checkDir(dir); err != nil {
		return Output{}, err
	}
	env := r.environ(task.InfoFrom(ctx), in, secrets, a)
	env["PWD"] = dir
	argv := in.Argv
	if in.Shell != "" {
		argv = append(slices.Clip(shell), in.Shell)
	}
	file, err := lookUp(argv[0], env["PATH"], dir)
	if err != nil {
		return Output{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stdout := newBounded(func(err error) { cancel(err) })
	last := &ring{}
	stderr := a.redact.Writer(last)
	cmd := &exec.Cmd{
		Path: file, Args: argv, Env: pairs(env), Dir: dir, Stdout: stdout, Stderr: stderr,
		SysProcAttr: groupAttributes(), WaitDelay: pipeDelay,
	}
	if in.Stdin != "" {
		cmd.Stdin = strings.NewReader(in.Stdin)
	}
	if in.Stdout == FormNone {
		cmd.Stdout = nil
	}
	err = r.execute(ctx, cmd)
	_ = stderr.Close() // a ring takes everything
	if err != nil {
		return Output{}, withTail(err, last)
	}
	return collect(in, dir, stdout.data, a.redact)
}

// execute runs the command and waits for its end, and that of its group.
func (r *Runner) execute(ctx context.Context, cmd *exec.Cmd) error {
	if ctx.Err() != nil {
		return stopped(ctx)
	}
	if err := cmd.Start(); err != nil {
		return startFailure(cmd, err)
	}
	group := cmd.Process.Pid
	r.guard.add(group)
	exited := make(chan struct{})
	end := &ending{cmd: cmd}
	go func() { // joined below
		defer close(exited)
		end.await()
	}()
	wasStopped := false
	select {
	case <-exited:
	case <-ctx.Done():
		wasStopped = true
		r.stop(group, exited)
	case <-r.closing.Done():
		wasStopped = true
		signalGroup(group, sigKill)
		<-exited
	}
	signalGroup(group, sigKill)
	r.guard.remove(group)
	err := end.reap()
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case wasStopped:
		return stopped(ctx)
	case ok:
		return &workflow.Failure{Kind: KindExit, Node: -1, Message: describe(exit.ProcessState)}
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		if ctx.Err() != nil { // its output became too long with its last words
			return stopped(ctx)
		}
		return nil
	}
	return fmt.Errorf("run the command: %w", err)
}

// stop ends a process group, whose leader is awaited with exited: gently first.
func (r *Runner) stop(group int, exited <-chan struct{}) {
	if r.cfg.KillGrace > 0 {
		signalGroup(group, sigTerm)
		signalGroup(group, sigCont)
		timer := time.NewTimer(r.cfg.KillGrace)
		defer timer.Stop()
		select {
		case <-exited:
			return
		case <-timer.C:
		case <-r.closing.Done():
		}
	}
	signalGroup(group, sigKill)
	<-exited
}

// stopped returns why a command was stopped.
func stopped(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = grapnel.ErrStopping
	}
	if f, ok := errors.AsType[*workflow.Failure](cause); ok {
		return f
	}
	return fmt.Errorf("the command was stopped: %w", cause)
}

// describe says how a process ended.
func describe(state *os.ProcessState) string {
	if name := signalName(state); name != "" {
		return "ended by signal " + name
	}
	return fmt.Sprintf("exit code %d", state.ExitCode())
}

// withTail adds the end of standard error to an error.
func withTail(err error, last *ring) error {
	text := last.text()
	if text == "" {
		return err
	}
	return fmt.Errorf("%w; the end of standard error:\n%s", err, text)
}
