package integration_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// available repeats what the store refused.
func available(t *testing.T, what string, do func() error) {
	t.Helper()
	for {
		err := do()
		if errors.Is(err, grapnel.ErrUnavailable) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return
	}
}

func TestOneOutcomeOfNodesOfARunThatFailsAndIsRetried(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		var mended atomic.Bool
		var before atomic.Int64
		first := workflow.TaskFunc("first", func(_ context.Context, n int) (int, error) { before.Add(1); return n + 1, nil })
		broken := workflow.TaskFunc("broken", func(_ context.Context, n int) (int, error) {
			if !mended.Load() {
				return 0, errors.New("broken")
			}
			return n + 1, nil
		})
		flow := workflow.New("breaks", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, add, workflow.Do(g, broken, workflow.Do(g, first, v)))
		})
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			if got := c.ended(run.ID()); got != grapnel.RunFailed {
				t.Fatalf("the run is %v, want failed", got)
			}
			mended.Store(true)
			executed := before.Load()
			available(t, "retry", func() error { return c.client.Retry(t.Context(), run.ID()) })
			mustEnd(t, run, 4)
			if now := before.Load(); now != executed {
				t.Errorf("write-once: what had completed was executed %d times and then %d times", executed, now)
			}
		}}
	})
}

func TestTimersOfRunsThatNobodyEnds(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		const limit = 30 * time.Second
		wait := workflow.TaskFunc("wait", func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		one := func(name string, o ...workflow.NodeOption) *workflow.Workflow[int, int] {
			return workflow.New(name, func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
				return workflow.Do(g, wait, v, o...)
			})
		}
		flows := []*workflow.Workflow[int, int]{
			one("start", workflow.Queue("nobody"), workflow.ScheduleToStart(limit)),
			one("attempt", workflow.StartToClose(limit)),
			one("node", workflow.ScheduleToClose(limit)),
			workflow.New("run", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
				return workflow.Do(g, wait, v)
			}, workflow.RunTimeout(limit)),
		}
		sc := scenario{play: func(t *testing.T, c *cluster) {
			for _, flow := range flows {
				mustStartAs(t, c, flow, grapnel.RunID(flow.Name()), 1)
			}
			for _, flow := range flows {
				var info *client.RunInfo
				available(t, "wait", func() (err error) {
					info, err = c.client.WaitEnded(t.Context(), grapnel.RunID(flow.Name()))
					return err
				})
				took := info.Ended.Sub(info.Started)
				if !errors.Is(info.Failure(), grapnel.ErrTimedOut) || took < limit || took > 2*limit {
					t.Errorf("timers: the run with a limit for its %s ended after %v with %v", flow.Name(), took, info.Failure())
				}
			}
		}}
		for _, flow := range flows {
			sc.flows = append(sc.flows, flow)
		}
		return sc
	})
}

func TestOwnCommitOfAStartWhoseRunHasMovedOn(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		flow := chainOf(2)
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			lost := false
			st := faultstore.New(c.faults, func(i faultstore.Info) faultstore.Action {
				if lost || i.Kind != faultstore.Commit || !slices.ContainsFunc(i.Txn.Then, func(o store.Op) bool {
					return o.Kind == store.OpPut && o.Key == c.keys.Head("the-run")
				}) {
					return faultstore.Action{}
				}
				lost = true
				return faultstore.Action{Fault: faultstore.After, Leave: func() {
					if _, err := c.mem.Get(t.Context(), c.keys.Head("the-run")); err == nil { // unless it failed by plan
						c.ended("the-run")
					}
				}}
			})
			cl, err := client.New(client.Config{Store: st})
			if err != nil {
				t.Fatal(err)
			}
			var run *client.Run[int]
			available(t, "own commit: start", func() (err error) {
				run, err = client.Start(t.Context(), cl, flow, 1, client.WithID("the-run"))
				return err
			})
			mustEnd(t, run, 3)
			st.Wait()
		}}
	})
}

func TestNothingTwiceWhenAnIDIsUsedAgain(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		flow := chainOf(2)
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			first := mustStart(t, c, flow, 1)
			mustEnd(t, first, 3)
			available(t, "delete", func() error { return c.client.Delete(t.Context(), first.ID()) })
			second := mustStart(t, c, flow, 2)
			if second.Instance() <= first.Instance() {
				t.Errorf("nothing lost: instance %d follows %d", second.Instance(), first.Instance())
			}
			mustEnd(t, second, 4)
			if _, err := first.Wait(t.Context()); !errors.Is(err, grapnel.ErrRunGone) && !errors.Is(err, grapnel.ErrUnavailable) {
				t.Errorf("write-once: waiting for the deleted run returns %v", err)
			}
		}}
	})
}
