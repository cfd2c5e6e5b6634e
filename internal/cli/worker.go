package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Worker is the settings of a worker's process.
type Worker struct {
	Name   string
	Queues []string
	Tags   []string
	Slots  int
	TTL    time.Duration
	Grace  time.Duration
	// StopWait is how long tasks then have to return; zero means
	// [worker.DefaultStopWait]. It has no flag.
	StopWait time.Duration
	// Evaluators evaluate the expressions of nodes. They have no flag.
	Evaluators []workflow.Evaluator
}

// Register adds the flags of a worker.
func (w *Worker) Register(fs *pflag.FlagSet) {
	fs.StringVar(&w.Name, "name", "", "what the worker's id begins with, for people to recognise")
	fs.StringSliceVar(&w.Queues, "queues", []string{workflow.DefaultQueue}, "queues to take nodes from, separated by commas")
	fs.StringSliceVar(&w.Tags, "tags", nil, "what the worker has that a node may ask for, separated by commas")
	fs.IntVar(&w.Slots, "slots", worker.DefaultSlots, "how many nodes to execute at a time")
	fs.DurationVar(&w.TTL, "ttl", claim.DefaultTTL, "how long after its last sign of life its nodes are given to other workers")
	fs.DurationVar(&w.Grace, "grace", worker.DefaultGrace, "how long tasks may go on once the worker is asked to stop")
	AsSettings(fs, "worker")
}

// Validate returns what is wrong with the settings. It is an error of a worker
// as well.
func (w *Worker) Validate() error {
	if w.Slots < 0 {
		return fmt.Errorf("%w: --slots %d is negative", grapnel.ErrInvalid, w.Slots)
	}
	for _, q := range w.Queues {
		if err := grapnel.ValidateName("queue", q); err != nil {
			return fmt.Errorf("--queues: %w", err)
		}
	}
	for _, t := range w.Tags {
		if err := grapnel.ValidateName("tag", t); err != nil {
			return fmt.Errorf("--tags: %w", err)
		}
	}
	return nil
}

// Run runs a worker until ctx ends, and then drains it. Register is called
// before, to add tasks; nil adds none.
func (w *Worker) Run(ctx context.Context, conn *Connection, log hclog.Logger, register func(*worker.Worker)) (err error) {
	st, err := conn.Open(ctx, log)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	log.Info("worker is up", "namespace", conn.Namespace, "endpoints", conn.Endpoints, "queues", w.Queues)
	return w.work(ctx, st, conn.Namespace, log, register)
}

func (w *Worker) work(ctx context.Context, st store.Store, namespace string, log hclog.Logger, register func(*worker.Worker)) error {
	wk, err := worker.New(worker.Config{
		Store: st, Namespace: namespace, Name: w.Name, Queues: w.Queues, Tags: w.Tags, Slots: w.Slots,
		TTL: w.TTL, Grace: w.Grace, StopWait: w.StopWait, Evaluators: w.Evaluators, Logger: log,
	})
	if err != nil {
		return err
	}
	if register != nil {
		register(wk)
	}
	return unlessStopped(ctx, wk.Run(ctx))
}

// stopMargin is how long a command that was killed has to be waited for and
// cleaned up after, before its worker gives up on it.
const stopMargin = 2 * time.Second

// RunStandard is Run with standard tasks, and with what evaluates the expressions
// of workflows in YAML.
func (w *Worker) RunStandard(ctx context.Context, conn *Connection, log hclog.Logger, t *StandardTasks) error {
	return w.withStandard(log, t, func(with *Worker, tasks *OpenTasks) error {
		return with.Run(ctx, conn, log, tasks.Handle)
	})
}

// RunStandardOn is RunStandard on a store that is open, and stays so.
func (w *Worker) RunStandardOn(ctx context.Context, st store.Store, namespace string, log hclog.Logger, t *StandardTasks) error {
	return w.withStandard(log, t, func(with *Worker, tasks *OpenTasks) error {
		return with.work(ctx, st, namespace, log, tasks.Handle)
	})
}

// withStandard calls do with standard tasks, and with the worker as it has to be
// for them.
func (w *Worker) withStandard(log hclog.Logger, t *StandardTasks, do func(with *Worker, tasks *OpenTasks) error) (err error) {
	if !t.Any() {
		log.Warn("this worker has no tasks and will execute nothing; give it --allow-commands or --allow-http, or build one of your own with package worker")
	}
	tasks, err := t.Open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tasks.Close()) }()
	cel, err := celexpr.New()
	if err != nil {
		return err
	}
	with := *w
	with.Evaluators = append(slices.Clone(w.Evaluators), cel)
	if t.AllowCommands && with.StopWait == 0 {
		with.StopWait = max(worker.DefaultStopWait, cmp.Or(t.KillGrace, commandtask.DefaultKillGrace)+stopMargin)
	}
	return do(&with, tasks)
}
