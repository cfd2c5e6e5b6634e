package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// While a workflow's builds differ in how many items of a map may be under way,
// a worker of the stricter one admits items that others have begun with already.
// It must not go on with them under a claim of its own.
func TestOneClaimForANodeWhereWorkersDifferOverParallelItems(t *testing.T) {
	inWorld(t, func(w *world) {
		type V[T any] = workflow.Value[T]
		var calls counter
		build := func(parallel int) *workflow.Workflow[[]int, []int] {
			nap := workflow.TaskFunc("nap", func(_ context.Context, seconds int) (int, error) {
				calls.add(fmt.Sprint(seconds))
				faketime.Pass(time.Duration(seconds) * time.Second)
				return seconds, nil
			})
			return workflow.New("naps", func(g *workflow.Graph, in V[[]int]) V[[]int] {
				return workflow.Map(g, "each", in, func(g *workflow.Graph, n V[int]) V[int] {
					return workflow.Do(g, nap, n)
				}, workflow.Parallel(parallel))
			})
		}
		strict := build(1)
		w.start("r", strict, "[5,40,41,42]")
		w.work(worker.Config{Slots: 1, Name: "strict"}, serve(strict))
		w.until("r", func(h *snapshot.Head) bool { return len(h.State.Nodes) > 2 })
		faketime.Pass(time.Second)
		w.work(worker.Config{Slots: 3, Name: "lax"}, serve(build(4)))
		if out := w.completes("r"); out != "[5,40,41,42]" {
			t.Errorf("output is %s", out)
		}
		for _, n := range []int{5, 40, 41, 42} {
			if c := calls.of(fmt.Sprint(n)); c != 1 {
				t.Errorf("item %d was executed %d times", n, c)
			}
		}
		w.noClaims()
		w.audited()
	})
}
