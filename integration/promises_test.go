package integration_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// scenario is something that a user does with a cluster. It must come to the
// same end whichever single store call fails, and however.
type scenario struct {
	coordinators int // zero is one
	workers      int // zero is two
	flows        []workflow.Any
	play         func(t *testing.T, c *cluster)
}

var add = workflow.TaskFunc("add", func(_ context.Context, n int) (int, error) { return n + 1, nil })

func chainOf(n int) *workflow.Workflow[int, int] {
	return workflow.New("chain", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		for i := range n {
			v = workflow.Do(g, add, v, workflow.ID(fmt.Sprintf("step-%d", i)))
		}
		return v
	})
}

var forkJoin = workflow.New("fork-join", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
	var branches []workflow.Value[int]
	for i := range 3 {
		branches = append(branches, workflow.Do(g, add, v, workflow.ID(fmt.Sprintf("branch-%d", i))))
	}
	sum := workflow.Inline(g, "sum", func(ns []int) int {
		total := 0
		for _, n := range ns {
			total += n
		}
		return total
	}, workflow.Gather(g, "all", branches...))
	return workflow.Do(g, add, sum, workflow.ID("last"))
})

// mustRun starts a run and waits for its output. A start that the store refuses
// is the caller's to repeat, with the same id.
func mustRun(t *testing.T, c *cluster, w *workflow.Workflow[int, int], in, want int) {
	t.Helper()
	mustRunAs(t, c, w, "the-run", in, want)
}

func mustRunAs(t *testing.T, c *cluster, w *workflow.Workflow[int, int], id grapnel.RunID, in, want int) {
	t.Helper()
	mustEnd(t, mustStartAs(t, c, w, id, in), want)
}

// mustEnd waits for a run's output.
func mustEnd(t *testing.T, run *client.Run[int], want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for {
		got, err := run.Wait(ctx)
		if errors.Is(err, grapnel.ErrUnavailable) {
			continue
		}
		if err != nil || got != want {
			t.Fatalf("nothing lost: output is %d, %v; want %d", got, err, want)
		}
		return
	}
}

func mustStart(t *testing.T, c *cluster, w *workflow.Workflow[int, int], in int) *client.Run[int] {
	t.Helper()
	return mustStartAs(t, c, w, "the-run", in)
}

func mustStartAs(t *testing.T, c *cluster, w *workflow.Workflow[int, int], id grapnel.RunID, in int) *client.Run[int] {
	t.Helper()
	for {
		run, err := client.Start(t.Context(), c.client, w, in, client.WithID(id), client.OnConflict(client.UseExisting))
		if errors.Is(err, grapnel.ErrUnavailable) {
			continue
		}
		if err != nil {
			t.Fatalf("start: %v", err)
		}
		return run
	}
}

// mostCalls is how many calls a scenario may make for each of them to fail in
// each way. Of longer ones, in which a coordinator takes 256 shards over by as
// many commits, only a part of the calls fails, evenly spread and each in one
// way, unless the variable everyCall is set.
const (
	mostCalls = 50
	everyCall = "GRAPNEL_TEST_EVERY_CALL"
)

// eachFault plays a scenario once without a fault, counting the store's calls,
// and then once for every call and every way in which it can fail.
func eachFault(t *testing.T, s func() scenario) {
	t.Helper()
	calls := 0
	play := func(t *testing.T, plan *faultstore.Plan) {
		synctest.Test(t, func(t *testing.T) {
			sc := s()
			c := newCluster(t, max(sc.coordinators, 1), cmp.Or(sc.workers, 2), sc.flows...)
			if plan != nil {
				p := faultstore.Plan{Call: c.base + plan.Call, Fault: plan.Fault}
				c.faults.SetRule(p.Rule())
			}
			sc.play(t, c)
			synctest.Wait()
			if plan == nil {
				calls = c.faults.Calls() - c.base
			}
			c.close()
		})
	}
	t.Run("no-fault", func(t *testing.T) { play(t, nil) })
	stride := 1
	if os.Getenv(everyCall) == "" {
		stride = calls/mostCalls + 1
	}
	for plan := range faultstore.EachCall(calls + 3) {
		if (plan.Call+int(plan.Fault))%stride != 0 {
			continue
		}
		t.Run(plan.String(), func(t *testing.T) { play(t, &plan) })
	}
}

func TestNothingLostInAChain(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		flow := chainOf(3)
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) { mustRun(t, c, flow, 1, 4) }}
	})
}

func TestOrderInAForkWithAJoin(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		return scenario{flows: []workflow.Any{forkJoin}, play: func(t *testing.T, c *cluster) { mustRun(t, c, forkJoin, 1, 7) }}
	})
}

func TestOneOutcomeOfATaskThatIsRetried(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		var calls atomic.Int64
		flaky := workflow.TaskFunc("flaky", func(_ context.Context, n int) (int, error) {
			if calls.Add(1) == 1 {
				return 0, errors.New("not yet")
			}
			return n + 1, nil
		}, workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
		flow := workflow.New("retried", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, flaky, v)
		})
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) { mustRun(t, c, flow, 1, 2) }}
	})
}

func TestCancelHolds(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		started := make(chan struct{}, 100)
		wait := workflow.TaskFunc("wait", func(ctx context.Context, n int) (int, error) {
			started <- struct{}{}
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		flow := workflow.New("cancelled", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, add, workflow.Do(g, wait, v))
		})
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			<-started
			for {
				err := c.client.Cancel(t.Context(), run.ID(), "enough")
				if err == nil {
					break
				}
				if !errors.Is(err, grapnel.ErrUnavailable) {
					t.Fatalf("cancel: %v", err)
				}
			}
			if got := c.ended(run.ID()); got != grapnel.RunCancelled {
				t.Fatalf("cancel holds: the run is %v", got)
			}
		}}
	})
}
