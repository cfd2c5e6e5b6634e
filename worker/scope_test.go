package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// scoped is a workflow with a switch in a map with chained steps: odd items take
// two tasks one after the other, even ones an inline function, and the last task
// adds up all of them and a captured value. The sum of 1 to n with m added to
// odd ones, twice, and even ones doubled.
func scoped(calls *counter) *workflow.Workflow[int, int] {
	type V[T any] = workflow.Value[T]
	list := workflow.TaskFunc("list", func(_ context.Context, n int) ([]int, error) {
		calls.add("list")
		var items []int
		for i := range n {
			items = append(items, i+1)
		}
		return items, nil
	})
	step := workflow.TaskFunc("step", func(_ context.Context, x int) (int, error) {
		calls.add("step")
		return x + 10, nil
	})
	sum := workflow.TaskFunc("sum", func(_ context.Context, xs []int) (int, error) {
		calls.add("sum")
		total := 0
		for _, x := range xs {
			total += x
		}
		return total, nil
	})
	return workflow.New("scoped", func(g *workflow.Graph, n V[int]) V[int] {
		items := workflow.Do(g, list, n)
		sums := workflow.Map(g, "each", items, func(g *workflow.Graph, item V[int]) V[int] {
			first := workflow.Do(g, step, item)
			odd := workflow.Inline(g, "odd", func(x int) bool { return x%2 == 1 }, first)
			return workflow.If(g, "which", odd,
				func(g *workflow.Graph) V[int] {
					second := workflow.Do(g, step, first)
					return workflow.Do(g, step, second, workflow.ID("again"))
				},
				func(g *workflow.Graph) V[int] {
					return workflow.Inline2(g, "double", func(x, all int) int { return 2*x + 0*all }, first, n)
				})
		}, workflow.Parallel(2))
		return workflow.Do(g, sum, sums)
	})
}

// scopedSum is what scoped comes to, and scopedSteps how many steps that takes.
func scopedSum(n int) (sum, steps int) {
	for i := 1; i <= n; i++ {
		if first := i + 10; first%2 == 1 {
			sum, steps = sum+first+20, steps+3
		} else {
			sum, steps = sum+2*first, steps+1
		}
	}
	return sum, steps
}

func (w *world) audited() {
	w.t.Helper()
	report, err := audit.Read(w.t.Context(), w.mem, w.keys)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range report.Violations {
		// There is no coordinator that could have counted losses.
		if !strings.Contains(v.Text, "were not counted") {
			w.t.Error(v)
		}
	}
}

// TestOwnCommitIsRecognisedInScopes makes each commit of a run with a switch in
// a map fail in turn, in each way, and expects that nothing shows.
func TestOwnCommitIsRecognisedInScopes(t *testing.T) {
	const items = 3
	for name, way := range ways() {
		for nth := 1; nth <= 22; nth++ {
			t.Run(fmt.Sprintf("%s/%d", name, nth), func(t *testing.T) {
				inWorld(t, func(w *world) {
					var calls counter
					wf := scoped(&calls)
					w.start("r", wf, fmt.Sprint(items))
					seen := w.nthFails(nth, way)
					log, logged := logs()
					r := w.work(worker.Config{Logger: log}, serve(wf))
					want, steps := scopedSum(items)
					if out := w.completes("r"); out != fmt.Sprint(want) {
						t.Errorf("output is %s, want %d", out, want)
					}
					if calls.of("list") != 1 || calls.of("step") != steps || calls.of("sum") != 1 {
						t.Errorf("%d, %d and %d calls, want 1, %d and 1", calls.of("list"), calls.of("step"), calls.of("sum"), steps)
					}
					if n := seen(); n < nth && nth <= 8 {
						t.Errorf("there were %d commits only", n)
					}
					r.drain()
					faketime.Pass(3 * time.Second) // until what is late has come
					w.noClaims()
					w.audited()
					if strings.Contains(logged(), "outcome discarded") {
						t.Errorf("the worker was told that its own commit does not count:\n%s", logged())
					}
				})
			})
		}
	}
}

// TestScopesEndWhateverFails is TestRunsEndWhateverFails with scopes.
func TestScopesEndWhateverFails(t *testing.T) {
	const seeds, runs = 20, 3
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.losses = true
				var mu sync.Mutex
				dice := rand.New(rand.NewPCG(seed, 2))
				roll := func(n int) int {
					mu.Lock()
					defer mu.Unlock()
					return dice.IntN(n)
				}
				var calls counter
				wf := scoped(&calls)
				for i := range runs {
					w.start(grapnel.RunID(fmt.Sprintf("r%d", i)), wf, fmt.Sprint(3*i))
				}
				w.st.set(func(t store.Txn, commit func() (store.Result, error)) (store.Result, error) {
					if t.Then[0].Writes() && !touchesRuns(store.Txn{Then: t.Then[:1]}) {
						return commit() // see TestRunsEndWhateverFails
					}
					faketime.Pass(time.Duration(roll(3000)) * time.Microsecond)
					switch {
					case roll(10) == 0:
						return store.Result{}, grapnel.ErrUnavailable
					case roll(10) == 0:
						_, _ = commit()
						return store.Result{}, grapnel.ErrUnknown
					case roll(10) == 0:
						time.AfterFunc(time.Duration(roll(5000))*time.Millisecond, func() { _, _ = commit() })
						return store.Result{}, grapnel.ErrUnknown
					}
					return commit()
				})
				for i := range 3 {
					w.work(worker.Config{Name: fmt.Sprint(i), Slots: 2, TTL: 4 * time.Second, Margin: time.Second}, serve(wf))
				}
				for range 3 {
					faketime.Pass(time.Duration(roll(500)) * time.Millisecond)
					if leases := w.mem.Leases(); len(leases) > 0 {
						w.mem.ExpireLease(leases[roll(len(leases))])
					}
				}
				for i := range runs {
					want, _ := scopedSum(3 * i)
					if out := w.completes(grapnel.RunID(fmt.Sprintf("r%d", i))); out != fmt.Sprint(want) {
						t.Errorf("output of run %d is %s, want %d", i, out, want)
					}
				}
				faketime.Pass(10 * time.Second) // until what is late has come, and leases have run out
				w.noClaims()
				w.audited()
			})
		})
	}
}

// A switch or map whose input is in a record is decided by whoever claims it,
// and so are those that a run begins with.
func TestScopesAreDecidedByAClaimWhereTheCommitCannotSeeTheInput(t *testing.T) {
	inWorld(t, func(w *world) {
		type V[T any] = workflow.Value[T]
		big := workflow.TaskFunc("big", func(_ context.Context, n int) ([]string, error) {
			return slices.Repeat([]string{strings.Repeat("x", 5000)}, n), nil // more than a head has room for
		})
		size := workflow.TaskFunc("size", func(_ context.Context, s string) (int, error) { return len(s), nil })
		wf := workflow.New("big", func(g *workflow.Graph, in V[[]int]) V[[][]int] {
			return workflow.Map(g, "each", in, func(g *workflow.Graph, n V[int]) V[[]int] {
				texts := workflow.Do(g, big, n)
				return workflow.Map(g, "text", texts, func(g *workflow.Graph, s V[string]) V[int] {
					return workflow.Do(g, size, s)
				})
			})
		})
		w.start("r", wf, "[2,0,3]")
		w.work(worker.Config{}, serve(wf))
		if out := w.completes("r"); out != "[[5000,5000],[],[5000,5000,5000]]" {
			t.Errorf("output is %s", out)
		}
		w.noClaims()
		w.audited()
	})
}

// It is more text than a store takes in one request, and all of it is in the head.
func TestARunEndsHoweverManyOfItsNodesFailAtLength(t *testing.T) {
	inWorld(t, func(w *world) {
		type V[T any] = workflow.Value[T]
		var calls counter
		wordy := workflow.TaskFunc("wordy", func(_ context.Context, n int) (int, error) {
			if calls.add(fmt.Sprint(n)) == 1 {
				return 0, errors.New(strings.Repeat("é", workflow.MaxFailureText))
			}
			return n, nil
		}, workflow.Retry(workflow.RetryPolicy{Attempts: 2, Backoff: time.Minute}))
		wf := workflow.New("wordy", func(g *workflow.Graph, in V[[]int]) V[[]int] {
			var twice []V[[]int]
			for _, name := range []string{"a", "b"} {
				twice = append(twice, workflow.Map(g, name, in, func(g *workflow.Graph, n V[int]) V[int] {
					x := workflow.Inline(g, "other", func(n int) int { return map[string]int{"a": n, "b": -1 - n}[name] }, n)
					return workflow.Do(g, wordy, x)
				}))
			}
			return twice[1]
		})
		list := make([]int, workflow.MaxItems)
		for i := range list {
			list[i] = i
		}
		w.start("r", wf, strings.ReplaceAll(fmt.Sprint(list), " ", ","))
		w.work(worker.Config{Slots: 8}, serve(wf))
		w.completes("r")
		w.noClaims()
	})
}

func TestInputsThatScopesCannotTakeFailTheRun(t *testing.T) {
	type V[T any] = workflow.Value[T]
	for name, c := range map[string]struct {
		input, kind, text string
	}{
		"no list":        {`{"list":{},"key":1}`, workflow.KindBadInput, "no list"},
		"too many items": {`{"list":[` + strings.Repeat("1,", workflow.MaxItems) + `1],"key":1}`, workflow.KindTooManyItems, "each has 257 items, at most 256 are allowed"},
		"no key":         {`{"list":[],"key":{}}`, workflow.KindBadInput, "is no string, number or bool"},
		"no branch":      {`{"list":[],"key":3}`, workflow.KindNoBranch, "no branch of which has the key 3"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				type in struct {
					List []int `json:"list"`
					Key  int   `json:"key"`
				}
				wf := workflow.New("w", func(g *workflow.Graph, v V[in]) V[int] {
					workflow.Map(g, "each", workflow.Field(v, func(v *in) *[]int { return &v.List }),
						func(_ *workflow.Graph, item V[int]) V[int] { return item })
					return workflow.SwitchExhaustive(g, "which", workflow.Field(v, func(v *in) *int { return &v.Key }), []int{1},
						workflow.Case(1, func(g *workflow.Graph) V[int] { return workflow.Const(g, 1) }))
				})
				w.start("r", wf, c.input)
				w.work(worker.Config{}, serve(wf))
				if f := w.fails("r"); f.Kind != c.kind || !strings.Contains(f.Message, c.text) {
					t.Errorf("failure is %+v, want kind %s with %q", f, c.kind, c.text)
				}
				w.noClaims()
			})
		})
	}
}

// spell is a language whose expressions are templates: each x is replaced by the
// environment.
type spell struct{}

func (spell) Language() string { return "spell" }

func (spell) Evaluate(expr string, env []byte) ([]byte, error) {
	if expr == "panic" {
		panic("on purpose")
	}
	if !strings.Contains(expr, "x") {
		return nil, fmt.Errorf("%q spells nothing", expr)
	}
	return []byte(strings.ReplaceAll(expr, "x", string(env))), nil
}

// exprs is a definition of a task and an expression behind it.
func exprs(t *testing.T, expr string) *workflow.Definition {
	t.Helper()
	def := &workflow.Definition{Name: "exprs", Nodes: []workflow.Node{
		{Kind: workflow.KindTask, Name: "one", Task: "one"},
		{Kind: workflow.KindExpr, Name: "expr", Task: "spell", Expr: expr, Needs: []int{0}, Input: workflow.Source{Kind: workflow.SourceNode}},
	}, Output: workflow.Source{Kind: workflow.SourceNode, Node: 1}}
	if err := def.Seal(); err != nil {
		t.Fatal(err)
	}
	return def
}

func (w *world) startDefinition(run grapnel.RunID, def *workflow.Definition) {
	w.t.Helper()
	_, _, err := w.runs.Create(w.t.Context(), snapshot.CreateRequest{
		Run: run, Definition: def, Operation: grapnel.NewOperationID(), Now: workflow.MomentOf(time.Now()),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func one(w *worker.Worker) {
	w.HandleRaw("one", "", func(context.Context, []byte) ([]byte, error) { return []byte("1"), nil })
}

func TestExpressionsAreEvaluatedInPassing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startDefinition("r", exprs(t, "[x,x]"))
		w.work(worker.Config{Evaluators: []workflow.Evaluator{spell{}}}, one)
		if out := w.completes("r"); out != "[1,1]" {
			t.Errorf("output is %s", out)
		}
		claims := 0
		for _, ev := range w.history(w.keys.Runs()) {
			if strings.Contains(ev.KV.Key, "/claim/") && !ev.Deleted {
				claims++
			}
		}
		if claims != 1 {
			t.Errorf("%d claims, want the task's alone", claims)
		}
	})
}

func TestExpressionsWaitForAWorkerThatHasTheLanguage(t *testing.T) {
	inWorld(t, func(w *world) {
		def := exprs(t, "[x]")
		w.startDefinition("r", def)
		r := w.work(worker.Config{}, one)
		h := w.until("r", func(h *snapshot.Head) bool { return h.State.Ready(1) })
		profile, _ := w.worker()
		if lacks := profile.Lacks(h.Def(), 1); lacks != "does not evaluate expressions in spell" {
			t.Errorf("the worker lacks %q", lacks)
		}
		r.drain()
		w.work(worker.Config{Evaluators: []workflow.Evaluator{spell{}}}, func(*worker.Worker) {})
		if out := w.completes("r"); out != "[1]" {
			t.Errorf("output is %s", out)
		}
	})
}

func TestExpressionsThatCannotBeEvaluatedFailForGood(t *testing.T) {
	for expr, kind := range map[string]string{"nothing": workflow.KindBadExpression, "panic": workflow.KindPanic, "x x": workflow.KindBadOutput} {
		t.Run(expr, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.startDefinition("r", exprs(t, expr))
				w.work(worker.Config{Evaluators: []workflow.Evaluator{spell{}}}, one)
				if f := w.fails("r"); f.Kind != kind || f.Node != 1 {
					t.Errorf("failure is %+v, want kind %s", f, kind)
				}
			})
		})
	}
}
