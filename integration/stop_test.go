package integration_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// TestAFailureStopsTheNodeThatAChainHasGotToOnAnotherWorker: stops name the
// claim, which is that of the chain's first node, and reach what is executed
// under it now.
func TestAFailureStopsTheNodeThatAChainHasGotToOnAnotherWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, fail := make(chan grapnel.WorkerID, 2), make(chan struct{})
		stopped := make(chan error, 1)
		waits := workflow.TaskFunc("waits", func(ctx context.Context, n int) (int, error) {
			began <- task.InfoFrom(ctx).Worker
			<-ctx.Done()
			stopped <- context.Cause(ctx)
			return n, nil
		})
		fails := workflow.TaskFunc("fails", func(ctx context.Context, n int) (int, error) {
			began <- task.InfoFrom(ctx).Worker
			<-fail
			return n, task.Fail("bad", errors.New("on purpose"))
		})
		flow := workflow.New("fails-beside-a-chain", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			chain := workflow.Do(g, waits, workflow.Do(g, add, workflow.Do(g, add, v, workflow.ID("a")), workflow.ID("b")))
			return workflow.Inline(g, "sum", total, workflow.Gather(g, "all", chain, workflow.Do(g, fails, v)))
		})
		c := newCluster(t, 1, 2, flow)
		defer c.close()
		run := mustStart(t, c, flow, 1)
		if a, b := <-began, <-began; a == b {
			t.Fatalf("%s executes both nodes; the test needs two workers", a)
		}
		begin := time.Now()
		faketime.Pass(time.Second)
		close(fail)
		if cause := <-stopped; !errors.Is(cause, grapnel.ErrCancelled) {
			t.Errorf("the chain's node was ended by %v, want it cancelled", cause)
		}
		if late := time.Since(begin); late > 1500*time.Millisecond {
			t.Errorf("the stop took %v", late-time.Second)
		}
		if got := c.ended(run.ID()); got != grapnel.RunFailed {
			t.Errorf("the run is %v, want failed", got)
		}
	})
}
