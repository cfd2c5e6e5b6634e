package wfrun

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// ErrTimedOut is the cause with which the wait for the run ends after
// [Config.Timeout].
var ErrTimedOut = fmt.Errorf("the run was not waited for any longer: %w", grapnel.ErrTimedOut)

// Run runs the workflow and reports what became of it. It returns a report
// whenever the run was started and ctx has not ended; whether the report is a
// good one is for [Report.Err] to say. With an error beside the report, the
// processes or the kills went wrong. Errors wrap [grapnel.ErrInvalid] for
// settings that cannot be used, such as a namespace that holds runs, or are those
// of processes and of the store.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.fill()
	if err != nil {
		return nil, err
	}
	def, err := definition(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Namespace == "" {
		id := uuid.New()
		cfg.Namespace = "wfrun-" + hex.EncodeToString(id[:6])
	}
	keys, err := store.NewKeys(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.Logs, cfg.Data} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &runner{cfg: &cfg, keys: keys, def: def, fail: fail, tell: newTeller(&cfg)}
	return r.run(ctx)
}

// definition makes a definition whose nodes survive all kills that are planned.
func definition(cfg *Config) (*workflow.Definition, error) {
	if cfg.Definition != nil {
		// It is the caller's; a policy is no part of its identity.
		def := *cfg.Definition
		def.Nodes = slices.Clone(def.Nodes)
		return survivable(&def, cfg.KillWorkers), nil
	}
	def, err := cfg.Workflow.Definition("", cfg.TimeScale)
	if err != nil {
		return nil, err
	}
	return survivable(def, cfg.KillWorkers), nil
}

func survivable(def *workflow.Definition, kills int) *workflow.Definition {
	for i := range def.Nodes {
		def.Nodes[i].Policy.MaxLosses = workflow.DefaultMaxLosses + kills
	}
	return def
}

// runner is one call of [Run].
type runner struct {
	cfg  *Config
	keys store.Keys
	def  *workflow.Definition
	fail context.CancelCauseFunc // ends the run because a process did
	tell *teller
}

func (r *runner) run(ctx context.Context) (_ *Report, err error) {
	etcd, stopEtcd, err := r.etcd(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopEtcd()) }()
	st, err := etcd.Open(ctx, hclog.NewNullLogger())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c, err := client.New(client.Config{Store: st, Namespace: r.cfg.Namespace})
	if err != nil {
		return nil, err
	}
	if err := r.checkEmpty(ctx, st); err != nil {
		return nil, err
	}
	f := newFleet(r.cfg, etcd, r.fail)
	defer f.close()
	for range r.cfg.coordinators() {
		err = errors.Join(err, f.add(roleCoordinator))
	}
	for range r.cfg.Workers {
		err = errors.Join(err, f.add(roleWorker))
	}
	if err != nil {
		return nil, err
	}
	report := &Report{
		File: filepath.Base(r.cfg.File), Workflow: r.def.Name, Seed: r.cfg.Seed, TimeScale: r.cfg.TimeScale,
		Workers: r.cfg.Workers, Namespace: r.cfg.Namespace, Tasks: len(r.def.Nodes),
	}
	runErr := r.conduct(ctx, st, c, f, report)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if report.Run == "" {
		return nil, runErr
	}
	// The audit is of what is over: nobody may write any more.
	stopErr := errors.Join(f.stop(roleWorker), f.stop(roleCoordinator))
	report.audited(audit.Read(ctx, st, r.keys))
	return report, errors.Join(runErr, stopErr)
}

// checkEmpty makes sure that the namespace holds no run.
func (r *runner) checkEmpty(ctx context.Context, st store.Store) error {
	page, err := st.List(ctx, store.ListRequest{Prefix: r.keys.Runs(), Limit: 1, KeysOnly: true})
	if err != nil {
		return fmt.Errorf("look into namespace %s: %w", r.cfg.Namespace, err)
	}
	if len(page.KVs) > 0 {
		return fmt.Errorf("%w: namespace %s holds runs: the audit would be one of them too", grapnel.ErrInvalid, r.cfg.Namespace)
	}
	return nil
}

// nodeName returns a node's name; a key's first part is the node's index.
func (r *runner) nodeName(k grapnel.NodeKey) string {
	index, _, _ := strings.Cut(string(k), ".")
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(r.def.Nodes) {
		return string(k)
	}
	return r.def.Nodes[i].Name
}

// conduct starts the run, waits for its end and kills on the way.
func (r *runner) conduct(ctx context.Context, st store.Store, c *client.Client, f *fleet, report *Report) error {
	began := time.Now()
	run, err := c.StartDefinition(ctx, r.def, r.cfg.Input)
	if err != nil {
		return err
	}
	report.Run = string(run.ID())
	r.tell.say("run %s of %d tasks started in namespace %s", run.ID(), len(r.def.Nodes), r.cfg.Namespace)

	random := rand.New(rand.NewPCG(r.cfg.Seed, 0))
	strikes := plan(len(r.def.Nodes), r.cfg.KillWorkers, r.cfg.KillCoordinators, random)
	v := newView(st, r.keys, run.ID())
	reap := newReaper(st, v, f, random, r.tell)
	reap.nodeName = r.nodeName
	untilEnd, end := context.WithCancelCause(ctx)
	defer end(nil)
	var wg sync.WaitGroup
	var killErr error
	wg.Go(func() { r.tell.follow(untilEnd, v, len(r.def.Nodes), reap.kills) })
	wg.Go(func() {
		if killErr = reap.work(untilEnd, strikes); killErr != nil {
			end(killErr)
		}
	})
	waitErr := r.wait(untilEnd, v)
	end(nil)
	wg.Wait()
	report.WallSeconds = float64(time.Since(began).Milliseconds()) / 1000
	reap.report(report, len(strikes))
	if waitErr != nil && !errors.Is(waitErr, ErrTimedOut) {
		return errors.Join(waitErr, killErr)
	}
	return errors.Join(killErr, r.state(ctx, c, run.ID(), report))
}

// wait waits for the end of the run, or until it has taken too long.
func (r *runner) wait(ctx context.Context, v *view) error {
	if r.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.cfg.Timeout, ErrTimedOut)
		defer cancel()
	}
	return v.follow(ctx)
}

// state reports how the run stands.
func (r *runner) state(ctx context.Context, c *client.Client, id grapnel.RunID, report *Report) error {
	info, err := c.Get(ctx, id, client.WithOutput())
	if err != nil {
		return err
	}
	report.Status, report.Output = info.Status.String(), info.Output
	for _, n := range info.Nodes {
		if n.State == client.NodeCompleted {
			report.Completed++
		}
	}
	if info.Cause != nil {
		report.Cause = fmt.Sprintf("(%s: %s)", info.Cause.Kind, info.Cause.Message)
	}
	r.tell.say("run %s: %d of %d tasks done", report.Status, report.Completed, report.Tasks)
	return nil
}

// etcd starts an etcd, unless there is one, and returns how to reach it and what
// stops it.
func (r *runner) etcd(ctx context.Context) (at cli.Connection, stop func() error, err error) {
	if r.cfg.Etcd != nil {
		at = *r.cfg.Etcd
		at.Namespace, at.LogLevel = r.cfg.Namespace, r.cfg.LogLevel
		return at, func() error { return nil }, nil
	}
	s := settings{Name: string(roleEtcd), Data: r.cfg.Data, Etcd: cli.Connection{LogLevel: r.cfg.LogLevel}}
	remove := func() error { return nil }
	if s.Data == "" {
		if s.Data, err = os.MkdirTemp("", "grapnel-wfrun-"); err != nil {
			return at, nil, fmt.Errorf("make a folder for etcd: %w", err)
		}
		s.Remove = true
		remove = func() error { return os.RemoveAll(s.Data) }
	}
	p, endpoints, err := startEtcd(ctx, r.cfg, s)
	if err != nil {
		return at, nil, errors.Join(err, remove())
	}
	at = cli.Connection{
		Endpoints: endpoints, Namespace: r.cfg.Namespace,
		DialTimeout: cli.DefaultDialTimeout, LogLevel: r.cfg.LogLevel,
	}
	watched := make(chan struct{})
	go func() { // joined by stop
		defer close(watched)
		<-p.ended
		if err := p.surprise(); err != nil {
			r.fail(err)
		}
	}()
	stop = func() error {
		err := p.stop(stopGrace)
		<-watched
		return errors.Join(err, remove())
	}
	return at, stop, nil
}
