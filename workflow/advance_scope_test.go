package workflow_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// sees returns the slot of a node as another one, by its slot, sees it. It goes
// by keys, so that it is another way than that of the state machine.
func (w *world) sees(slot, node int) int {
	_, items, ok := workflow.ParseKey(w.s.Key(slot))
	if !ok {
		w.t.Fatalf("slot %d has key %q", slot, w.s.Key(slot))
	}
	key := fmt.Sprint(node)
	for i, h := range w.mapsAround(node) {
		_ = h
		key += fmt.Sprintf(".%d", items[i])
	}
	at, ok := w.s.Slot(grapnel.NodeKey(key))
	if !ok {
		w.t.Fatalf("no slot has key %q", key)
	}
	return at
}

// mapsAround returns the maps around a node of the definition, the innermost
// first.
func (w *world) mapsAround(node int) []int {
	var maps []int
	for h := w.def.Nodes[node].Scope - 1; h >= 0; h = w.def.Nodes[h].Scope - 1 {
		if w.def.Nodes[h].Kind == workflow.KindMap {
			maps = append(maps, h)
		}
	}
	return maps
}

// decide commits what a switch or map came to.
func (w *world) decide(slot int, n *workflow.Node, fence grapnel.Fence) {
	pick := w.choose(w.s.Key(slot), n)
	if n.Kind == workflow.KindMap {
		w.apply(workflow.MapExpanded{Node: slot, Fence: fence, Now: w.now, Items: pick})
		return
	}
	key := []byte("null")
	if pick >= 0 {
		key = []byte(fmt.Sprint(pick))
	}
	w.apply(workflow.SwitchDecided{Node: slot, Fence: fence, Now: w.now, Key: key})
}

// checkScopes holds what must be so of scopes, whatever happened.
func (w *world) checkScopes(before *workflow.State, ev workflow.Event) {
	for slot := range w.s.Nodes {
		if w.s.IsTemplate(slot) {
			if !cmp.Equal(w.s.Nodes[slot], workflow.NodeState{}, stateOpts) {
				w.t.Fatalf("template %d is touched by %#v", slot, ev)
			}
			continue
		}
		n, st := w.s.Node(slot), &w.s.Nodes[slot]
		if at, ok := w.s.Slot(w.s.Key(slot)); !ok || at != slot {
			w.t.Fatalf("slot %d has key %s, which is slot %d", slot, w.s.Key(slot), at)
		}
		skipped := w.skipped(slot)
		if (st.Status == grapnel.NodeSkipped) != skipped {
			w.t.Fatalf("node %s is %v after %#v, and its branches say skipped: %v", w.s.Key(slot), st.Status, ev, skipped)
		}
		if n.Scope > 0 && w.s.Ready(slot) {
			h := w.sees(slot, n.Scope-1)
			if w.s.Nodes[h].Choice == 0 || w.s.Nodes[h].Status != grapnel.NodePending {
				w.t.Fatalf("node %s is ready, and its holder has not decided or has ended", w.s.Key(slot))
			}
		}
		if n.Kind.Holds() && st.Status == grapnel.NodeCompleted && (slot >= len(before.Nodes) || before.Nodes[slot].Status == grapnel.NodePending) {
			w.checkClosed(slot)
		}
		if n.Kind == workflow.KindMap && st.Choice > 0 && n.Policy.Parallel > 0 {
			w.checkParallel(slot, n)
		}
	}
}

// skipped reports whether a node is in a branch that was not taken, or is a
// switch that took none.
func (w *world) skipped(slot int) bool {
	node := w.s.NodeOf(slot)
	if n := w.s.Node(slot); n.Kind == workflow.KindSwitch && w.s.Nodes[slot].Choice == 0 && w.s.Nodes[slot].Fence != 0 &&
		w.choose(w.s.Key(slot), n) < 0 && w.s.Nodes[slot].Status != grapnel.NodePending && w.s.Nodes[slot].Status != grapnel.NodeCancelled && w.s.Nodes[slot].Status != grapnel.NodeFailed {
		return true
	}
	for h := w.def.Nodes[node].Scope - 1; h >= 0; node, h = h, w.def.Nodes[h].Scope-1 {
		if w.def.Nodes[h].Kind != workflow.KindSwitch {
			continue
		}
		st := w.s.Nodes[w.sees(slot, h)]
		if st.Status == grapnel.NodeSkipped || st.Choice > 0 && st.Choice != w.def.Nodes[node].Branch+1 {
			return true
		}
	}
	return false
}

// checkClosed checks that all in the scope of a holder have ended.
func (w *world) checkClosed(holder int) {
	key := string(w.s.Key(holder))
	_, items, _ := workflow.ParseKey(grapnel.NodeKey(key))
	for slot := range w.s.Nodes {
		if w.s.IsTemplate(slot) {
			continue
		}
		node, inside, _ := workflow.ParseKey(w.s.Key(slot))
		in := false
		for h := w.def.Nodes[node].Scope - 1; h >= 0; h = w.def.Nodes[h].Scope - 1 {
			in = in || h == w.s.NodeOf(holder)
		}
		if in && len(inside) >= len(items) && slices.Equal(inside[:len(items)], items) && !w.s.Nodes[slot].Status.Done() {
			w.t.Fatalf("holder %s has ended before %s, which is %v", key, w.s.Key(slot), w.s.Nodes[slot].Status)
		}
	}
}

// checkParallel checks that items start in order and not too many at a time.
func (w *world) checkParallel(holder int, n *workflow.Node) {
	items := w.s.Expansions[w.s.Nodes[holder].Choice-1].Items
	_, at, _ := workflow.ParseKey(w.s.Key(holder))
	open, ready := make([]bool, items), make([]bool, items)
	for slot := range w.s.Nodes {
		if w.s.IsTemplate(slot) || w.def.Nodes[w.s.NodeOf(slot)].Scope-1 != w.s.NodeOf(holder) {
			continue
		}
		_, inside, _ := workflow.ParseKey(w.s.Key(slot))
		if item := inside[len(inside)-1]; slices.Equal(inside[:len(at)], at) {
			open[item] = open[item] || !w.s.Nodes[slot].Status.Done()
			ready[item] = ready[item] || w.s.Ready(slot)
		}
	}
	ahead := 0
	for item := range items {
		if ready[item] && ahead >= n.Policy.Parallel {
			w.t.Fatalf("map %s: item %d starts while %d ahead of it are open, of %d allowed", w.s.Key(holder), item, ahead, n.Policy.Parallel)
		}
		if open[item] {
			ahead++
		}
	}
}

// drawScopes draws a definition with scopes in scopes.
func drawScopes(t *rapid.T, policy func(i int) workflow.Policy) *workflow.Definition {
	def := &workflow.Definition{Name: "test"}
	var fill func(holder, branch, depth int, visible []int) []int
	// fill adds nodes to a scope that sees these, and returns those it added.
	fill = func(holder, branch, depth int, visible []int) []int {
		var own []int
		for range rapid.IntRange(0, 4).Draw(t, "nodes") {
			if len(def.Nodes) >= 30 {
				break
			}
			i := len(def.Nodes)
			n := workflow.Node{Kind: workflow.KindTask, Name: fmt.Sprintf("n%d", i), Task: "t", Scope: holder + 1, Branch: branch}
			for _, v := range slices.Concat(visible, own) {
				if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
					n.Needs = append(n.Needs, v)
				}
			}
			if policy != nil {
				n.Policy = policy(i)
			}
			branches := 0
			switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
			case kind == 4 && depth < 3:
				n.Kind, n.Task, branches = workflow.KindSwitch, "", rapid.IntRange(1, 3).Draw(t, "branches")
			case kind == 5 && depth < 3:
				n.Kind, n.Task, branches = workflow.KindMap, "", 1
				n.Policy.Parallel = rapid.IntRange(0, 2).Draw(t, "parallel")
			}
			for b := range branches {
				n.Branches = append(n.Branches, workflow.Branch{Name: fmt.Sprint(b)})
				if n.Kind == workflow.KindSwitch {
					n.Branches[b].Keys = [][]byte{[]byte(fmt.Sprint(b))}
				}
			}
			def.Nodes = append(def.Nodes, n)
			around := slices.Concat(visible, own)
			for b := range branches {
				inside := fill(i, b, depth+1, around)
				var reads []workflow.Source
				for _, v := range slices.Concat(around, inside) {
					if rapid.IntRange(0, 3).Draw(t, "result") == 0 {
						reads = append(reads, workflow.Source{Kind: workflow.SourceNode, Node: v})
					}
				}
				def.Nodes[i].Branches[b].Result = workflow.Source{Kind: workflow.SourceGather, Of: reads}
			}
			own = append(own, i)
		}
		return own
	}
	fill(-1, 0, 0, nil)
	if err := def.Seal(); err != nil {
		t.Fatalf("seal: %v", err)
	}
	return def
}

// drawFails draws which attempts of nodes fail: a tenth.
func drawFails(t *rapid.T, attempts int) map[string]bool {
	seed := rapid.Uint64().Draw(t, "fails")
	random := rand.New(rand.NewPCG(seed, seed))
	fails := map[string]bool{}
	for slot := range 200 {
		for a := 1; seed != 0 && a <= attempts; a++ {
			fails[fmt.Sprintf("%d/%d", slot, a)] = random.IntN(10) == 0
		}
	}
	return fails
}

// chooser returns what switches and maps come to: always the same for one key.
func chooser(seed uint32) func(grapnel.NodeKey, *workflow.Node) int {
	return func(key grapnel.NodeKey, n *workflow.Node) int {
		h := fnv.New32a()
		_, _ = fmt.Fprint(h, key, seed)
		if n.Kind == workflow.KindMap {
			return int(h.Sum32() % 4)
		}
		return int(h.Sum32()%uint32(len(n.Branches)+1)) - 1
	}
}

// byKey is a state without what depends on the order of events.
func byKey(s *workflow.State) map[grapnel.NodeKey]string {
	nodes := map[grapnel.NodeKey]string{}
	for slot := range s.Slots() {
		n := s.Nodes[slot]
		choice := fmt.Sprint(n.Choice)
		if s.Node(slot).Kind == workflow.KindMap && n.Choice > 0 {
			choice = fmt.Sprintf("%d items", s.Expansions[n.Choice-1].Items)
		}
		nodes[s.Key(slot)] = fmt.Sprintf("%s %v %s %s", s.Name(slot), n.Status, choice, n.Output)
	}
	return nodes
}

func TestAdvanceReachesTheSameStateOfScopesInAnyLegalOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def := drawScopes(t, func(int) workflow.Policy {
			return workflow.Policy{Retry: workflow.RetryPolicy{Attempts: 2}}
		})
		fails := drawFails(t, 1)
		choose := chooser(rapid.Uint32().Draw(t, "choices"))
		first, second := newWorld(t, def, fails), newWorld(t, def, nil)
		first.choose, second.choose = choose, choose
		first.play(false)
		second.play(false)
		for _, w := range []*world{first, second} {
			if w.s.Status != grapnel.RunCompleted {
				t.Fatalf("status is %v, want completed", w.s.Status)
			}
		}
		if diff := cmp.Diff(byKey(first.s), byKey(second.s)); diff != "" {
			t.Fatalf("two orders differ:\n%s", diff)
		}
	})
}

func TestAdvanceKeepsItsPromisesInScopesUnderLossesFailuresAndCancels(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fails := drawFails(t, 3)
		def := drawScopes(t, func(i int) workflow.Policy {
			return workflow.Policy{Retry: workflow.RetryPolicy{Attempts: i % 3}, MaxLosses: 1 + i%3}
		})
		w := newWorld(t, def, fails)
		w.choose = chooser(rapid.Uint32().Draw(t, "choices"))
		cancelAfter := rapid.IntRange(0, 40).Draw(t, "cancel")
		w.playUntil(true, func(steps int) bool {
			if steps == cancelAfter {
				w.apply(workflow.RunCancelled{Now: w.now})
			}
			return false
		})
		for i := range w.s.Nodes {
			if w.s.Nodes[i].Status == grapnel.NodePending && !w.s.IsTemplate(i) {
				t.Fatalf("node %s is pending in a run that is %v", w.s.Key(i), w.s.Status)
			}
		}
		if w.s.Status == grapnel.RunCompleted {
			return
		}
		w.apply(workflow.RunRetried{Now: w.now})
		w.claims, w.covers, w.fails, w.past, w.unheard = map[int]grapnel.Fence{}, map[int]int{}, nil, nil, nil
		w.play(false)
		if w.s.Status != grapnel.RunCompleted || w.s.Generation != 1 {
			t.Fatalf("retried run is %v in generation %d", w.s.Status, w.s.Generation)
		}
		fresh := newWorld(t, def, nil)
		fresh.choose = w.choose
		fresh.play(false)
		if diff := cmp.Diff(byKey(fresh.s), byKey(w.s)); diff != "" {
			t.Fatalf("a retried run ends otherwise than one that went well:\n%s", diff)
		}
	})
}

// limited is a map over a list with a limit, whose body is two tasks, one after the
// other.
func limited(t failer, parallel int) *workflow.Definition {
	t.Helper()
	def := &workflow.Definition{Name: "limited", Nodes: []workflow.Node{
		{Kind: workflow.KindMap, Name: "each", Branches: []workflow.Branch{{}}, Policy: workflow.Policy{Parallel: parallel}},
		{Kind: workflow.KindTask, Name: "each.first", Task: "t", Scope: 1},
		{Kind: workflow.KindTask, Name: "each.second", Task: "t", Scope: 1, Needs: []int{1}},
	}}
	if err := def.Seal(); err != nil {
		t.Fatalf("seal: %v", err)
	}
	return def
}

// Limits are policies: another one holds from when a state is bound to it, and
// what has begun goes on.
func TestTheLimitOfAMapMayChangeUnderARun(t *testing.T) {
	t.Parallel()
	def := limited(t, 2)
	s := workflow.NewState(def, 1)
	mustAdvance(t, def, s, workflow.MapExpanded{Node: 0, Fence: 1, Now: 2, Items: 5}, workflow.Applied)
	ready := func() (items []int) {
		for slot := range s.Nodes {
			if s.Ready(slot) {
				items = append(items, slot)
			}
		}
		return items
	}
	if got := ready(); !slices.Equal(got, []int{3, 5}) {
		t.Fatalf("of two items at a time, %v are ready", got)
	}
	more := limited(t, 4)
	if err := s.Bind(more); err != nil {
		t.Fatal(err)
	}
	if got := ready(); !slices.Equal(got, []int{3, 5, 7, 9}) {
		t.Fatalf("of four items at a time, %v are ready", got)
	}
	if n := s.Nodes[9]; n.Since != 2 || n.Available != 2 {
		t.Errorf("a node that a new limit admits is available since %d and %d, want the state's clock", n.Since, n.Available)
	}
	fewer := limited(t, 1)
	if err := s.Bind(fewer); err != nil {
		t.Fatal(err)
	}
	// The second item's first node was claimed before; that it is done counts, and
	// its second node waits for its turn.
	mustAdvance(t, fewer, s, workflow.NodeCompleted{Node: 5, Fence: 2, Now: 3}, workflow.Applied)
	if got := ready(); !slices.Equal(got, []int{3}) {
		t.Fatalf("of one item at a time, %v are ready", got)
	}
	mustAdvance(t, fewer, s, workflow.ClaimLost{Node: 7, Fence: 3, Worker: "w", Now: 4}, workflow.Applied)
	mustAdvance(t, fewer, s, workflow.NodeCompleted{Node: 3, Fence: 4, Now: 5}, workflow.Applied)
	c := mustAdvance(t, fewer, s, workflow.NodeCompleted{Node: 4, Fence: 5, Now: 6}, workflow.Applied)
	if !slices.Equal(c.Freed, []int{6}) || !slices.Equal(ready(), []int{6}) {
		t.Fatalf("freed %v, ready %v; want the second item's second node", c.Freed, ready())
	}
}

// An item that has begun under a laxer limit, and waits to be tried again, does
// not begin anew when a stricter one admits it.
func TestTimersAreKeptOfItemsThatAreAdmittedOnceMore(t *testing.T) {
	t.Parallel()
	lax, strict := limited(t, 2), limited(t, 1)
	s := workflow.NewState(lax, 1)
	mustAdvance(t, lax, s, workflow.MapExpanded{Node: 0, Fence: 1, Now: 2, Items: 2}, workflow.Applied)
	lax.Nodes[1].Policy.Retry.Attempts = 2
	mustAdvance(t, lax, s, workflow.AttemptFailed{Node: 5, Fence: 2, Attempt: 1, Now: 3, RetryAt: 1000}, workflow.Applied)
	if err := s.Bind(strict); err != nil {
		t.Fatal(err)
	}
	mustAdvance(t, strict, s, workflow.NodeCompleted{Node: 3, Fence: 3, Now: 4}, workflow.Applied)
	c := mustAdvance(t, strict, s, workflow.NodeCompleted{Node: 4, Fence: 4, Now: 5}, workflow.Applied)
	if n := s.Nodes[5]; n.Available != 1000 || n.Since != 2 || len(c.Freed) != 0 || !s.Ready(5) {
		t.Errorf("available at %d, since %d, freed %v, ready %t", n.Available, n.Since, c.Freed, s.Ready(5))
	}
}

func TestAdvanceRefusesListsThatAreTooLong(t *testing.T) {
	t.Parallel()
	def := limited(t, 0)
	s := workflow.NewState(def, 1)
	mustAdvance(t, def, s, workflow.MapExpanded{Node: 0, Fence: 1, Now: 2, Items: workflow.MaxItems + 1}, workflow.Applied)
	if s.Cause == nil || s.Cause.Kind != workflow.KindTooManyItems || s.Nodes[0].Status != grapnel.NodeFailed || len(s.Nodes) != 3 {
		t.Errorf("cause %+v, node %+v, %d slots", s.Cause, s.Nodes[0], len(s.Nodes))
	}

	// Maps in maps: each is short enough, together they are not.
	deep := &workflow.Definition{Name: "deep", Nodes: []workflow.Node{
		{Kind: workflow.KindMap, Name: "a", Branches: []workflow.Branch{{}}},
		{Kind: workflow.KindMap, Name: "b", Scope: 1, Branches: []workflow.Branch{{}}},
		{Kind: workflow.KindTask, Name: "c", Task: "t", Scope: 2},
	}}
	if err := deep.Seal(); err != nil {
		t.Fatal(err)
	}
	s = workflow.NewState(deep, 1)
	mustAdvance(t, deep, s, workflow.MapExpanded{Node: 0, Fence: 1, Now: 2, Items: workflow.MaxItems}, workflow.Applied)
	for i := 0; s.Cause == nil; i++ {
		if len(s.Nodes) > workflow.MaxSlots {
			t.Fatalf("%d slots", len(s.Nodes))
		}
		mustAdvance(t, deep, s, workflow.MapExpanded{Node: 3 + 2*i, Fence: grapnel.Fence(2 + i), Now: 2, Items: workflow.MaxItems}, workflow.Applied)
	}
	if s.Cause.Kind != workflow.KindTooManyItems || s.Cause.Message != "a[76].b would give the run 20227 nodes, at most 20000 are allowed" {
		t.Errorf("cause %+v", s.Cause)
	}
}

// BenchmarkAdvanceItem is a completion in one of many items of a map.
func BenchmarkAdvanceItem(b *testing.B) {
	def := limited(b, 16)
	start := workflow.NewState(def, 1)
	mustAdvance(b, def, start, workflow.MapExpanded{Node: 0, Fence: 1, Now: 2, Items: workflow.MaxItems}, workflow.Applied)
	s, next, fence := start.Clone(), 3, grapnel.Fence(2)
	for b.Loop() {
		if next == len(s.Nodes) { // rarely enough to be timed
			s, next = start.Clone(), 3
		}
		if _, err := workflow.Advance(def, s, workflow.NodeCompleted{Node: next, Fence: fence, Now: 3}); err != nil {
			b.Fatal(err)
		}
		next++
		fence++
	}
}
