package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func decode(t *testing.T, kv store.KV, m proto.Message) bool {
	t.Helper()
	if err := proto.Unmarshal(kv.Value, m); err != nil {
		t.Error(err)
		return false
	}
	return true
}

// sessions returns how many sessions and leases there are.
func (w *world) sessions() (int, int) {
	w.t.Helper()
	page, err := w.mem.List(w.t.Context(), store.ListRequest{Prefix: w.keys.Workers()})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(page.KVs), len(w.mem.Leases())
}

func TestDrainLetsTasksFinishWithinTheGraceAndStartsNoMore(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		begun := make(chan struct{})
		slow := workflow.TaskFunc("slow", func(_ context.Context, x int) (int, error) {
			if calls.add("slow") == 1 {
				close(begun)
			}
			faketime.Pass(10 * time.Second)
			return x + 1, nil
		})
		wf := workflow.New("flow", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, slow, workflow.Do(g, slow, v, workflow.ID("a")), workflow.ID("b"))
		})
		w.start("r", wf, "1")
		r := w.work(worker.Config{}, serve(wf))
		<-begun
		begin := time.Now()
		go func() {
			faketime.Pass(time.Second)
			page, err := w.mem.List(w.t.Context(), store.ListRequest{Prefix: w.keys.Workers()})
			if err != nil || len(page.KVs) != 1 {
				t.Errorf("%d sessions while draining (%v)", len(page.KVs), err)
				return
			}
			if p, err := snapshot.DecodeProfile(page.KVs[0]); err != nil || !p.Draining {
				t.Errorf("the session does not say that it is draining (%v)", err)
			}
		}()
		r.drain()
		if d := time.Since(begin); d > 11*time.Second {
			t.Errorf("drained after %v", d)
		}
		h, err := w.runs.Load(w.t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		if a, b := h.State.Nodes[0].Status, h.State.Nodes[1].Status; a != grapnel.NodeCompleted || b != grapnel.NodePending {
			t.Errorf("nodes are %v and %v", a, b)
		}
		if n := calls.of("slow"); n != 1 {
			t.Errorf("%d tasks were started", n)
		}
		if s, l := w.sessions(); s != 0 || l != 0 {
			t.Errorf("%d sessions and %d leases are left", s, l)
		}
		w.noClaims()
	})
}

// TestARelease is not a loss: checkHistory sees to it that a claim is deleted
// with its head.
func TestTasksThatAreStoppedAreGivenBackAndNotFailed(t *testing.T) {
	inWorld(t, func(w *world) {
		causes := make(chan error, 1)
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return x, ctx.Err()
		})
		w.coordinator()
		r := w.work(worker.Config{Grace: time.Second}, serve(wf))
		w.offer(w.start("r", wf, "1"), 0)
		synctest.Wait()
		r.drain()
		if cause := <-causes; !errors.Is(cause, grapnel.ErrStopping) {
			t.Errorf("the task's context ended with %v", cause)
		}
		h, err := w.runs.Load(w.t.Context(), "r")
		if err != nil || h.State.Nodes[0].Status != grapnel.NodePending || h.State.Nodes[0].Trouble != nil {
			t.Errorf("the node was not just given back: %+v (%v)", h.State.Nodes[0], err)
		}
		w.noClaims()
	})
}

func TestASuccessAfterTheGraceStillCounts(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			<-ctx.Done()
			faketime.Pass(time.Second)
			return x, nil
		})
		w.coordinator()
		log, logged := logs()
		r := w.work(worker.Config{Grace: -1, Logger: log}, serve(wf))
		w.offer(w.start("r", wf, "1"), 0)
		synctest.Wait()
		r.drain()
		w.completes("r")
		if text := logged(); !strings.Contains(text, "stopping tasks") || strings.Contains(text, "[WARN]") {
			t.Errorf("no grace was wanted, and the log is\n%s", text)
		}
	})
}

func TestDrainLeavesFunctionsBehindThatDoNotReturn(t *testing.T) {
	inWorld(t, func(w *world) {
		hang := make(chan struct{})
		wf := single("flow", func(_ context.Context, x int) (int, error) {
			<-hang
			return x, nil
		})
		w.coordinator()
		r := w.work(worker.Config{Grace: time.Second, StopWait: 2 * time.Second}, serve(wf))
		w.offer(w.start("r", wf, "1"), 0)
		synctest.Wait()
		begin := time.Now()
		r.drain()
		if d := time.Since(begin); d > 4*time.Second {
			t.Errorf("drained after %v", d)
		}
		w.noClaims()
		close(hang)
		synctest.Wait()
		if h, err := w.runs.Load(w.t.Context(), "r"); err != nil || h.State.Nodes[0].Status != grapnel.NodePending {
			t.Errorf("the result of a function that was left behind counted (%v)", err)
		}
	})
}

func TestDrainWaitsForFunctionsWhoseAttemptsAreOver(t *testing.T) {
	inWorld(t, func(w *world) {
		var returned atomic.Bool
		wf := single("flow", func(_ context.Context, x int) (int, error) {
			faketime.Pass(4 * time.Second)
			returned.Store(true)
			return x, nil
		}, workflow.StartToClose(time.Second))
		w.coordinator()
		r := w.work(worker.Config{Grace: -1, StopWait: 5 * time.Second}, serve(wf))
		w.offer(w.start("r", wf, "1"), 0)
		w.until("r", func(h *snapshot.Head) bool { return h.State.Status == grapnel.RunFailed })
		if returned.Load() {
			t.Fatal("the function returned before its attempt was over")
		}
		r.drain()
		if !returned.Load() {
			t.Error("the worker did not wait for the function")
		}
	})
}

func TestDrainEndsWithoutTheStore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.losses = true
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			<-ctx.Done()
			return x, nil
		})
		w.coordinator()
		r := w.work(worker.Config{Grace: time.Second}, serve(wf))
		w.offer(w.start("r", wf, "1"), 0)
		synctest.Wait()
		w.mem.Fail(func(bool) error { return grapnel.ErrUnavailable })
		begin := time.Now()
		r.drain()
		if d := time.Since(begin); d > 12*time.Second {
			t.Errorf("drained after %v", d)
		}
		w.mem.Fail(nil)
	})
}
