package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// naps is a workflow that naps for each of some seconds, parallel naps at a time.
func naps(calls *counter, parallel int) *workflow.Workflow[[]int, []int] {
	type V[T any] = workflow.Value[T]
	nap := workflow.TaskFunc("nap", func(_ context.Context, seconds int) (int, error) {
		calls.add(fmt.Sprint(seconds))
		faketime.Pass(time.Duration(seconds) * time.Second)
		return seconds, nil
	}, workflow.ScheduleToClose(time.Hour))
	return workflow.New("naps", func(g *workflow.Graph, in V[[]int]) V[[]int] {
		return workflow.Map(g, "each", in, func(g *workflow.Graph, n V[int]) V[int] {
			return workflow.Do(g, nap, n)
		}, workflow.Parallel(parallel))
	})
}

// While a workflow's builds differ in how many items of a map may be under way,
// a worker of the stricter one admits items that others have begun with already.
// It must not go on with them under a claim of its own.
func TestOneClaimForANodeWhereWorkersDifferOverParallelItems(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		strict := naps(&calls, 1)
		w.start("r", strict, "[5,40,41,42]")
		w.work(worker.Config{Slots: 1, Name: "strict"}, serve(strict))
		w.until("r", func(h *snapshot.Head) bool { return len(h.State.Nodes) > 2 })
		faketime.Pass(time.Second)
		w.work(worker.Config{Slots: 3, Name: "lax"}, serve(naps(&calls, 4)))
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

// Whoever offers an item has admitted it. A worker of a stricter build that gave
// it back would be offered it again and again.
func TestAWorkerExecutesTheItemsThatItIsOffered(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		w.coordinator()
		strict, began := naps(&calls, 1), time.Now()
		w.work(worker.Config{Slots: 4}, serve(strict))
		w.offer(w.start("r", strict, "[5,3]"), 0)
		h := w.until("r", func(h *snapshot.Head) bool { return len(h.State.Nodes) > 2 })
		faketime.Pass(time.Second)
		for slot := 2; slot < 4; slot++ {
			o := offerOf(h, slot)
			o.Node, o.Key = h.KeyForMessage(slot)
			w.send(&pb.Message{Clock: time.Now().UnixMilli(), Offers: []*pb.Offer{o}})
		}
		if out := w.completes("r"); out != "[5,3]" {
			t.Errorf("output is %s", out)
		}
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("it took %v, as long as one item after the other", took)
		}
		if five, three := calls.of("5"), calls.of("3"); five != 1 || three != 1 {
			t.Errorf("naps of 5 s: %d, of 3 s: %d", five, three)
		}
		w.noClaims()
		w.audited()
	})
}
