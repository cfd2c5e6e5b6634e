package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// chain is a workflow of n tasks in a row, each of which adds one.
func chain(n int, calls *counter) *workflow.Workflow[int, int] {
	add := workflow.TaskFunc("add", func(ctx context.Context, x int) (int, error) {
		calls.add(task.InfoFrom(ctx).NodeName)
		return x + 1, nil
	})
	return workflow.New("chain", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		for i := range n {
			v = workflow.Do(g, add, v, workflow.ID(fmt.Sprintf("n%d", i)))
		}
		return v
	})
}

func TestAChainOfNStepsCostsNPlus3KeyOperations(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 7
		var calls counter
		wf := chain(n, &calls)
		w.start("r", wf, "10")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != "17" {
			t.Errorf("output is %s, want 17", out)
		}
		if ops := len(w.history(w.keys.Run("r"))); ops != n+3 {
			t.Errorf("%d key operations, want %d", ops, n+3)
		}
		w.noClaims()
	})
}

func TestAJoinGetsTheOutputsOfAllItsBranchesAndStartsAfterThem(t *testing.T) {
	inWorld(t, func(w *world) {
		branch := workflow.TaskFunc("branch", func(ctx context.Context, x int) (int, error) {
			select {
			case <-time.After(time.Duration(x) * time.Second):
			case <-ctx.Done():
			}
			return x * x, ctx.Err()
		})
		join := workflow.TaskFunc("join", func(_ context.Context, xs []int) (string, error) { return fmt.Sprint(xs), nil })
		wf := workflow.New("join", func(g *workflow.Graph, _ workflow.Value[workflow.None]) workflow.Value[string] {
			var squares []workflow.Value[int]
			for i := range 5 {
				squares = append(squares, workflow.Do(g, branch, workflow.Const(g, 5-i), workflow.ID(fmt.Sprintf("b%d", i))))
			}
			return workflow.Do(g, join, workflow.Gather(g, "squares", squares...))
		})
		w.start("r", wf, "null")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != `"[25 16 9 4 1]"` {
			t.Errorf("output is %s", out)
		}
		w.noClaims()
	})
}

func TestInlineNodesAreEvaluatedInTheCommitOfTheirPredecessor(t *testing.T) {
	inWorld(t, func(w *world) {
		add := workflow.TaskFunc("add", func(_ context.Context, x int) (int, error) { return x + 1, nil })
		wf := workflow.New("inline", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			v = workflow.Do(g, add, v, workflow.ID("first"))
			v = workflow.Inline(g, "double", func(x int) int { return 2 * x }, v)
			v = workflow.Inline(g, "negate", func(x int) int { return -x }, v)
			return workflow.Do(g, add, v, workflow.ID("last"))
		})
		w.start("r", wf, "4")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != "-9" {
			t.Errorf("output is %s, want -9", out)
		}
		if ops := len(w.history(w.keys.Run("r"))); ops != 2+3 {
			t.Errorf("%d key operations, want those of a chain of two", ops)
		}
	})
}

func TestAnInlineNodeThatIsTheFirstIsExecutedLikeATask(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := workflow.New("inline", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			return workflow.Inline(g, "double", func(x int) int { return 2 * x }, v)
		})
		w.start("r", wf, "4")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != "8" {
			t.Errorf("output is %s, want 8", out)
		}
	})
}

func TestAPanicOfAnInlineFunctionFailsTheRun(t *testing.T) {
	inWorld(t, func(w *world) {
		one := workflow.TaskFunc("one", func(context.Context, workflow.None) (int, error) { return 1, nil })
		wf := workflow.New("inline", func(g *workflow.Graph, in workflow.Value[workflow.None]) workflow.Value[int] {
			return workflow.Inline(g, "bad", func(x int) int { panic("no way") }, workflow.Do(g, one, in))
		})
		w.start("r", wf, "null")
		w.work(worker.Config{}, serve(wf))
		if f := w.fails("r"); f.Kind != workflow.KindPanic || !strings.Contains(f.Message, "no way") || f.Node != 1 {
			t.Errorf("failure is %+v", f)
		}
		w.noClaims()
	})
}

func TestLargeOutputsArePassedOnThroughRecords(t *testing.T) {
	inWorld(t, func(w *world) {
		big := workflow.TaskFunc("big", func(context.Context, workflow.None) (string, error) { return strings.Repeat("x", 20_000), nil })
		wf := workflow.New("big", func(g *workflow.Graph, in workflow.Value[workflow.None]) workflow.Value[int] {
			return workflow.Inline(g, "length", func(s string) int { return len(s) }, workflow.Do(g, big, in))
		})
		w.start("r", wf, "null")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != "20000" {
			t.Errorf("output is %s, want 20000", out)
		}
	})
}

func TestATaskKnowsWhatItIs(t *testing.T) {
	inWorld(t, func(w *world) {
		var infos []task.Info
		wf := single("flow", func(ctx context.Context, x int) (int, error) {
			info := task.InfoFrom(ctx)
			infos = append(infos, info)
			if deadline, ok := ctx.Deadline(); !ok || !deadline.Equal(info.Deadline) {
				t.Errorf("the context's deadline is %v, the info's %v", deadline, info.Deadline)
			}
			if info.Attempt == 1 {
				return 0, errBoom
			}
			return x, nil
		}, workflow.Retry(workflow.RetryPolicy{Attempts: 2}), workflow.StartToClose(time.Minute))
		h := w.start("a run", wf, "1")
		w.work(worker.Config{Name: "me"}, serve(wf))
		w.completes("a run")
		if len(infos) != 2 {
			t.Fatalf("%d attempts, want 2", len(infos))
		}
		a, b := infos[0], infos[1]
		if a.Run != "a run" || a.Instance != h.Instance || a.Node != "0" || a.NodeName != "task" || a.Task != "task" ||
			a.Workflow != "flow" || a.Attempt != 1 || b.Attempt != 2 || !strings.HasPrefix(string(a.Worker), "me.") || a.Logger == nil {
			t.Errorf("info is %+v", a)
		}
		if a.Fence <= 0 || b.Fence <= a.Fence {
			t.Errorf("fences %d, %d do not grow", a.Fence, b.Fence)
		}
		if want := fmt.Sprintf("a%%20run/%d/0", h.Instance); a.IdempotencyKey != want || b.IdempotencyKey != want {
			t.Errorf("idempotency keys are %q and %q, want %q", a.IdempotencyKey, b.IdempotencyKey, want)
		}
	})
}

func TestFailedAttemptsAreRepeatedWithBackoff(t *testing.T) {
	inWorld(t, func(w *world) {
		var times []time.Time
		wf := single("flow", func(_ context.Context, x int) (int, error) {
			times = append(times, time.Now())
			if len(times) < 3 {
				return 0, errBoom
			}
			return x, nil
		}, workflow.Retry(workflow.RetryPolicy{Attempts: 5, Backoff: time.Minute, Factor: 3, Jitter: 0.5}))
		w.start("r", wf, "1")
		w.work(worker.Config{Random: func() float64 { return 0.5 }}, serve(wf))
		w.completes("r")
		// Nobody tells the worker: it looks for itself, through all shards.
		const late = 20 * time.Second
		for i, want := range []time.Duration{45 * time.Second, 135 * time.Second} {
			if got := times[i+1].Sub(times[i]); got < want || got > want+late {
				t.Errorf("attempt %d came %v after the one before, want %v", i+2, got, want)
			}
		}
	})
}

func TestAFailureThatIsFinalIsNotRepeated(t *testing.T) {
	retry := workflow.Retry(workflow.RetryPolicy{Attempts: 5})
	for name, c := range map[string]struct {
		task func(context.Context, int) (int, error)
		want string
	}{
		"by task.Fail":          {func(context.Context, int) (int, error) { return 0, task.Fail("refused", errBoom) }, "refused"},
		"wrapped, by task.Fail": {func(context.Context, int) (int, error) { return 0, fmt.Errorf("x: %w", task.Fail("refused", errBoom)) }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				var calls counter
				wf := single("flow", func(ctx context.Context, x int) (int, error) {
					calls.add("task")
					return c.task(ctx, x)
				}, retry)
				w.start("r", wf, "1")
				w.work(worker.Config{}, serve(wf))
				f := w.fails("r")
				if f.Kind != c.want || !strings.Contains(f.Message, "boom") || !f.Permanent {
					t.Errorf("failure is %+v", f)
				}
				if n := calls.of("task"); n != 1 {
					t.Errorf("%d attempts, want 1", n)
				}
			})
		})
	}
}

func TestAFailureKeepsWhenThatBeganWhichItCutsShort(t *testing.T) {
	inWorld(t, func(w *world) {
		began := make(chan workflow.Moment, 1)
		waits := workflow.TaskFunc("waits", func(ctx context.Context, x int) (int, error) {
			began <- workflow.MomentOf(time.Now())
			<-ctx.Done()
			return x, nil
		})
		fails := workflow.TaskFunc("fails", func(_ context.Context, x int) (int, error) {
			at := <-began
			faketime.Pass(time.Minute)
			began <- at
			return x, task.Fail("bad", errBoom)
		})
		wf := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
			next := workflow.Do(g, fails, workflow.Do(g, waits, in), workflow.ID("next"))
			return workflow.Do(g, waits, workflow.Do(g, fails, in), workflow.ID("last"), workflow.After(next))
		})
		w.start("r", wf, "1")
		// Two workers, so that the one that ends the run knows nothing of the other's node.
		w.work(worker.Config{Slots: 1}, serve(wf))
		w.work(worker.Config{Slots: 1}, serve(wf))
		w.fails("r")
		h := w.until("r", ended)
		at := <-began
		for i, n := range h.State.Nodes {
			switch h.Def().Nodes[i].Name {
			case "waits":
				if n.Status != grapnel.NodeCancelled || n.Started < at-1 || n.Started > at+1 {
					t.Errorf("the node that was cut short is %+v, want it to have started at %d", n, at)
				}
			case "next", "last":
				if n.Status != grapnel.NodeCancelled || n.Started != 0 {
					t.Errorf("a node that never began is %+v", n)
				}
			}
		}
	})
}

func TestAPanicIsAFailureWithAStack(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := single("flow", func(context.Context, int) (int, error) { panic(strings.Repeat("no", 5000)) })
		w.start("r", wf, "1")
		w.work(worker.Config{}, serve(wf))
		f := w.fails("r")
		if f.Kind != workflow.KindPanic || !strings.Contains(f.Stack, "TestAPanicIsAFailureWithAStack") {
			t.Errorf("failure is %+v", f)
		}
		if len(f.Message) > 4<<10 || len(f.Stack) > 8<<10 {
			t.Errorf("message of %d bytes, stack of %d", len(f.Message), len(f.Stack))
		}
	})
}

func TestRawHandlersAreCheckedLikeTasks(t *testing.T) {
	for name, c := range map[string]struct {
		out  string
		kind string
	}{
		"too large": {`"` + strings.Repeat("x", grapnel.MaxPayload) + `"`, workflow.KindTooLarge},
		"no JSON":   {"{", workflow.KindBadOutput},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				contract := workflow.NewTask[int, string]("raw", workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
				wf := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[string] {
					return workflow.Do(g, contract, in)
				})
				w.start("r", wf, "1")
				w.work(worker.Config{}, func(wk *worker.Worker) {
					wk.HandleRaw("raw", "", func(context.Context, []byte) ([]byte, error) { return []byte(c.out), nil })
				})
				f := w.fails("r")
				if f.Kind != c.kind || !f.Permanent || f.Attempt != 1 {
					t.Errorf("failure is %+v", f)
				}
				if c.kind == workflow.KindTooLarge && !strings.Contains(f.Message, fmt.Sprint(grapnel.MaxPayload)) {
					t.Errorf("message %q does not name the limit", f.Message)
				}
			})
		})
	}
}

func TestInputThatDoesNotDecodeFailsTheNodeForGood(t *testing.T) {
	inWorld(t, func(w *world) {
		wf := single("flow", func(_ context.Context, x int) (int, error) { return x, nil }, workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
		w.start("r", wf, `"not a number"`)
		w.work(worker.Config{}, serve(wf))
		if f := w.fails("r"); f.Kind != workflow.KindBadInput || f.Attempt != 1 {
			t.Errorf("failure is %+v", f)
		}
	})
}

func TestMiddlewareIsCalledOutermostFirst(t *testing.T) {
	inWorld(t, func(w *world) {
		var calls []string
		note := func(name string) worker.Middleware {
			return func(next workflow.Handler) workflow.Handler {
				return func(ctx context.Context, in []byte) ([]byte, error) {
					calls = append(calls, name+" of "+task.InfoFrom(ctx).Task)
					return next(ctx, in)
				}
			}
		}
		contract := workflow.NewTask[int, int]("task")
		wf := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, contract, in)
		})
		w.start("r", wf, "1")
		w.work(worker.Config{}, func(wk *worker.Worker) {
			worker.Handle(wk, contract, func(_ context.Context, x int) (int, error) { return x, nil }, note("outer"), note("inner"))
		})
		w.completes("r")
		if got := fmt.Sprint(calls); got != "[outer of task inner of task]" {
			t.Errorf("calls: %s", got)
		}
	})
}

func TestRunFailsFastWhenTheStoreIsNotThere(t *testing.T) {
	inWorld(t, func(w *world) {
		w.mem.Fail(func(bool) error { return grapnel.ErrUnavailable })
		wk, err := worker.New(worker.Config{Store: w.st})
		if err != nil {
			t.Fatal(err)
		}
		if err := wk.Run(w.t.Context()); !errors.Is(err, grapnel.ErrUnavailable) {
			t.Errorf("Run returned %v", err)
		}
		w.mem.Fail(nil)
	})
}

func TestRunReturnsAllMistakesOfRegistration(t *testing.T) {
	inWorld(t, func(w *world) {
		wk, err := worker.New(worker.Config{Store: w.st})
		if err != nil {
			t.Fatal(err)
		}
		raw := func(context.Context, []byte) ([]byte, error) { return nil, nil }
		wk.HandleRaw("no name!", "", raw)
		wk.HandleRaw("twice", "1", raw)
		wk.HandleRaw("twice", "1", raw)
		wk.HandleRaw("none", "", nil)
		wk.Serve(workflow.New[int, int]("broken", nil), nil)
		err = wk.Run(w.t.Context())
		for _, want := range []string{"no name!", "two implementations in version \"1\"", "task none: nil function", "broken", "nil workflow"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
		if !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%v is not ErrInvalid", err)
		}
	})
}

func TestNewReturnsAllMistakesOfAConfig(t *testing.T) {
	t.Parallel()
	_, err := worker.New(worker.Config{Namespace: "a b", Slots: -1, TTL: time.Second, Margin: time.Second, Queues: []string{"?"}, Tags: []string{"!"}})
	for _, want := range []string{"no store", "namespace", "-1 slots", "twice the margin", "queue", "tag"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

var _ store.Store = (*hooked)(nil)
