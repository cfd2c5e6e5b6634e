package coordinator_test

import (
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// chain commits that the claim's node completed and that the claim covers
// another one now.
func (w *worker) chain(c *claim.Claim, done, next int) {
	w.e.t.Helper()
	by, _ := snapshot.NodeIndex(c.Node())
	w.commit(c, true, func(*snapshot.Head) []workflow.Event {
		now := workflow.MomentOf(time.Now())
		return []workflow.Event{
			workflow.NodeCompleted{Node: done, Fence: c.Fence(), Now: now, Output: []byte("1")},
			workflow.NodeCovered{Node: next, By: by, Fence: c.Fence(), Now: now},
		}
	})
}

func TestAFailureStopsTheNodeThatAChainHasGotTo(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		e.start("r", e.define([][]int{{}, {0}, {1}, {}}, nil), nil)
		a, b := e.join("a", 1, nil), e.join("b", 1, nil)
		c := a.claim("r", 0)
		a.chain(c, 0, 1)
		a.chain(c, 1, 2)
		a.messages()
		b.fail(b.claim("r", 3), 1)
		equal(t, "stops, which name the claim", a.stops(), "r/0 cancelled")
		e.clean()
	})
}

func TestACancelKeepsWhenThatBeganWhichItCutsShort(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		e.start("r", e.define([][]int{{}, {}, {1}, {}}, nil), nil)
		w := e.join("w", 3, nil)
		e.wait(time.Second)
		own := workflow.MomentOf(time.Now())
		w.claim("r", 0)
		c := w.claim("r", 1)
		e.wait(time.Second)
		chained := workflow.MomentOf(time.Now())
		w.chain(c, 1, 2)
		e.wait(time.Second)
		e.must(e.runs.Send(t.Context(), e.load("r"), snapshot.RunEvent{ID: "x", Kind: snapshot.EventCancel}))
		e.wait(time.Second)
		nodes := e.wantStatus("r", grapnel.RunCancelled).State.Nodes
		equal(t, "start of the claimed node", nodes[0].Started, own)
		equal(t, "start of the node that a chain had got to", nodes[2].Started, chained)
		equal(t, "start of the node that nobody had taken", nodes[3].Started, 0)
		for _, i := range []int{0, 2, 3} {
			equal(t, "status", nodes[i].Status, grapnel.NodeCancelled)
		}
	})
}
