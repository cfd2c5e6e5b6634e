package coordinator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestANodeIsOfferedAsSoonAsItsRunStarts(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers without any time passing", w.offers(), "r/0")
	})
}

func TestNodesWaitForAWorkerThatCanRunThem(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		other := e.join("other", 5, func(p *snapshot.Profile) { p.Tasks = map[string][]string{"unlike": {""}} })
		elsewhere := e.join("elsewhere", 5, func(p *snapshot.Profile) { p.Queues = []string{"gpu"} })
		e.start("r", e.define([][]int{{}}, nil), nil)
		e.wait(time.Hour)
		equal(t, "offers to a worker without the task", other.offers(), "")
		equal(t, "offers to a worker of another queue", elsewhere.offers(), "")
		w := e.join("w", 1, nil)
		equal(t, "offers to a worker that joins", w.offers(), "r/0")
	})
}

func TestUrgentNodesAreOfferedFirst(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		def := e.define([][]int{{}}, nil)
		for _, p := range []struct {
			id       string
			priority int
		}{{"third", 3}, {"fifth", 5}, {"first", 1}} {
			e.start(grapnelRun(p.id), def, func(r *snapshot.CreateRequest) { r.Priority = p.priority })
		}
		w := e.join("w", 3, nil)
		equal(t, "offers", w.offers(), "first/0 third/0 fifth/0")
	})
}

func TestWaitingCountsLikePriority(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		def := e.define([][]int{{}}, nil)
		e.start("patient", def, func(r *snapshot.CreateRequest) { r.Priority = 5 })
		e.wait(3*time.Minute + 30*time.Second)
		e.start("urgent-early", def, func(r *snapshot.CreateRequest) { r.Priority = 1 })
		e.wait(time.Minute)
		e.start("urgent-late", def, func(r *snapshot.CreateRequest) { r.Priority = 1 })
		w := e.join("w", 3, nil)
		equal(t, "offers", w.offers(), "urgent-early/0 patient/0 urgent-late/0")
	})
}

func TestOffersKeepToSlots(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 2, nil)
		e.start("r", e.define([][]int{{}, {}, {}}, nil), nil)
		equal(t, "first offers", w.offers(), "r/0 r/1")
		c := w.claim("r", 0)
		w.claim("r", 1)
		equal(t, "offers to a worker whose slots are full", w.offers(), "")
		w.complete(c)
		equal(t, "offers once a slot is free", w.offers(), "r/2")
	})
}

func TestAChainHoldsOneSlot(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}, {0}, {}}, nil), nil)
		equal(t, "first offers", w.offers(), "r/0")
		c := w.claim("r", 0)
		w.commit(c, true, func(*snapshot.Head) []workflow.Event {
			now := workflow.MomentOf(time.Now())
			return []workflow.Event{
				workflow.NodeCompleted{Node: 0, Fence: c.Fence(), Now: now, Output: []byte("1")},
				workflow.NodeCovered{Node: 1, By: 0, Fence: c.Fence(), Now: now},
			}
		})
		equal(t, "offers while the chain goes on", w.offers(), "")
	})
}

func TestAnOfferThatNobodyTakesIsMadeToAnother(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		deaf := e.join("a-deaf", 10, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers to the only worker", deaf.offers(), "r/0")
		good := e.join("good", 10, nil)
		e.wait(time.Second)
		equal(t, "offers to the second worker before the first expires", good.offers(), "")
		e.wait(2 * time.Second)
		equal(t, "offers to the second worker", good.offers(), "r/0")
		equal(t, "offers to the first worker", deaf.offers(), "")
	})
}

func TestTheOffersOfAWorkerThatDiesAreMadeToOthersAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		a := e.join("a", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers to the first", a.offers(), "r/0")
		b := e.join("b", 1, nil)
		a.die()
		equal(t, "offers to the second, without any time passing", b.offers(), "r/0")
	})
}

func TestWorkersShareTheLoad(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		small, large := e.join("small", 2, nil), e.join("large", 4, nil)
		e.start("r", e.define([][]int{{}, {}, {}}, nil), nil)
		equal(t, "offers to the small one", len(strings.Fields(small.offers())), 1)
		equal(t, "offers to the large one", len(strings.Fields(large.offers())), 2)
	})
}

func TestADrainingWorkerIsOfferedNothing(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 2, func(p *snapshot.Profile) { p.Draining = true })
		e.start("r", e.define([][]int{{}}, nil), nil)
		e.wait(5 * time.Second)
		equal(t, "offers", w.offers(), "")
	})
}

func TestARetryIsOfferedWhenItsTimeHasCome(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 2, nil)
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.Retry.Attempts = 2 }), nil)
		w.offers()
		c := w.claim("r", 0)
		w.commit(c, false, func(*snapshot.Head) []workflow.Event {
			now := workflow.MomentOf(time.Now())
			return []workflow.Event{workflow.AttemptFailed{Node: 0, Fence: c.Fence(), Attempt: 1, Now: now, RetryAt: now.Add(10 * time.Second)}}
		})
		e.wait(9999 * time.Millisecond)
		equal(t, "offers before", w.offers(), "")
		e.wait(time.Millisecond)
		equal(t, "offers at its time", w.offers(), "r/0")
	})
}

func TestManyNodesGoIntoOneMessage(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 100, nil)
		e.start("r", e.define(make([][]int, 60), nil), nil)
		ms := w.messages()
		if len(ms) != 1 || len(ms[0].Offers) != 60 {
			t.Fatalf("%d messages, the first with %d offers", len(ms), len(ms[0].Offers))
		}
		if got, now := ms[0].Clock, time.Now().UnixMilli(); got != now {
			t.Fatalf("the message carries time %d, want %d", got, now)
		}
	})
}

func TestAChangedPolicyCountsForRunsThatWait(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, func(p *snapshot.Profile) { p.Queues = []string{"moved"} })
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers before", w.offers(), "")
		def := e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.Queue = "moved" })
		e.must(snapshot.NewDefinitions(e.st, e.keys).Ensure(t.Context(), def))
		equal(t, "offers after", w.offers(), "r/0")
	})
}
