package worker_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestASessionSaysWhatTheWorkerCanRun(t *testing.T) {
	inWorld(t, func(w *world) {
		// An older build of the workflow, of which one inline function is left,
		// and one of which it is not.
		build := func(inline ...string) *workflow.Workflow[int, int] {
			return workflow.New("flow", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
				for _, name := range inline {
					v = workflow.Inline(g, name, func(x int) int { return x + 1 }, v)
				}
				return v
			})
		}
		now, older, foreign := build("a", "b"), build("b"), build("a", "c")
		w.start("old", older, "1")
		w.start("foreign", foreign, "1")
		w.work(worker.Config{Name: "me", Queues: []string{"q", "default"}, Tags: []string{"gpu"}, Slots: 3}, func(wk *worker.Worker) {
			wk.Serve(now)
			for _, v := range []string{"2", "1"} {
				wk.HandleRaw("task", v, func(context.Context, []byte) ([]byte, error) { return nil, nil })
			}
		})
		p, _ := w.worker()
		var want []string
		for _, wf := range []workflow.Any{now, older} {
			def, err := wf.Definition()
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, def.Hash())
		}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(p.Definitions)); !slices.Equal(got, want) {
			t.Errorf("definitions are %v, want %v", got, want)
		}
		if !strings.HasPrefix(string(p.Worker), "me.") || p.Slots != 3 || p.Draining ||
			fmt.Sprint(p.Queues, p.Tags, p.Tasks) != "[q default] [gpu] map[task:[1 2]]" {
			t.Errorf("profile is %+v", p)
		}
		if out := w.completes("old"); out != "2" {
			t.Errorf("output of the older build's run is %s", out)
		}
		if h, err := w.runs.Load(w.t.Context(), "foreign"); err != nil || ended(h) {
			t.Errorf("a run was executed whose inline code is not here (%v)", err)
		}
	})
}

func TestOffersThatCannotBeExecutedAreLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		wf := chain(1, &calls)
		w.coordinator()
		w.work(worker.Config{}, serve(wf))
		h := w.start("r", wf, "1")
		other := w.start("other", single("other", func(_ context.Context, x int) (int, error) { return x, nil }), "1")
		wrong := []*pb.Offer{offerOf(h, 0), offerOf(h, 0), offerOf(h, 0), offerOf(other, 0)}
		wrong[0].Node = 7
		wrong[1].Definition = "unknown"
		wrong[2].Instance++
		for _, o := range wrong {
			w.send(&pb.Message{Offers: []*pb.Offer{o}})
			synctest.Wait()
		}
		if n := calls.of("n0"); n != 0 {
			t.Errorf("%d executions", n)
		}
		w.noClaims()
		w.offer(h, 0)
		w.completes("r")
	})
}

func TestAWorkerExecutesAtMostAsManyNodesAsItHasSlots(t *testing.T) {
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		running, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		wf := single("flow", func(_ context.Context, x int) (int, error) {
			count(1)
			defer count(-1)
			faketime.Pass(10 * time.Second) // longer than a worker seeks for another node
			return x, nil
		})
		for i := range 8 {
			w.start(grapnel.RunID(fmt.Sprint(i)), wf, "1")
		}
		w.work(worker.Config{Slots: 3}, serve(wf))
		for i := range 8 {
			w.completes(grapnel.RunID(fmt.Sprint(i)))
		}
		if most != 3 {
			t.Errorf("%d nodes were executed at a time, want 3", most)
		}
	})
}

func TestGoexitIsAFailure(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := single("flow", func(context.Context, int) (int, error) {
			runtime.Goexit()
			return 0, nil
		})
		w.start("r", wf, "1")
		w.work(worker.Config{}, serve(wf))
		if f := w.fails("r"); f.Kind != workflow.KindPanic || !strings.Contains(f.Message, "Goexit") {
			t.Errorf("failure is %+v", f)
		}
	})
}

func TestTheOutcomeOfADeletedRunIsDiscarded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.losses = true
		begun, deleted := make(chan struct{}), make(chan struct{})
		wf := single("flow", func(_ context.Context, x int) (int, error) {
			close(begun)
			<-deleted
			return x, nil
		})
		log, logged := logs()
		w.coordinator()
		w.work(worker.Config{Logger: log}, serve(wf))
		h := w.start("r", wf, "1")
		w.offer(h, 0)
		<-begun
		if err := w.runs.Delete(w.t.Context(), h); err != nil {
			t.Fatal(err)
		}
		second := w.start("r", wf, "1")
		close(deleted)
		synctest.Wait()
		if now, err := w.runs.Load(w.t.Context(), "r"); err != nil || now.Mod != second.Mod {
			t.Errorf("the run that has taken the id was written (%v)", err)
		}
		if !strings.Contains(logged(), "outcome discarded") {
			t.Errorf("nothing was logged of it:\n%s", logged())
		}
	})
}

func TestALostWatchIsOpenedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		wf := chain(1, &calls)
		w.coordinator()
		w.work(worker.Config{}, serve(wf))
		h := w.start("r", wf, "1")
		synctest.Wait()
		w.st.endWatches()
		w.offer(h, 0)
		w.completes("r")
		if n := calls.of("n0"); n != 1 {
			t.Errorf("%d executions, want 1", n)
		}
	})
}

func TestWithoutACoordinatorAWorkerLooksForItself(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		wf := chain(1, &calls)
		w.coordinator()
		w.work(worker.Config{}, serve(wf))
		w.start("r", wf, "1")
		faketime.Pass(time.Minute)
		if n := calls.of("n0"); n != 0 {
			t.Errorf("a node was executed that the coordinator did not offer")
		}
		if err := w.mem.Revoke(w.t.Context(), w.coordinatorLease); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		w.completes("r")
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("found after %v", d)
		}
	})
}
