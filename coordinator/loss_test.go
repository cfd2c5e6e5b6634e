package coordinator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestHonestCountOfALossThatSeveralOwnersSee(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		for range 3 {
			e.coordinate(nil)
		}
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		a.claim("r", 0)
		b := e.join("b", 1, nil)
		a.die()
		equal(t, "losses", e.losses("r", 0), 1)
		equal(t, "offers to another worker, without any time passing", b.offers(), "r/0")
		for range 3 { // each owner in turn
			e.st.ExpireLease(e.members()[0])
			e.wait(time.Second)
		}
		equal(t, "losses after the shard changed hands", e.losses("r", 0), 1)
	})
}

func TestHonestCountByAStandbyOfALossThatTheOwnerCouldNotCommit(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		e.coordinate(nil)
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		a.claim("r", 0)
		fs.SetRule(func(i faultstore.Info) faultstore.Action {
			if e.writesHead(i, "r") || i.Kind == faultstore.Grant { // nor may it come back
				return faultstore.Action{Fault: faultstore.Refused}
			}
			return faultstore.Action{}
		})
		b := e.join("b", 1, nil)
		a.die()
		e.wait(time.Second)
		equal(t, "losses before the take-over", e.losses("r", 0), 0)
		equal(t, "offers before the loss is counted", b.offers(), "")
		e.st.ExpireLease(e.members()[0])
		e.wait(0)
		equal(t, "losses after the take-over, without any time passing", e.losses("r", 0), 1)
		if b.offers() == "" { // the owner before may offer it too, until it hears
			t.Fatal("the node is not offered")
		}
	})
}

func TestALossThatNobodyWatchedIsReadFromHistory(t *testing.T) {
	for _, counted := range []bool{false, true} {
		t.Run(fmt.Sprintf("counted before: %v", counted), func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				stop := e.coordinate(nil)
				a := e.join("a", 1, nil)
				e.start("r", e.define([][]int{{}}, nil), nil)
				a.claim("r", 0)
				e.wait(15 * time.Second)
				if counted {
					a.die()
				}
				stop()
				a.die()
				e.wait(time.Minute)
				e.coordinate(nil)
				equal(t, "losses", e.losses("r", 0), 1)
				b := e.join("b", 1, nil)
				equal(t, "offers", b.offers(), "r/0")
			})
		})
	}
}

func TestALossIsReadFromHistoryThoughNoOwnerLivedToRecordAnything(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		stop := e.coordinate(nil)
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		a.claim("r", 0)
		e.wait(time.Second) // long before the first record is due
		stop()
		a.die()
		e.wait(time.Second)
		e.coordinate(nil)
		equal(t, "losses", e.losses("r", 0), 1)
	})
}

func TestHistoryThatWasCompactedDoesNotKeepANodeFromBeingOffered(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		stop := e.coordinate(nil)
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		a.claim("r", 0)
		e.wait(15 * time.Second)
		stop()
		a.die()
		e.must(e.st.Compact(e.st.Revision()))
		e.coordinate(nil)
		e.wait(time.Second)
		b := e.join("b", 1, nil)
		equal(t, "offers", b.offers(), "r/0")
		equal(t, "losses, which nobody can know of", e.losses("r", 0), 0)
	})
}

func TestANodeLostTooOftenFailsAndNamesItsWorkers(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		e.start("r", e.define([][]int{{}, {}}, nil), nil)
		bystander := e.join("bystander", 1, nil)
		bystander.claim("r", 1)
		for i := range 5 {
			w := e.join(fmt.Sprintf("w%d", i), 1, nil)
			w.claim("r", 0)
			w.die()
		}
		h := e.wantStatus("r", grapnel.RunFailed)
		for i := range 5 {
			if name := fmt.Sprintf("w%d", i); !strings.Contains(h.State.Cause.Message, name) {
				t.Errorf("cause %q does not name %s", h.State.Cause.Message, name)
			}
		}
		equal(t, "kind of the cause", h.State.Cause.Kind, workflow.KindLost)
		equal(t, "claims left", len(e.list(e.keys.Claims("r"))), 0)
		equal(t, "stops to the worker of another node", bystander.stops(), "r/1 cancelled")
	})
}

func TestHonestCountOfAReleaseIsNone(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		w.offers()
		c := w.claim("r", 0)
		e.must(c.Release(t.Context()))
		ms := w.messages()
		equal(t, "losses", e.losses("r", 0), 0)
		if len(ms) != 1 || len(ms[0].Offers) != 1 || len(ms[0].Stops) != 0 {
			t.Fatalf("messages after a release: %v, want one offer and no stop", ms)
		}
	})
}

func TestTheLossOfAChainIsThatOfTheNodeItHadGotTo(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}, {0}, {1}}, nil), nil)
		c := a.claim("r", 0)
		for node := range 2 {
			a.commit(c, true, func(*snapshot.Head) []workflow.Event {
				now := workflow.MomentOf(time.Now())
				return []workflow.Event{
					workflow.NodeCompleted{Node: node, Fence: c.Fence(), Now: now, Output: []byte("1")},
					workflow.NodeCovered{Node: node + 1, By: 0, Fence: c.Fence(), Now: now},
				}
			})
		}
		b := e.join("b", 1, nil)
		a.die()
		equal(t, "losses of the node it had got to", e.losses("r", 2), 1)
		equal(t, "losses of the node before", e.losses("r", 1), 0)
		equal(t, "offers", b.offers(), "r/2")
	})
}
