package coordinator_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// fail commits that attempt of the claim's node failed.
func (w *worker) fail(c *claim.Claim, attempt int) *snapshot.Head {
	w.e.t.Helper()
	return w.commit(c, false, func(*snapshot.Head) []workflow.Event {
		i, _ := snapshot.NodeIndex(c.Node())
		return []workflow.Event{workflow.AttemptFailed{Node: i, Fence: c.Fence(), Attempt: attempt, Now: workflow.MomentOf(time.Now())}}
	})
}

// blind is a rule that refuses a coordinator's writes of a run's head, and
// another membership if it loses the one it has.
func (e *env) blind(id grapnel.RunID) faultstore.Rule {
	return func(i faultstore.Info) faultstore.Action {
		if e.writesHead(i, id) || i.Kind == faultstore.Grant {
			return faultstore.Action{Fault: faultstore.Refused}
		}
		return faultstore.Action{}
	}
}

// patient lets nodes fail and be lost often.
func patient(d *workflow.Definition) {
	for i := range d.Nodes {
		d.Nodes[i].Policy.Retry.Attempts = 9
	}
}

func TestHonestCountWhileANodeIsClaimedAgain(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		a, b := e.join("a", 1, nil), e.join("b", 1, nil)
		e.start("r", e.define([][]int{{}}, patient), nil)
		a.claim("r", 0)
		fs.SetRule(e.blind("r"))
		a.die()
		again := b.claim("r", 0) // by an old offer, or having looked for itself
		e.wait(time.Second)
		equal(t, "losses before the owner can count", e.losses("r", 0), 0)
		fs.SetRule(nil)
		e.wait(10 * time.Second)
		equal(t, "losses while the node is claimed", e.losses("r", 0), 1)
		h := b.fail(again, 1)
		equal(t, "failures of the attempt that was under way", h.State.Nodes[0].Trouble.Failures, 1)
		e.wait(time.Second)
		equal(t, "losses after it", e.losses("r", 0), 1)
		b.claim("r", 0)
		b.die()
		equal(t, "losses of both", e.losses("r", 0), 2)
	})
}

// hearing has the ways in which an owner may come to hear of a loss after what
// happens meanwhile.
var hearing = map[string]func(e *env, meanwhile func()){
	"its commits were refused": func(e *env, meanwhile func()) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		fs.SetRule(e.blind("r"))
		meanwhile()
		fs.SetRule(nil)
	},
	"the reply was lost": func(e *env, meanwhile func()) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		fs.SetRule(e.blind("r"))
		meanwhile()
		var lost atomic.Bool
		fs.SetRule(func(i faultstore.Info) faultstore.Action {
			if e.writesHead(i, "r") && !lost.Swap(true) {
				return faultstore.Action{Fault: faultstore.After}
			}
			return faultstore.Action{}
		})
	},
	"it took over from another": func(e *env, meanwhile func()) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		e.coordinate(nil)
		fs.SetRule(e.blind("r"))
		meanwhile()
		e.st.ExpireLease(e.members()[0])
	},
	"it reads history": func(e *env, meanwhile func()) {
		stop := e.coordinate(nil)
		e.wait(15 * time.Second)
		stop()
		meanwhile()
		e.coordinate(nil)
	},
	"it reads history, and another change": func(e *env, meanwhile func()) {
		stop := e.coordinate(nil)
		e.wait(15 * time.Second)
		stop()
		meanwhile()
		w := e.join("other", 1, nil)
		w.complete(w.claim("r", 2))
		e.coordinate(nil)
	},
}

// TestHonestCountOfALossThatIsHeardOfLate has an owner hear of a loss when the
// node has been claimed again by another worker, with each way in which it may
// come to hear and each thing that may have become of the node.
func TestHonestCountOfALossThatIsHeardOfLate(t *testing.T) {
	for how, learn := range hearing {
		for what, c := range map[string]struct {
			become  func(b *worker, c *claim.Claim)
			attempt int
		}{
			"is claimed":    {func(*worker, *claim.Claim) {}, 2},
			"has completed": {func(b *worker, c *claim.Claim) { b.complete(c) }, 2},
			"has failed":    {func(b *worker, c *claim.Claim) { b.fail(c, 1) }, 3},
			"is given back": {func(b *worker, c *claim.Claim) { b.e.must(c.Release(b.e.t.Context())) }, 2},
		} {
			t.Run(how+", and the node "+what, func(t *testing.T) {
				simulate(t, func(t *testing.T, e *env) {
					// The chain has got from node 0 to node 1; the others keep the run open.
					e.start("r", e.define([][]int{{}, {0}, {}, {1}}, patient), nil)
					learn(e, func() {
						a := e.join("a", 1, nil)
						first := a.claim("r", 0)
						a.commit(first, true, func(*snapshot.Head) []workflow.Event {
							now := workflow.MomentOf(time.Now())
							return []workflow.Event{
								workflow.NodeCompleted{Node: 0, Fence: first.Fence(), Now: now, Output: []byte("1")},
								workflow.NodeCovered{Node: 1, By: 0, Fence: first.Fence(), Now: now},
							}
						})
						a.die()
						b := e.join("b", 1, nil)
						c.become(b, b.claim("r", 1))
						e.wait(time.Second)
						equal(t, "losses before the owner can count", e.losses("r", 1), 0)
					})
					e.wait(10 * time.Second)
					n := &e.load("r").State.Nodes[1]
					if n.Trouble == nil || n.Trouble.Losses != 1 || n.Trouble.LostBy[0] != "a" || n.Attempt() != c.attempt {
						t.Errorf("the node is %+v with %+v, want 1 loss, by a, and attempt %d", n, n.Trouble, c.attempt)
					}
					equal(t, "losses of the node before in the chain", e.losses("r", 0), 0)
					e.clean()
				})
			})
		}
	}
}

func TestTheLossThatIsOneTooManyEndsAnAttemptThatIsUnderWay(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.MaxLosses = 2 }), nil)
		fs.SetRule(e.blind("r"))
		for _, name := range []string{"a", "b"} {
			w := e.join(name, 1, nil)
			w.claim("r", 0)
			w.die()
		}
		w := e.join("c", 1, nil)
		w.claim("r", 0)
		fs.SetRule(nil)
		e.wait(10 * time.Second)
		equal(t, "cause", e.wantStatus("r", grapnel.RunFailed).State.Cause.Message, "n0 was lost 2 times, by workers a, b")
		equal(t, "stops", w.stops(), "r/0 lost")
		e.clean()
	})
}

// TestHonestCountOfAClaimOnANodeThatAnotherCovers: a worker with an old offer
// claims a node that a chain has got to, and dies before it has given it back.
func TestHonestCountOfAClaimOnANodeThatAnotherCovers(t *testing.T) {
	for _, replayed := range []bool{false, true} {
		name := map[bool]string{false: "seen", true: "read from history"}[replayed]
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				stop := e.coordinate(nil)
				e.start("r", e.define([][]int{{}, {0}, {}}, patient), nil)
				a, b := e.join("a", 1, nil), e.join("b", 1, nil)
				chain := a.claim("r", 0)
				a.commit(chain, true, func(*snapshot.Head) []workflow.Event {
					now := workflow.MomentOf(time.Now())
					return []workflow.Event{
						workflow.NodeCompleted{Node: 0, Fence: chain.Fence(), Now: now, Output: []byte("1")},
						workflow.NodeCovered{Node: 1, By: 0, Fence: chain.Fence(), Now: now},
					}
				})
				e.wait(15 * time.Second)
				if replayed {
					stop()
				}
				h := e.load("r")
				_, _, err := b.s.Acquire(t.Context(), claim.Target{Run: "r", Instance: h.Instance, Node: "1", Attempt: 1}, 0)
				e.must(err)
				b.die()
				e.wait(time.Second)
				h = a.commit(chain, false, func(*snapshot.Head) []workflow.Event {
					return []workflow.Event{workflow.AttemptFailed{Node: 1, Fence: chain.Fence(), Attempt: 1, Now: workflow.MomentOf(time.Now())}}
				})
				equal(t, "failures of the node that the chain had got to", h.State.Nodes[1].Trouble.Failures, 1)
				if replayed {
					e.coordinate(nil)
					e.wait(time.Second)
				}
				equal(t, "losses", e.losses("r", 1), 0)
				e.clean()
			})
		})
	}
}

// An owner that has just begun and cannot read definitions yet does not know what
// a claim was the right to that has vanished. It must not pass over the loss.
func TestHonestCountOfALossBeforeTheDefinitionCouldBeRead(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		stop := e.coordinate(nil)
		e.wait(15 * time.Second)
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}}, patient), nil)
		a.claim("r", 0)
		stop()
		a.die()
		fs := e.through()
		fs.SetRule(func(i faultstore.Info) faultstore.Action {
			if strings.HasPrefix(i.Key, e.keys.Definitions()) {
				return faultstore.Action{Fault: faultstore.Refused}
			}
			return faultstore.Action{}
		})
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		e.join("b", 1, nil)
		e.wait(time.Second)
		fs.SetRule(nil)
		e.wait(time.Second)
		equal(t, "losses", e.losses("r", 0), 1)
		e.clean()
	})
}
