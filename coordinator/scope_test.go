package coordinator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// offeredKeys returns the keys of the nodes offered since the last call.
func (w *worker) offeredKeys() string {
	w.e.t.Helper()
	var got []string
	for _, m := range w.messages() {
		for _, o := range m.Offers {
			got = append(got, string(snapshot.MessageKey(o.Node, o.Key)))
		}
	}
	return strings.Join(got, " ")
}

// The nodes of a map's items are offered, counted as lost and out of time each on
// its own.
func TestNodesOfItemsAreLookedAfterLikeOthers(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		def := &workflow.Definition{Name: "map", Nodes: []workflow.Node{
			{Kind: workflow.KindMap, Name: "each", Branches: []workflow.Branch{{}}},
			{Kind: workflow.KindTask, Name: "each.task", Task: "task", Scope: 1, Policy: workflow.Policy{
				StartToClose: 10 * time.Second, Retry: workflow.RetryPolicy{Attempts: 2, Backoff: time.Millisecond},
			}},
		}}
		e.must(def.Seal())
		a := e.join("a", 2, nil)
		e.start("r", def, nil)
		equal(t, "offered at the start", a.offeredKeys(), "0")
		c := a.claim("r", 0)
		a.commit(c, false, func(*snapshot.Head) []workflow.Event {
			return []workflow.Event{workflow.MapExpanded{Node: 0, Fence: c.Fence(), Now: workflow.MomentOf(time.Now()), Items: 2}}
		})
		equal(t, "offered when the list is known", a.offeredKeys(), "1.0 1.1")

		a.claim("r", 2) // the first item's
		b := e.join("b", 2, nil)
		a.die()
		equal(t, "losses of the first item's node", e.losses("r", 2), 1)
		equal(t, "losses of the second item's node", e.losses("r", 3), 0)
		equal(t, "offered to another worker, the one that waits longer first", b.offeredKeys(), "1.1 1.0")

		b.claim("r", 3)
		e.wait(time.Minute)
		h := e.load("r")
		if f := h.State.Nodes[3].Trouble; f == nil || f.Failures != 1 || !strings.Contains(f.Last.Message, "attempt 1 of each[1] is over its limit of 10s") {
			t.Errorf("the second item's node, whose attempt took too long, is %+v", h.State.Nodes[3])
		}
		stopped := ""
		for _, m := range b.messages() {
			for _, s := range m.Stops {
				stopped += string(snapshot.MessageKey(s.Node, s.Key)) + " " + s.Kind
			}
		}
		equal(t, "told to stop", stopped, "1.1 "+workflow.KindStartToClose)
		for slot := 2; slot <= 3; slot++ {
			c := b.claim("r", slot)
			b.commit(c, false, func(*snapshot.Head) []workflow.Event {
				return []workflow.Event{workflow.NodeCompleted{Node: slot, Fence: c.Fence(), Now: workflow.MomentOf(time.Now()), Output: []byte("null")}}
			})
		}
		equal(t, "status", e.load("r").State.Status.String(), "completed")
	})
}

// An attempt in an item that a limit made stricter would not admit any more is
// under way all the same, and so is its time.
func TestAttemptsInItemsThatALaterLimitHoldsBackRunOutOfTime(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		limited := func(parallel int) *workflow.Definition {
			def := &workflow.Definition{Name: "map", Nodes: []workflow.Node{
				{Kind: workflow.KindMap, Name: "each", Branches: []workflow.Branch{{}}, Policy: workflow.Policy{Parallel: parallel}},
				{Kind: workflow.KindTask, Name: "each.task", Task: "task", Scope: 1, Policy: workflow.Policy{
					StartToClose: 10 * time.Second, Retry: workflow.RetryPolicy{Attempts: 2, Backoff: time.Hour},
				}},
			}}
			e.must(def.Seal())
			return def
		}
		a := e.join("a", 3, nil)
		e.start("r", limited(2), nil)
		c := a.claim("r", 0)
		a.commit(c, false, func(*snapshot.Head) []workflow.Event {
			return []workflow.Event{workflow.MapExpanded{Node: 0, Fence: c.Fence(), Now: workflow.MomentOf(time.Now()), Items: 2}}
		})
		a.claim("r", 3) // the second item's
		e.must(snapshot.NewDefinitions(e.st, e.keys).Ensure(t.Context(), limited(1)))
		e.wait(time.Minute)
		if n := e.load("r").State.Nodes[3]; n.Trouble == nil || n.Trouble.Failures != 1 {
			t.Errorf("the second item's node, whose attempt took too long, is %+v", n)
		}
	})
}
