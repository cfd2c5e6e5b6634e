package coordinator_test

import (
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestANodeThatNobodyStartsInTimeFails(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.ScheduleToStart = time.Minute }), nil)
		e.wait(time.Minute - time.Millisecond)
		e.wantStatus("r", grapnel.RunRunning)
		e.wait(time.Millisecond)
		h := e.wantStatus("r", grapnel.RunFailed)
		equal(t, "kind of the cause", h.State.Cause.Kind, workflow.KindScheduleToStart)
	})
}

func TestScheduleToStartIsOverOnceAnAttemptHasStarted(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.ScheduleToStart = time.Minute }), nil)
		w.claim("r", 0)
		e.wait(time.Hour)
		e.wantStatus("r", grapnel.RunRunning)
	})
}

func TestANodeThatTakesTooLongInAllFails(t *testing.T) {
	for _, running := range []bool{false, true} {
		name := "waiting"
		if running {
			name = "running"
		}
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				e.coordinate(nil)
				w := e.join("w", 1, nil)
				e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.ScheduleToClose = time.Minute }), nil)
				if running {
					w.offers()
					w.claim("r", 0)
				}
				e.wait(time.Minute - time.Millisecond)
				e.wantStatus("r", grapnel.RunRunning)
				e.wait(time.Millisecond)
				h := e.wantStatus("r", grapnel.RunFailed)
				equal(t, "kind of the cause", h.State.Cause.Kind, workflow.KindScheduleToClose)
				if running {
					equal(t, "stops", w.stops(), "r/0 "+workflow.KindScheduleToClose)
				}
				equal(t, "claims left", len(e.list(e.keys.Claims("r"))), 0)
			})
		})
	}
}

func TestAnAttemptThatItsWorkerDoesNotEndIsEndedByTheOwner(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) {
			d.Nodes[0].Policy = workflow.Policy{StartToClose: time.Minute, Retry: workflow.RetryPolicy{Attempts: 2, Backoff: 5 * time.Second}}
		}), nil)
		for attempt := 1; attempt <= 2; attempt++ {
			equal(t, "offers", w.offers(), "r/0")
			w.claim("r", 0)
			e.wait(time.Minute + coordinator.DefaultGrace - time.Millisecond)
			equal(t, "claims before the time-out and the grace have passed", len(e.list(e.keys.Claims("r"))), 1)
			e.wait(time.Millisecond)
			equal(t, "claims", len(e.list(e.keys.Claims("r"))), 0)
			equal(t, "failed attempts", e.load("r").State.Nodes[0].Trouble.Failures, attempt)
			equal(t, "losses", e.losses("r", 0), 0)
			equal(t, "stops", w.stops(), "r/0 "+workflow.KindStartToClose)
			e.wait(5 * time.Second)
		}
		h := e.wantStatus("r", grapnel.RunFailed)
		equal(t, "kind of the cause", h.State.Cause.Kind, workflow.KindStartToClose)
	})
}

func TestACoveredNodesAttemptIsTimedFromItsOwnStart(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}, {0}}, func(d *workflow.Definition) { d.Nodes[1].Policy.StartToClose = time.Minute }), nil)
		c := w.claim("r", 0)
		e.wait(time.Hour)
		w.commit(c, true, func(*snapshot.Head) []workflow.Event {
			now := workflow.MomentOf(time.Now())
			return []workflow.Event{
				workflow.NodeCompleted{Node: 0, Fence: c.Fence(), Now: now, Output: []byte("1")},
				workflow.NodeCovered{Node: 1, By: 0, Fence: c.Fence(), Now: now},
			}
		})
		e.wait(time.Minute)
		e.wantStatus("r", grapnel.RunRunning)
		e.wait(coordinator.DefaultGrace)
		h := e.wantStatus("r", grapnel.RunFailed)
		equal(t, "node of the cause", h.State.Cause.Node, 1)
		equal(t, "claims left", len(e.list(e.keys.Claims("r"))), 0)
	})
}

func TestARunOverItsTimeOutEndsAsTimedOut(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Policy.Timeout = time.Minute }), nil)
		w.offers()
		c := w.claim("r", 0)
		e.wait(time.Minute - time.Millisecond)
		e.wantStatus("r", grapnel.RunRunning)
		e.wait(time.Millisecond)
		e.wantStatus("r", grapnel.RunTimedOut)
		equal(t, "stops", w.stops(), "r/0 "+workflow.KindRunTimeout)
		equal(t, "claims left", len(e.list(e.keys.Claims("r"))), 0)
		_, err := e.runs.Update(t.Context(), e.load("r"), func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
			ch, err := h.Advance(workflow.NodeCompleted{Node: 0, Fence: c.Fence(), Now: workflow.MomentOf(time.Now())})
			equal(t, "verdict on a late outcome", ch.Verdict, workflow.Discarded)
			return snapshot.Change{}, err
		})
		e.must(err)
		e.wantStatus("r", grapnel.RunTimedOut)
	})
}

func TestTimersGoOnUnderTheNextOwner(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		stop := e.coordinate(nil)
		e.coordinate(nil)
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Policy.Timeout = time.Minute }), nil)
		e.wait(30 * time.Second)
		stop()
		e.wait(30 * time.Second)
		e.wantStatus("r", grapnel.RunTimedOut)
	})
}

func TestTheClockIsNeverBehindAHead(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		ahead := time.Now().Add(time.Hour)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), func(r *snapshot.CreateRequest) { r.Now = workflow.MomentOf(ahead) })
		e.coordinate(nil)
		ms := w.messages()
		if len(ms) != 1 || len(ms[0].Offers) != 1 {
			t.Fatalf("messages %v, want one with an offer", ms)
		}
		equal(t, "the clock that the message carries", ms[0].Clock, ahead.UnixMilli())
	})
}
