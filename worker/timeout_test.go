package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// TestTimeoutsAreCommittedEvenIfTheTaskDoesNotReturn also checks that a function
// that does not return keeps its slot.
func TestTimeoutsAreCommittedEvenIfTheTaskDoesNotReturn(t *testing.T) {
	for kind, option := range map[string]workflow.PolicyOption{
		workflow.KindStartToClose:    workflow.StartToClose(3 * time.Second),
		workflow.KindScheduleToClose: workflow.ScheduleToClose(3 * time.Second),
		workflow.KindHeartbeat:       workflow.Heartbeat(3 * time.Second),
	} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, func(w *world) {
				hang := make(chan struct{})
				causes := make(chan error, 1)
				wf := single("flow", func(ctx context.Context, x int) (int, error) {
					if x == 2 {
						return x, nil
					}
					<-ctx.Done()
					causes <- context.Cause(ctx)
					<-hang
					return x, nil
				}, option)
				w.coordinator()
				w.work(worker.Config{Slots: 1}, serve(wf))
				h := w.start("r", wf, "1")
				w.offer(h, 0)
				begin := time.Now()
				if f := w.fails("r"); f.Kind != kind || !errors.Is(f, grapnel.ErrTimedOut) || !strings.Contains(f.Message, "3s") {
					t.Errorf("failure is %+v", f)
				}
				if d := time.Since(begin); d < 3*time.Second-time.Millisecond || d > 3*time.Second+10*time.Millisecond {
					t.Errorf("failed after %v", d)
				}
				if cause := <-causes; !errors.Is(cause, grapnel.ErrTimedOut) {
					t.Errorf("the task's context ended with %v", cause)
				}
				w.noClaims()
				w.offer(w.start("next", wf, "2"), 0)
				faketime.Pass(time.Minute)
				if h, err := w.runs.Load(w.t.Context(), "next"); err != nil || ended(h) {
					t.Errorf("another node was executed in the slot of a function that has not returned (%v)", err)
				}
				close(hang)
				w.until("next", ended)
			})
		})
	}
}

func TestATaskThatSendsHeartbeatsGoesOn(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			for i := range 30 {
				faketime.Pass(time.Second)
				if err := task.Heartbeat(ctx, i); err != nil {
					return 0, err
				}
			}
			return x, nil
		}, workflow.Heartbeat(2*time.Second))
		w.start("r", wf, "1")
		w.work(worker.Config{}, serve(wf))
		w.completes("r")
		var progress []string
		for _, ev := range w.history(w.keys.Claims("r")) {
			m := &pb.Claim{}
			if !ev.Deleted && decode(t, ev.KV, m) && m.Progress != nil {
				progress = append(progress, string(m.Progress))
			}
		}
		if len(progress) < 10 || progress[len(progress)-1] != "29" {
			t.Errorf("progress was %v", progress)
		}
		if n := len(w.mem.Leases()); n != 1 {
			t.Errorf("%d leases are left beside the session's", n-1)
		}
	})
}

func TestAStoppedClaimEndsItsTaskWithTheCause(t *testing.T) {
	for kind, want := range map[string]error{
		workflow.KindCancelled:       grapnel.ErrCancelled,
		workflow.KindRunTimeout:      grapnel.ErrTimedOut,
		workflow.KindScheduleToClose: grapnel.ErrTimedOut,
		workflow.KindLost:            grapnel.ErrClaimLost,
		"refused":                    grapnel.ErrCancelled,
	} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, func(w *world) {
				fences, causes := make(chan grapnel.Fence, 1), make(chan error, 1)
				wf := single("flow", func(ctx context.Context, x int) (int, error) {
					fences <- task.InfoFrom(ctx).Fence
					<-ctx.Done()
					causes <- errors.Join(context.Cause(ctx), task.Heartbeat(ctx, nil))
					return x, nil
				})
				w.coordinator()
				w.work(worker.Config{}, serve(wf))
				h := w.start("r", wf, "1")
				w.offer(h, 0)
				fence := <-fences
				// The owner deletes the claim, with the head, and says so.
				head, err := w.mem.Get(w.t.Context(), w.keys.Head("r"))
				if err != nil {
					t.Fatal(err)
				}
				w.commit(store.Put(head.Key, head.Value, 0), store.Delete(w.keys.Claim("r", "0")))
				w.send(&pb.Message{Stops: []*pb.Stop{{Run: "r", Node: 0, Fence: int64(fence), Kind: kind, Reason: "because"}}})
				if cause := <-causes; !errors.Is(cause, want) || !strings.Contains(cause.Error(), "because") {
					t.Errorf("the task's context ended with %v, want %v", cause, want)
				}
				synctest.Wait()
				if now, err := w.runs.Load(w.t.Context(), "r"); err != nil || now.State.Nodes[0].Status != grapnel.NodePending {
					t.Errorf("the stopped execution committed something (%v)", err)
				}
			})
		})
	}
}

func TestAFailureEndsTheOtherTasksOfTheRun(t *testing.T) {
	inWorld(t, func(w *world) {
		causes := make(chan error, 1)
		bad := workflow.TaskFunc("bad", func(context.Context, int) (int, error) {
			faketime.Pass(time.Second)
			return 0, errBoom
		})
		long := workflow.TaskFunc("long", func(ctx context.Context, x int) (int, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return x, nil
		})
		wf := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
			workflow.Do(g, bad, in)
			return workflow.Do(g, long, in)
		})
		w.start("r", wf, "1")
		w.work(worker.Config{}, serve(wf))
		if f := w.fails("r"); f.Kind != workflow.KindError || f.Message != "boom" {
			t.Errorf("failure is %+v", f)
		}
		if cause := <-causes; !errors.Is(cause, grapnel.ErrCancelled) {
			t.Errorf("the other task's context ended with %v", cause)
		}
		w.noClaims()
	})
}

func TestOffersThatArePastAreGivenBackUnexecuted(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		wf := chain(2, &calls)
		w.coordinator()
		w.work(worker.Config{}, serve(wf))
		h := w.start("r", wf, "1")
		w.offer(h, 1) // waits for node 0
		synctest.Wait()
		if n := calls.of("n1"); n != 0 {
			t.Errorf("a node that waits for another was executed %d times", n)
		}
		w.noClaims()
		w.offer(h, 0)
		w.completes("r")
		w.offer(h, 0, 1)
		synctest.Wait()
		if a, b := calls.of("n0"), calls.of("n1"); a != 1 || b != 1 {
			t.Errorf("%d and %d executions, want 1 and 1", a, b)
		}
		w.noClaims()
	})
}

func TestACoveredNodeIsNotExecutedByAnotherWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls counter
		release := make(chan struct{})
		add := workflow.TaskFunc("add", func(ctx context.Context, x int) (int, error) {
			if calls.add(task.InfoFrom(ctx).NodeName); task.InfoFrom(ctx).NodeName == "b" {
				<-release
			}
			return x + 1, nil
		})
		wf := workflow.New("flow", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, add, workflow.Do(g, add, v, workflow.ID("a")), workflow.ID("b"))
		})
		w.coordinator()
		w.work(worker.Config{}, serve(wf))
		h := w.start("r", wf, "1")
		w.offer(h, 0)
		covered := w.until("r", func(h *snapshot.Head) bool { return h.State.Nodes[1].Cover.Fence != 0 })
		w.offer(covered, 1) // as known now
		synctest.Wait()
		w.offer(h, 1) // as known before it was covered
		synctest.Wait()
		if n := calls.of("b"); n != 1 {
			t.Errorf("the covered node is executed %d times", n)
		}
		close(release)
		w.completes("r")
		w.noClaims()
	})
}

func TestMessagesAreDeletedOnceTaken(t *testing.T) {
	for name, o := range map[string][]memstore.Option{
		"many at a time":           nil,
		"as many as a store takes": {memstore.MaxOps(6)},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				wf := single("flow", func(_ context.Context, x int) (int, error) { return x, nil })
				w.coordinator()
				w.work(worker.Config{Slots: 2}, serve(wf))
				h := w.start("r", wf, "1")
				for range 20 {
					w.offer(h, 0)
				}
				w.completes("r")
				faketime.Pass(time.Second) // messages wait for others to be deleted with
				synctest.Wait()
				page, err := w.mem.List(w.t.Context(), store.ListRequest{Prefix: w.keys.Inboxes()})
				if err != nil || len(page.KVs) != 0 {
					t.Errorf("%d messages are left (%v)", len(page.KVs), err)
				}
			}, o...)
		})
	}
}
