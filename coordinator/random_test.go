package coordinator_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// crowd is a few workers that take what they are offered, and now and then die.
type crowd struct {
	e       *env
	rng     *rand.Rand
	workers []*worker
	held    map[*worker][]*claim.Claim
	numbers map[*claim.Claim]int // of attempts, as of their claims
	old     []*pb.Offer          // all that were ever made
	born    int
	blind   atomic.Bool // no coordinator can write a head
}

func (c *crowd) step() {
	for len(c.workers) < 3 {
		c.born++
		c.workers = append(c.workers, c.e.join(fmt.Sprintf("w%d", c.born), 2, nil))
	}
	for i, w := range c.workers {
		for _, m := range w.messages() {
			c.old = append(c.old, m.Offers...)
			for _, o := range m.Offers {
				c.take(w, grapnel.RunID(o.Run), int(o.Node))
			}
		}
		for range min(3, len(c.old)) { // long past, or as if the worker had looked for itself
			o := c.old[c.rng.IntN(len(c.old))]
			c.take(w, grapnel.RunID(o.Run), int(o.Node))
		}
		for _, held := range c.held[w] {
			if c.rng.IntN(3) > 0 {
				c.conclude(held)
			}
		}
		if c.rng.IntN(12) == 0 {
			c.workers[i] = c.workers[len(c.workers)-1]
			c.workers = c.workers[:len(c.workers)-1]
			c.lose(w)
			return
		}
	}
}

// lose has a worker die. Now and then others claim what it held, and may be
// through with it, before any owner could count that.
func (c *crowd) lose(w *worker) {
	lost := c.held[w]
	delete(c.held, w)
	c.blind.Store(c.rng.IntN(2) == 0)
	defer c.blind.Store(false)
	w.die()
	if !c.blind.Load() || len(c.workers) == 0 {
		return
	}
	again := c.workers[c.rng.IntN(len(c.workers))]
	for _, l := range lost {
		node, _ := snapshot.NodeIndex(l.Node())
		c.take(again, l.Run(), node)
	}
	for _, l := range c.held[again] {
		if c.rng.IntN(2) == 0 {
			c.conclude(l)
		}
	}
}

// take claims a node and gives it back if it is not to be executed.
func (c *crowd) take(w *worker, id grapnel.RunID, node int) {
	e := c.e
	h, err := e.runs.Load(e.t.Context(), id)
	if err != nil {
		return
	}
	n := &h.State.Nodes[node]
	got, head, err := w.s.Acquire(e.t.Context(), claim.Target{
		Run: id, Instance: h.Instance, Node: snapshot.NodeKey(node), Attempt: n.Attempt(), Started: time.Now().UnixMilli(),
		CoverNode: snapshot.NodeKey(n.Cover.Node), CoverFence: n.Cover.Fence,
	}, 0)
	if errors.Is(err, claim.ErrTaken) {
		return
	}
	e.must(err)
	h, err = e.runs.Decode(e.t.Context(), head)
	e.must(err)
	early := h.State.Nodes[node].Available > workflow.MomentOf(time.Now())
	if !h.State.Ready(node) || early {
		e.must(got.Release(e.t.Context()))
		return
	}
	c.held[w] = append(c.held[w], got)
	c.numbers[got] = h.State.Nodes[node].Attempt()
}

// conclude commits an outcome: now and then a failure.
func (c *crowd) conclude(held *claim.Claim) {
	e := c.e
	for w, all := range c.held {
		for i := range all {
			if all[i] == held {
				c.held[w] = append(all[:i:i], all[i+1:]...)
			}
		}
	}
	node, _ := snapshot.NodeIndex(held.Node())
	fails := c.rng.IntN(5) == 0
	h, err := e.runs.Load(e.t.Context(), held.Run())
	e.must(err)
	_, err = e.runs.Update(e.t.Context(), h, func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if r, ok := reads[held.Key()]; ok && (!r.Found || r.KV.Create != grapnel.Revision(held.Fence())) {
			return snapshot.Change{}, claim.ErrLost
		}
		change := snapshot.Change{Guards: []store.Guard{held.Guard()}, Reads: []store.Op{store.Get(held.Key())}}
		now := workflow.MomentOf(time.Now())
		var ev workflow.Event = workflow.NodeCompleted{Node: node, Fence: held.Fence(), Now: now, Output: []byte("1")}
		if fails {
			ev = workflow.AttemptFailed{Node: node, Fence: held.Fence(), Attempt: c.numbers[held], Now: now, RetryAt: now.Add(3 * time.Second)}
		}
		ready := h.State.Ready(node)
		ch, err := h.Advance(ev)
		if err != nil {
			return change, err
		}
		if ready && ch.Verdict != workflow.Applied {
			e.t.Errorf("the outcome %+v under a live claim is %v", ev, ch.Verdict)
		}
		if h.State.Finished() && !e.runs.EventsWaiting(h, reads) {
			if _, err := h.Advance(workflow.RunEnded{Now: now}); err != nil {
				return change, err
			}
			change.Add(e.runs.End(h))
			return change, nil
		}
		change.Ops = append(change.Ops, held.Delete())
		return change, nil
	})
	if err != nil && !errors.Is(err, claim.ErrLost) && !errors.Is(err, grapnel.ErrRunGone) {
		e.t.Errorf("commit: %v", err)
	}
	e.must(held.Close(e.t.Context()))
}

// writesAnyHead reports whether a call is a commit that writes the head of a run.
func (e *env) writesAnyHead(i faultstore.Info) bool {
	return i.Kind == faultstore.Commit && slices.ContainsFunc(i.Txn.Then, func(o store.Op) bool {
		k, ok := e.keys.ParseRun(o.Key)
		return ok && k.Kind == "head" && o.Kind == store.OpPut
	})
}

// TestAllRunsEndUnderRandomFaults lets two coordinators look after runs while
// their requests fail, their watches break, their leases expire, workers die,
// and somebody cancels; what happened is audited.
func TestAllRunsEndUnderRandomFaults(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				rng := rand.New(rand.NewPCG(seed, 1))
				fs := e.through()
				for range 2 {
					e.coordinate(func(c *coordinator.Config) { c.Store, c.Retention = fs, -1 })
				}
				crowd := &crowd{e: e, rng: rng, held: map[*worker][]*claim.Claim{}, numbers: map[*claim.Claim]int{}}
				random := faultstore.Random(seed, faultstore.Chances{Refused: 0.05, Before: 0.05, After: 0.05, Late: 0.05, Delay: 20 * time.Millisecond})
				fs.SetRule(func(i faultstore.Info) faultstore.Action {
					if crowd.blind.Load() && e.writesAnyHead(i) {
						return faultstore.Action{Fault: faultstore.Refused}
					}
					return random(i)
				})
				def := e.define([][]int{{}, {0}, {0}, {1, 2}}, func(d *workflow.Definition) {
					for i := range d.Nodes {
						d.Nodes[i].Policy = workflow.Policy{MaxLosses: 100, Retry: workflow.RetryPolicy{Attempts: -1}}
					}
				})
				const runs = 12
				for step := range 60 {
					if step < runs {
						e.start(grapnelRun(fmt.Sprintf("r%d", step)), def, nil)
					}
					crowd.step()
					switch rng.IntN(12) {
					case 0:
						if m := e.members(); len(m) > 0 {
							e.st.ExpireLease(m[rng.IntN(len(m))])
						}
					case 1:
						fs.CutWatches(fmt.Errorf("%w: injected", grapnel.ErrUnavailable))
					case 2:
						id := grapnelRun(fmt.Sprintf("r%d", rng.IntN(min(step+1, runs))))
						err := e.runs.Send(t.Context(), e.load(id), snapshot.RunEvent{ID: grapnel.NewOperationID(), Kind: snapshot.EventCancel})
						if err != nil && !errors.Is(err, grapnel.ErrRunEnded) {
							t.Fatal(err)
						}
					}
					e.wait(time.Duration(rng.IntN(1500)) * time.Millisecond)
				}
				fs.SetRule(nil)
				fs.ReleaseLate()
				open := func() (open []grapnel.RunID) {
					for i := range runs {
						if id := grapnelRun(fmt.Sprintf("r%d", i)); !e.load(id).State.Status.Ended() {
							open = append(open, id)
						}
					}
					return open
				}
				for range 100 {
					if len(open()) == 0 {
						break
					}
					crowd.step()
					e.wait(time.Second)
				}
				if left := open(); len(left) > 0 {
					t.Errorf("runs %v have not ended", left)
				}
				synctest.Wait()
				report, err := audit.Read(t.Context(), e.st, e.keys)
				e.must(err)
				equal(t, "whether all history was audited", report.Complete, true)
				for _, v := range report.Violations {
					t.Error(v)
				}
			})
		})
	}
}
