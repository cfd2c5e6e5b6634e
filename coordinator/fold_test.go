package coordinator_test

import (
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestACancelIsFoldedOnceAndEndsTheRun(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 2, nil)
		e.start("r", e.define([][]int{{}, {0}}, nil), nil)
		w.offers()
		w.claim("r", 0)
		e.must(e.runs.Send(t.Context(), e.load("r"), snapshot.RunEvent{ID: "x", Kind: snapshot.EventCancel, Reason: "enough"}))
		equal(t, "stops, without any time passing", w.stops(), "r/0 cancelled")
		h := e.wantStatus("r", grapnel.RunCancelled)
		equal(t, "cause", h.State.Cause.Message, "enough")
		equal(t, "claims left", len(e.list(e.keys.Claims("r"))), 0)
		equal(t, "events left", len(e.list(e.keys.Events("r"))), 0)
		equal(t, "markers", len(e.list(e.keys.FoldedEvents("r"))), 1)
	})
}

func TestACancelStopsTheNodeThatAChainHasGotTo(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}, {0}}, nil), nil)
		c := w.claim("r", 0)
		w.commit(c, true, func(*snapshot.Head) []workflow.Event {
			now := workflow.MomentOf(time.Now())
			return []workflow.Event{
				workflow.NodeCompleted{Node: 0, Fence: c.Fence(), Now: now, Output: []byte("1")},
				workflow.NodeCovered{Node: 1, By: 0, Fence: c.Fence(), Now: now},
			}
		})
		w.messages()
		e.must(e.runs.Send(t.Context(), e.load("r"), snapshot.RunEvent{ID: "x", Kind: snapshot.EventCancel}))
		equal(t, "stops, by the node of the claim", w.stops(), "r/0 cancelled")
	})
}

func TestExactlyOnceFoldingWhicheverReplyIsLost(t *testing.T) {
	for plan := range faultstore.EachCall(4) {
		t.Run(plan.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				fs := e.through()
				e.coordinate(func(c *coordinator.Config) { c.Store = fs })
				h := e.start("r", e.define([][]int{{}}, nil), nil)
				e.wait(11 * time.Second) // records of processed revisions are written
				base, rule := fs.Calls(), plan.Rule()
				fs.SetRule(func(i faultstore.Info) faultstore.Action {
					i.N -= base
					return rule(i)
				})
				e.must(e.runs.Send(t.Context(), h, snapshot.RunEvent{ID: "x", Kind: snapshot.EventCancel}))
				e.wait(2 * time.Second)
				fs.ReleaseLate()
				e.wait(30 * time.Second)
				e.wantStatus("r", grapnel.RunCancelled)
				statuses := map[grapnel.RunStatus]int{}
				for _, ev := range e.history(e.keys.Head("r")) {
					s, err := snapshot.DecodeSummary(ev.KV.Value)
					e.must(err)
					statuses[s.Status]++
				}
				equal(t, "times cancelling was written", statuses[grapnel.RunCancelling], 1)
				equal(t, "times cancelled was written", statuses[grapnel.RunCancelled], 1)
				equal(t, "times the marker was written", len(e.history(e.keys.FoldedEvents("r"))), 1)
			})
		})
	}
}

func TestAnEventOfAnUnknownKindIsLeftAlone(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		h := e.start("r", e.define([][]int{{}, {}}, nil), nil)
		e.must(e.runs.Send(t.Context(), h, snapshot.RunEvent{ID: "x", Kind: "from-the-future"}))
		e.wait(time.Minute)
		equal(t, "events", len(e.list(e.keys.Events("r"))), 1)
		if got := w.offers(); got == "" {
			t.Fatal("the run's nodes are not offered")
		}
	})
}

func TestARunThatItsWorkerCouldNotEndIsEndedByItsOwner(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		w := e.join("w", 1, nil)
		h := e.start("r", e.define([][]int{{}}, nil), nil)
		e.must(e.runs.Send(t.Context(), h, snapshot.RunEvent{ID: "x", Kind: snapshot.EventCancel}))
		w.complete(w.claim("r", 0)) // and finds the event waiting
		e.wantStatus("r", grapnel.RunRunning)
		e.coordinate(nil)
		e.wait(0)
		e.wantStatus("r", grapnel.RunCancelled)
	})
}

func TestARunThatIsFinishedButNotEndedIsEndedByItsOwner(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		w := e.join("w", 1, nil)
		h := e.start("r", e.define([][]int{{}}, nil), nil)
		c := w.claim("r", 0)
		_, err := e.runs.Update(t.Context(), h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
			_, err := h.Advance(workflow.NodeCompleted{Node: 0, Fence: c.Fence(), Now: workflow.MomentOf(time.Now()), Output: []byte("1")})
			return snapshot.Change{Ops: []store.Op{c.Delete()}}, err
		})
		e.must(err)
		e.wantStatus("r", grapnel.RunRunning)
		e.coordinate(nil)
		e.wait(0)
		e.wantStatus("r", grapnel.RunCompleted)
	})
}
