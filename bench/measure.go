package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

const (
	chainSteps = 10
	idleRounds = 200
)

var echo = workflow.TaskFunc("echo", func(_ context.Context, n int) (int, error) { return n + 1, nil })

func chain(name string, steps int) *workflow.Workflow[int, int] {
	return workflow.New(name, func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		for i := range steps {
			in = workflow.Do(g, echo, in, workflow.ID(fmt.Sprintf("step-%d", i+1)))
		}
		return in
	})
}

var (
	oneTask = chain("one-task", 1)
	tenStep = chain("ten-step", chainSteps)
)

// measure runs all parts one after the other.
func measure(ctx context.Context, f figures) (figures, error) {
	raw, err := clientv3.New(clientv3.Config{Endpoints: []string{f.etcd.endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		return f, err
	}
	defer func() { _ = raw.Close() }() // nothing is written that its closing could lose
	if f.IdlePutMs, err = idle(ctx, func(ctx context.Context, i int) error { return put(ctx, raw, i) }); err != nil {
		return f, err
	}
	if f.PutsBefore, f.PutCost, err = f.rate(ctx, f.Clients, func(ctx context.Context, i int) error { return put(ctx, raw, i) }); err != nil {
		return f, err
	}
	if err := f.runs(ctx, f.etcd.endpoint); err != nil {
		return f, err
	}
	if f.PutsAfter, _, err = f.rate(ctx, f.Clients, func(ctx context.Context, i int) error { return put(ctx, raw, i) }); err != nil {
		return f, err
	}
	f.OneTaskRatio, f.ChainRatio = f.OneTask/f.puts(), f.Chain/f.puts()
	f.IdleOnePuts = f.IdleOneMs / f.IdlePutMs
	f.IdleStepPuts = (f.IdleChainMs - f.IdleOneMs) / (chainSteps - 1) / f.IdlePutMs
	return f, nil
}

var value = strings.Repeat("x", 256)

func put(ctx context.Context, c *clientv3.Client, i int) error {
	_, err := c.Put(ctx, fmt.Sprintf("/bench/%012d", i), value)
	return err
}

// runs measures what goes through Grapnel.
func (f *figures) runs(ctx context.Context, endpoint string) error {
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{endpoint}, InFlight: f.InFlight})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	c, err := client.New(client.Config{Store: st})
	if err != nil {
		return err
	}
	roles, stop := context.WithCancel(ctx)
	var group errgroup.Group
	defer func() { stop(); _ = group.Wait() }()
	co, err := coordinator.New(coordinator.Config{Store: st, Retention: -1})
	if err != nil {
		return err
	}
	group.Go(func() error { return co.Run(roles) })
	for range f.Workers {
		w, err := worker.New(worker.Config{Store: st, Slots: f.Slots})
		if err != nil {
			return err
		}
		w.Serve(oneTask, tenStep)
		group.Go(func() error { return w.Run(roles) })
	}
	play := func(w *workflow.Workflow[int, int]) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			run, err := client.Start(ctx, c, w, i)
			if err != nil {
				return err
			}
			_, err = run.Wait(ctx)
			return err
		}
	}
	if f.IdleOneMs, err = idle(ctx, play(oneTask)); err != nil {
		return err
	}
	if f.IdleChainMs, err = idle(ctx, play(tenStep)); err != nil {
		return err
	}
	err = f.profiled("one-task", func() error {
		f.OneTask, f.OneTaskCost, err = f.rate(ctx, f.Runs, play(oneTask))
		return err
	})
	if err != nil {
		return err
	}
	var steps float64
	var cost perOperation
	err = f.profiled("ten-step", func() error {
		steps, cost, err = f.rate(ctx, f.Runs, play(tenStep))
		return err
	})
	f.Chain, f.ChainCost = steps*chainSteps, perOperation{Own: cost.Own / chainSteps, Etcd: cost.Etcd / chainSteps}
	return err
}

// rate returns how often per second do is done by so many at once, and the
// processor time that takes.
func (f *figures) rate(ctx context.Context, many int, do func(ctx context.Context, i int) error) (float64, perOperation, error) {
	var next, done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	begin, before := time.Now(), used(f.etcd.pid)
	end := begin.Add(f.part())
	for range many {
		group.Go(func() error {
			for time.Now().Before(end) {
				if err := do(ctx, int(next.Add(1))); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	cost := used(f.etcd.pid).sub(before).per(done.Load())
	return float64(done.Load()) / time.Since(begin).Seconds(), cost, err
}

// idle returns the median time in milliseconds that do takes on its own, after
// some rounds of warming up.
func idle(ctx context.Context, do func(ctx context.Context, i int) error) (float64, error) {
	var took []float64
	for i := range idleRounds + idleRounds/10 {
		begin := time.Now()
		if err := do(ctx, i); err != nil {
			return 0, err
		}
		if i >= idleRounds/10 {
			took = append(took, time.Since(begin).Seconds()*1000)
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
