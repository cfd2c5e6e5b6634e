package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// diamond is a workflow with a chain, a fork, inline code and a join.
func diamond(calls *counter) *workflow.Workflow[int, string] {
	add := workflow.TaskFunc("add", func(_ context.Context, x int) (int, error) {
		calls.add("add")
		return x + 1, nil
	})
	show := workflow.TaskFunc("show", func(_ context.Context, xs []int) (string, error) {
		calls.add("show")
		return fmt.Sprint(xs), nil
	})
	return workflow.New("diamond", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[string] {
		v = workflow.Do(g, add, v, workflow.ID("first"))
		v = workflow.Inline(g, "double", func(x int) int { return 2 * x }, v)
		v = workflow.Do(g, add, v, workflow.ID("second"))
		left := workflow.Do(g, add, v, workflow.ID("left"))
		right := workflow.Inline(g, "negate", func(x int) int { return -x }, workflow.Do(g, add, v, workflow.ID("right")))
		return workflow.Do(g, show, workflow.Gather(g, "both", left, right))
	})
}

// touchesRuns tells a commit that concerns runs from those of sessions.
func touchesRuns(t store.Txn) bool {
	for _, op := range t.Then {
		if strings.Contains(op.Key, "/run/") {
			return true
		}
	}
	return false
}

// ways are the ways in which a commit fails, or seems to.
func ways() map[string]func(commit func() (store.Result, error)) (store.Result, error) {
	errReply := fmt.Errorf("%w: the reply was lost", grapnel.ErrUnknown)
	type commit = func() (store.Result, error)
	return map[string]func(commit commit) (store.Result, error){
		"refused": func(commit) (store.Result, error) { return store.Result{}, grapnel.ErrUnavailable },
		"lost before it was applied": func(commit) (store.Result, error) {
			return store.Result{}, errReply
		},
		"applied, reply lost": func(commit commit) (store.Result, error) {
			_, err := commit()
			return store.Result{}, errors.Join(errReply, err)
		},
		"applied at once, answered late": func(commit commit) (store.Result, error) {
			res, err := commit()
			faketime.Pass(time.Second)
			return res, err
		},
		"applied late": func(commit commit) (store.Result, error) {
			time.AfterFunc(time.Millisecond/2, func() { _, _ = commit() })
			return store.Result{}, errReply
		},
		"applied very late": func(commit commit) (store.Result, error) {
			time.AfterFunc(2*time.Second, func() { _, _ = commit() })
			return store.Result{}, errReply
		},
	}
}

// nthFails makes the nth commit that concerns runs fail in a way, and returns
// how many there have been.
func (w *world) nthFails(nth int, way func(commit func() (store.Result, error)) (store.Result, error)) (seen func() int) {
	var mu sync.Mutex
	commits := 0
	w.st.set(func(t store.Txn, commit func() (store.Result, error)) (store.Result, error) {
		if !touchesRuns(t) {
			return commit()
		}
		mu.Lock()
		commits++
		hit := commits == nth
		mu.Unlock()
		if hit {
			return way(commit)
		}
		return commit()
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return commits
	}
}

// TestOwnCommitIsRecognisedWhateverItsReply makes each commit in turn fail in
// each way, and expects that nothing shows: no task is executed twice, for no
// claim is lost, and the run ends as it should.
func TestOwnCommitIsRecognisedWhateverItsReply(t *testing.T) {
	for name, way := range ways() {
		for nth := 1; nth <= 12; nth++ {
			t.Run(fmt.Sprintf("%s/%d", name, nth), func(t *testing.T) {
				inWorld(t, func(w *world) {
					var calls counter
					wf := diamond(&calls)
					w.start("r", wf, "1")
					seen := w.nthFails(nth, way)
					log, logged := logs()
					r := w.work(worker.Config{Logger: log}, serve(wf))
					if out := w.completes("r"); out != `"[6 -6]"` {
						t.Errorf("output is %s", out)
					}
					if add, show := calls.of("add"), calls.of("show"); add != 4 || show != 1 {
						t.Errorf("%d and %d calls, want 4 and 1", add, show)
					}
					if n := seen(); n < nth && nth <= 7 {
						t.Errorf("there were %d commits only", n)
					}
					r.drain()
					faketime.Pass(3 * time.Second) // until what is late has come
					w.noClaims()
					if strings.Contains(logged(), "outcome discarded") {
						t.Errorf("the worker was told that its own commit does not count:\n%s", logged())
					}
				})
			})
		}
	}
}

func TestAnOutageShorterThanTheTTLShowsNowhere(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		out := make(chan struct{})
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			calls.add("task")
			<-out
			return x, ctx.Err()
		})
		w.start("r", wf, "1")
		w.work(worker.Config{TTL: 10 * time.Second}, serve(wf))
		synctest.Wait()
		faketime.Pass(time.Minute)
		w.mem.Fail(func(bool) error { return grapnel.ErrUnavailable })
		close(out)
		faketime.Pass(4 * time.Second)
		w.mem.Fail(nil)
		w.completes("r")
		if n := calls.of("task"); n != 1 {
			t.Errorf("%d executions, want 1", n)
		}
	})
}

// TestAProcessThatSleptPastItsLeaseCommitsNothing is a process that is stopped
// for longer than its TTL and knows nothing of it.
func TestAProcessThatSleptPastItsLeaseCommitsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.losses = true
		var calls counter
		wf := single("flow", func(_ context.Context, _ int) (int, error) {
			n := calls.add("task")
			if n == 1 {
				for _, id := range w.mem.Leases() {
					w.mem.ExpireLease(id)
				}
			}
			return n, nil
		})
		w.start("r", wf, "1")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != "2" {
			t.Errorf("output is %s: the overtaken execution's", out)
		}
	})
}

func TestTwoWorkersThatBothExecuteANodeCommitOneOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		w.losses = true
		release := make(chan struct{})
		var calls counter
		wf := single("flow", func(_ context.Context, _ int) (int, error) {
			n := calls.add("task")
			if n == 1 {
				<-release
			}
			return n, nil
		})
		h := w.start("r", wf, "1")
		w.work(worker.Config{Name: "first"}, serve(wf))
		for calls.of("task") == 0 {
			faketime.Pass(time.Second)
		}
		for _, id := range w.mem.Leases() {
			w.mem.ExpireLease(id)
		}
		w.work(worker.Config{Name: "second"}, serve(wf))
		if out := w.completes("r"); out != "2" {
			t.Errorf("output is %s, want the second execution's", out)
		}
		before := w.mem.Revision()
		close(release)
		synctest.Wait()
		head, err := w.mem.Get(w.t.Context(), w.keys.Head(h.Run))
		if err != nil || head.Mod > before {
			t.Errorf("the late outcome wrote revision %d (%v)", head.Mod, err)
		}
	})
}

func TestOneOutcomeAlthoughAClaimIsGoneThatItsWorkerStillTrusts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.losses = true
		release := make(chan struct{})
		var calls counter
		wf := single("flow", func(_ context.Context, _ int) (int, error) {
			n := calls.add("task")
			if n == 1 {
				<-release
			}
			return n, nil
		})
		w.start("r", wf, "1")
		w.work(worker.Config{}, serve(wf))
		for calls.of("task") == 0 {
			faketime.Pass(time.Second)
		}
		for _, id := range w.mem.Leases() {
			w.mem.ExpireLease(id)
		}
		close(release) // at a time when nobody else has written the head
		if out := w.completes("r"); out != "2" {
			t.Errorf("output is %s, want that of the execution whose claim was there", out)
		}
	})
}

func TestALostSessionEndsItsTasksAndAnotherOneBegins(t *testing.T) {
	inWorld(t, func(w *world) {
		w.losses = true
		var calls counter
		causes := make(chan error, 1)
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			if calls.add("task") > 1 {
				return x, nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return 0, ctx.Err()
		})
		w.start("r", wf, "1")
		w.work(worker.Config{TTL: 5 * time.Second, Margin: time.Second}, serve(wf))
		first, _ := w.worker()
		for calls.of("task") == 0 {
			faketime.Pass(time.Second)
		}
		// From now on nothing gets through. Only the worker's own clock tells it
		// that it must stop, a margin before the lease runs out.
		w.st.deaf.Store(true)
		select {
		case cause := <-causes:
			if !errors.Is(cause, grapnel.ErrClaimLost) {
				t.Errorf("the task's context ended with %v", cause)
			}
		case <-time.After(4 * time.Second):
			t.Error("the task's context has not ended a margin before the lease runs out")
		}
		w.st.deaf.Store(false)
		if out := w.completes("r"); out != "1" {
			t.Errorf("output is %s", out)
		}
		if second, _ := w.worker(); second.Worker == first.Worker {
			t.Errorf("the new session has the old id %s", first.Worker)
		}
	})
}

func TestOutcomesOfOneRunShareCommits(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 30
		one := workflow.TaskFunc("one", func(ctx context.Context, x int) (int, error) { return x, nil })
		sum := workflow.TaskFunc("sum", func(_ context.Context, xs []int) (int, error) {
			s := 0
			for _, x := range xs {
				s += x
			}
			return s, nil
		})
		wf := workflow.New("fan", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
			var vs []workflow.Value[int]
			for i := range n {
				vs = append(vs, workflow.Do(g, one, in, workflow.ID(fmt.Sprintf("n%d", i))))
			}
			return workflow.Do(g, sum, workflow.Gather(g, "all", vs...))
		})
		w.start("r", wf, "2")
		var mu sync.Mutex
		commits := 0
		w.st.set(func(t store.Txn, commit func() (store.Result, error)) (store.Result, error) {
			if len(t.Then) > 0 && t.Then[0].Key == w.keys.Head("r") {
				mu.Lock()
				commits++
				mu.Unlock()
				faketime.Pass(10 * time.Second) // while the others finish
			}
			return commit()
		})
		w.work(worker.Config{Slots: 40, TTL: time.Minute}, serve(wf))
		if out := w.completes("r"); out != "60" {
			t.Errorf("output is %s, want 60", out)
		}
		if commits > 4 {
			t.Errorf("%d commits for %d nodes", commits, n+1)
		}
		w.noClaims()
	})
}

func TestACommitThatIsTooLargeFailsItsNodeAndNoOther(t *testing.T) {
	inWorld(t, func(w *world) {
		// The store takes less than a payload's limit.
		w.st.set(func(t store.Txn, commit func() (store.Result, error)) (store.Result, error) {
			size := 0
			for _, op := range t.Then {
				size += len(op.Value)
			}
			if size > 10_000 {
				return store.Result{}, grapnel.ErrTooLarge
			}
			return commit()
		})
		wf := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[workflow.None]) workflow.Value[string] {
			return workflow.Do(g, workflow.TaskFunc("big", func(context.Context, workflow.None) (string, error) {
				return strings.Repeat("x", 20_000), nil
			}), in)
		})
		w.start("r", wf, "null")
		w.work(worker.Config{}, serve(wf))
		if f := w.fails("r"); f.Kind != workflow.KindTooLarge {
			t.Errorf("failure is %+v", f)
		}
		w.noClaims()
	})
}

func TestARunDoesNotEndOverAWaitingEvent(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := single("flow", func(_ context.Context, x int) (int, error) { return x, nil })
		h := w.start("r", wf, "1")
		if err := w.runs.Send(w.t.Context(), h, snapshot.RunEvent{ID: "e", Kind: snapshot.EventCancel, Instance: h.Instance}); err != nil {
			t.Fatal(err)
		}
		w.work(worker.Config{}, serve(wf))
		h = w.until("r", func(h *snapshot.Head) bool { return h.State.Open() == 0 })
		if h.State.Status != grapnel.RunRunning || !h.State.Finished() {
			t.Errorf("the run is %v, finished: %v", h.State.Status, h.State.Finished())
		}
		w.noClaims()
	})
}

func TestNothingStartsAfterACancel(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		wf := chain(1, &calls)
		w.coordinator()
		w.work(worker.Config{}, serve(wf))
		h := w.start("r", wf, "1")
		_, err := w.runs.Update(w.t.Context(), h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
			_, err := h.Advance(workflow.RunCancelled{Now: h.State.Clock})
			return snapshot.Change{}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.offer(h, 0) // made before the cancel
		synctest.Wait()
		if n := calls.of("n0"); n != 0 {
			t.Errorf("%d attempts have started", n)
		}
		w.noClaims()
	})
}
