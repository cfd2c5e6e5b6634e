package audit_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// newScopes is a history of a run of a map with two items, each of a task and a
// switch between a task (5) and nothing, and of a task behind it all.
//
//	0 list · 1 map over 0 (2 task · 3 switch after 2 (4 task)) · 5 task after 1
//
// Slots 6 to 8 are the nodes 2 to 4 of the first item, 9 to 11 of the second.
func newScopes(t *testing.T) *history {
	h := newHistory(t)
	h.commit(store.Delete(h.keys.Head(run)))
	def := &pb.Definition{Format: 2, Name: "flow", Nodes: []*pb.DefinitionNode{
		{Kind: 1, Name: "list", Task: "t"},
		{Kind: 5, Name: "each", Needs: []uint32{0}, Branches: []*pb.Branch{{}}},
		{Kind: 1, Name: "work", Task: "t", Scope: 2},
		{Kind: 4, Name: "switch", Scope: 2, Needs: []uint32{2}, Branches: []*pb.Branch{{Name: "yes", Keys: [][]byte{[]byte("true")}}, {Name: "no"}}},
		{Kind: 1, Name: "more", Task: "t", Scope: 4},
		{Kind: 1, Name: "last", Task: "t", Needs: []uint32{1}},
	}}
	h.commit(store.Put(h.keys.Definition("scopes"), h.encode(def), 0))
	h.head = &pb.Head{Run: string(run), Definition: "scopes", StartOperation: "op2", NodeCount: 6, Started: 1000, Clock: 1000}
	h.commit(h.write(grapnel.RunRunning))
	return h
}

// claimOn puts a claim on the node of this key and returns its own
// key and its fence.
func (h *history) claimOn(key grapnel.NodeKey) (string, int64) {
	h.t.Helper()
	k := h.keys.Claim(run, key)
	return k, h.commit(store.Put(k, h.encode(&pb.Claim{Worker: "w", Started: 1000, Instance: h.instance()}), h.lease))
}

// at is the state of the node at a slot.
func (h *history) at(slot uint32) *pb.Node {
	for _, n := range h.head.Nodes {
		if n.Index == slot {
			return n
		}
	}
	n := &pb.Node{Index: slot}
	h.head.Nodes = append(h.head.Nodes, n)
	slices.SortFunc(h.head.Nodes, func(a, b *pb.Node) int { return int(a.Index) - int(b.Index) })
	return n
}

func (h *history) set(slot uint32, status grapnel.NodeStatus, fence int64) {
	n := h.at(slot)
	n.Status, n.Fence = uint32(status), fence
}

// outcome completes the node at a slot under a claim of its own.
func (h *history) outcome(key grapnel.NodeKey, slot uint32) {
	h.t.Helper()
	k, fence := h.claimOn(key)
	h.set(slot, grapnel.NodeCompleted, fence)
	h.commit(h.write(grapnel.RunRunning), store.Delete(k))
}

// expand completes the list and, in passing, expands the map into two items.
func (h *history) expand() {
	h.t.Helper()
	k, fence := h.claimOn("0")
	h.set(0, grapnel.NodeCompleted, fence)
	h.at(1).Fence, h.at(1).Choice = fence, 1
	h.head.Expansions, h.head.NodeCount = []uint32{1, 2}, 12
	h.commit(h.write(grapnel.RunRunning), store.Delete(k))
}

// decide completes the task of an item and decides the switch behind it.
func (h *history) decide(item uint32, choice uint32) {
	h.t.Helper()
	k, fence := h.claimOn(grapnel.NodeKey("2." + strconv.Itoa(int(item))))
	base := 6 + 3*item
	h.set(base, grapnel.NodeCompleted, fence)
	h.at(base+1).Fence, h.at(base+1).Choice = fence, choice
	if choice == 2 { // of the branch without nodes
		h.set(base+2, grapnel.NodeSkipped, 0)
		h.set(base+1, grapnel.NodeCompleted, fence)
	}
	h.commit(h.write(grapnel.RunRunning), store.Delete(k))
}

func TestACleanHistoryOfScopesKeepsAllPromises(t *testing.T) {
	t.Parallel()
	h := newScopes(t)
	h.expand()
	h.decide(0, 1)
	h.decide(1, 2)
	k, fence := h.claimOn("4.0")
	h.set(8, grapnel.NodeCompleted, fence)
	h.at(7).Status, h.at(1).Status = uint32(grapnel.NodeCompleted), uint32(grapnel.NodeCompleted)
	h.commit(h.write(grapnel.RunRunning), store.Delete(k))
	k, fence = h.claimOn("5")
	h.set(5, grapnel.NodeCompleted, fence)
	h.commit(h.write(grapnel.RunCompleted), store.Delete(k))
	r := h.read()
	if len(r.Violations) > 0 || !r.Complete || r.Nodes != 9 || r.Completed != 8 {
		t.Errorf("report %+v", r)
	}
}

func TestEachBrokenPromiseOfScopesIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		promise, text string
		violate       func(h *history)
	}{
		"decided without a claim": {"one outcome", "decided without a new fence", func(h *history) {
			h.outcome("0", 0)
			h.at(1).Choice, h.head.Expansions, h.head.NodeCount = 1, []uint32{1, 2}, 12
			h.commit(h.write(grapnel.RunRunning))
		}},
		"decided before its needs": {"order", "which it needs, has none", func(h *history) {
			k, fence := h.claimOn("1")
			h.at(1).Fence, h.at(1).Choice, h.head.Expansions, h.head.NodeCount = fence, 1, []uint32{1, 2}, 12
			h.commit(h.write(grapnel.RunRunning), store.Delete(k))
		}},
		"a choice that changes": {"write-once", "its choice went from 1 to 2", func(h *history) {
			h.expand()
			h.decide(0, 1)
			h.at(7).Choice = 2
			h.commit(h.write(grapnel.RunRunning))
		}},
		"an expansion that changes": {"write-once", "are now expanded as", func(h *history) {
			h.expand()
			h.head.Expansions, h.head.NodeCount = []uint32{1, 1}, 9
			h.commit(h.write(grapnel.RunRunning))
		}},
		"slots that nothing makes": {"write-once", "the head has 7 slots", func(h *history) {
			h.head.NodeCount = 7
			h.commit(h.write(grapnel.RunRunning))
		}},
		"an expansion of a task": {"write-once", "it is expanded and is no map", func(h *history) {
			h.head.Expansions, h.head.NodeCount = []uint32{0, 1}, 6
			h.commit(h.write(grapnel.RunRunning))
		}},
		"the state of a template": {"write-once", "the run has no such node", func(h *history) {
			h.expand()
			h.set(2, grapnel.NodeCompleted, 1)
			h.commit(h.write(grapnel.RunRunning))
		}},
		"a node of a branch not taken": {"order", "in a branch that was not taken: true", func(h *history) {
			h.expand()
			k, fence := h.claimOn("2.0")
			h.set(6, grapnel.NodeCompleted, fence)
			h.at(7).Fence, h.at(7).Choice = fence, 2
			h.commit(h.write(grapnel.RunRunning), store.Delete(k))
			h.outcome("4.0", 8)
		}},
		"a skip of a branch taken": {"order", "it is skipped, and it is in a branch that was not taken: false", func(h *history) {
			h.expand()
			h.decide(0, 1)
			h.set(8, grapnel.NodeSkipped, 0)
			h.commit(h.write(grapnel.RunRunning))
		}},
		"an outcome in a scope not open": {"order", "a switch or map around it has not decided", func(h *history) {
			h.expand()
			h.outcome("2.0", 6)
			h.outcome("4.0", 8)
		}},
		"an attempt older than its scope": {"order", "before the scope it is in was opened", func(h *history) {
			h.expand()
			k, fence := h.claimOn("4.0")
			h.decide(0, 1)
			h.set(8, grapnel.NodeCompleted, fence)
			h.commit(h.write(grapnel.RunRunning), store.Delete(k))
		}},
		"a holder that ends early": {"order", "it has ended before node 3.0", func(h *history) {
			h.expand()
			h.decide(0, 1)
			h.decide(1, 2)
			h.at(1).Status = uint32(grapnel.NodeCompleted)
			h.commit(h.write(grapnel.RunRunning))
		}},
		"an end with an item open": {"nothing lost", "the run is completed, and 5 of its 9 nodes are", func(h *history) {
			h.expand()
			h.decide(0, 2)
			h.outcome("2.1", 9)
			h.commit(h.write(grapnel.RunCompleted))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newScopes(t)
			c.violate(h)
			r := h.read()
			if !slices.ContainsFunc(r.Violations, func(v audit.Violation) bool { return v.Promise == c.promise && strings.Contains(v.Text, c.text) }) {
				t.Errorf("violations %v, want one of %s with %q", r.Violations, c.promise, c.text)
			}
		})
	}
}
