package integration_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// gate is a task that tells which worker executes it and waits to be let through.
type gate struct {
	began chan grapnel.WorkerID
	open  chan struct{}
}

func newGate() *gate {
	return &gate{began: make(chan grapnel.WorkerID, 100), open: make(chan struct{})}
}

func (g *gate) task() workflow.Task[int, int] {
	return workflow.TaskFunc("gate", func(ctx context.Context, n int) (int, error) {
		g.began <- task.InfoFrom(ctx).Worker
		select {
		case <-g.open:
			return n + 1, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	})
}

// gated is a gate and two branches behind it that are joined.
func (g *gate) gated() *workflow.Workflow[int, int] {
	t := g.task()
	return workflow.New("gated", func(b *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		v = workflow.Do(b, t, v)
		return workflow.Inline(b, "sum", total, workflow.Gather(b, "all",
			workflow.Do(b, add, v, workflow.ID("left")), workflow.Do(b, add, v, workflow.ID("right"))))
	})
}

// memberOf returns the worker that a session is one of.
func (c *cluster) memberOf(w grapnel.WorkerID) *member {
	c.t.Helper()
	i := slices.IndexFunc(c.members, func(m *member) bool { return strings.HasPrefix(string(w), m.name+".") })
	if i < 0 {
		c.t.Fatalf("%s is nobody's session", w)
	}
	return c.members[i]
}

// owner returns the coordinator that owns a run's shard, nil if none does.
func (c *cluster) owner(run grapnel.RunID) *member {
	c.t.Helper()
	kv, err := c.mem.Get(c.t.Context(), c.keys.ShardOwner(store.ShardOf(run)))
	if errors.Is(err, grapnel.ErrNotFound) {
		return nil
	}
	v := &pb.Coordinator{}
	if err := errors.Join(err, proto.Unmarshal(kv.Value, v)); err != nil {
		c.t.Fatal(err)
	}
	return c.memberOf(grapnel.WorkerID(v.Id))
}

func TestNothingLostWhenAWorkerDiesInATask(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		g := newGate()
		flow := g.gated()
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			c.memberOf(<-g.began).die()
			close(g.open) // to whoever comes next
			mustEnd(t, run, 6)
		}}
	})
}

func TestNothingLostWhenWorkerAndCoordinatorDieAtOnce(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		g := newGate()
		flow := g.gated()
		return scenario{workers: 1, flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			c.memberOf(<-g.began).die()
			c.coordinators[0].die()
			c.coordinator("another-c")
			c.worker("another-w")
			close(g.open)
			mustEnd(t, run, 6)
		}}
	})
}

func TestOneOutcomeOfAWorkerThatWasCutOff(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		g := newGate()
		flow := g.gated()
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			first := c.memberOf(<-g.began)
			first.cut()
			if second := c.memberOf(<-g.began); second == first {
				t.Fatalf("one outcome: %s executes the node again and cannot reach the store", first.name)
			}
			first.heal()
			close(g.open)
			mustEnd(t, run, 6)
		}}
	})
}

func TestNoStaleLeaderAfterACoordinatorWasCutOff(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		g := newGate()
		flow := g.gated()
		return scenario{coordinators: 2, flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			<-g.began
			old := c.owner(run.ID())
			old.cut()
			close(g.open) // what is behind needs an owner
			mustEnd(t, run, 6)
			head := c.headMod(run.ID())
			old.heal()
			synctest.Wait()
			mustRunAs(t, c, flow, "the-next-run", 1, 6)
			if now := c.headMod(run.ID()); now != head {
				t.Errorf("no stale leader: the run ended at revision %d and was written at %d", head, now)
			}
		}}
	})
}

func (c *cluster) headMod(run grapnel.RunID) grapnel.Revision {
	c.t.Helper()
	kv, err := c.mem.Get(c.t.Context(), c.keys.Head(run))
	if err != nil {
		c.t.Fatal(err)
	}
	return kv.Mod
}

func TestHonestCountOfFiveReleases(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		g := newGate()
		flow := g.gated()
		return scenario{workers: 1, flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			run := mustStart(t, c, flow, 1)
			for i := range 5 {
				c.memberOf(<-g.began).drain()
				c.worker("another-" + string(rune('a'+i)))
			}
			close(g.open)
			mustEnd(t, run, 6)
			info, err := c.client.Get(t.Context(), run.ID())
			for errors.Is(err, grapnel.ErrUnavailable) {
				info, err = c.client.Get(t.Context(), run.ID())
			}
			if err != nil || info.Nodes[0].Losses != 0 || info.Nodes[0].Attempt != 1 {
				t.Errorf("honest count: after five releases the node is %+v, %v", info, err)
			}
		}}
	})
}

func TestNothingLostByTwoStartersOnOneID(t *testing.T) {
	t.Parallel()
	eachFault(t, func() scenario {
		flow := chainOf(2)
		return scenario{flows: []workflow.Any{flow}, play: func(t *testing.T, c *cluster) {
			var made atomic.Pointer[client.Run[int]]
			var starters sync.WaitGroup
			for range 2 {
				starters.Go(func() {
					for {
						run, err := client.Start(t.Context(), c.client, flow, 1, client.WithID("the-run"))
						switch {
						case errors.Is(err, grapnel.ErrUnavailable):
							continue
						case err == nil && !made.CompareAndSwap(nil, run):
							t.Error("nothing lost: two starters both made the run")
						case err != nil && !errors.Is(err, grapnel.ErrExists):
							t.Errorf("start: %v", err)
						}
						return
					}
				})
			}
			starters.Wait()
			if got := c.ended("the-run"); got != grapnel.RunCompleted || made.Load() == nil {
				t.Errorf("nothing lost: the run is %v, made by %v", got, made.Load())
			}
		}}
	})
}
