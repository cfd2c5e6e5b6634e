package workflow_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// failer is what tests, benchmarks and rapid's tests have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// graph returns a sealed definition of task nodes with these needs.
func graph(t failer, needs [][]int, policy func(i int) workflow.Policy) *workflow.Definition {
	t.Helper()
	def := &workflow.Definition{Name: "test"}
	for i, need := range needs {
		n := workflow.Node{Kind: workflow.KindTask, Name: fmt.Sprintf("n%d", i), Task: "t", Needs: need}
		if policy != nil {
			n.Policy = policy(i)
		}
		def.Nodes = append(def.Nodes, n)
	}
	if err := def.Seal(); err != nil {
		t.Fatalf("seal: %v", err)
	}
	return def
}

func mustAdvance(t failer, def *workflow.Definition, s *workflow.State, ev workflow.Event, want workflow.Verdict) workflow.Changes {
	t.Helper()
	c, err := workflow.Advance(def, s, ev)
	if err != nil {
		t.Fatalf("Advance(%#v): %v", ev, err)
	}
	if c.Verdict != want {
		t.Fatalf("Advance(%#v) was %v, want %v", ev, c.Verdict, want)
	}
	return c
}

// world plays a run the way the protocol does: it hands out fences, keeps what
// is claimed, and checks the promises after each event.
type world struct {
	t       *rapid.T
	def     *workflow.Definition
	s       *workflow.State
	fence   grapnel.Fence
	now     workflow.Moment
	claims  map[int]grapnel.Fence                           // by claim node
	covers  map[int]int                                     // claim node → node it is now the right to
	numbers map[int]int                                     // claim node → the attempt's number when it began
	unheard []workflow.ClaimLost                            // losses that were not applied yet
	fails   map[string]bool                                 // node/attempt → fails
	outputs map[int]string                                  // committed
	choose  func(key grapnel.NodeKey, n *workflow.Node) int // what a switch or map comes to
	past    []workflow.Event
}

func newWorld(t *rapid.T, def *workflow.Definition, fails map[string]bool) *world {
	return &world{t: t, def: def, s: workflow.NewState(def, 1000), now: 1000, fails: fails,
		claims: map[int]grapnel.Fence{}, covers: map[int]int{}, numbers: map[int]int{}, outputs: map[int]string{}}
}

func (w *world) apply(ev workflow.Event) workflow.Changes {
	before := w.s.Clone()
	c, err := workflow.Advance(w.def, w.s, ev)
	if err != nil {
		w.t.Fatalf("Advance(%#v): %v", ev, err)
	}
	w.past = append(w.past, ev)
	w.check(before, ev)
	if c.Verdict == workflow.Repeated && !cmp.Equal(before, w.s, stateOpts) {
		w.t.Fatalf("a repeated event changed the state:\n%s", cmp.Diff(before, w.s, stateOpts))
	}
	return c
}

var stateOpts = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }), cmpopts.IgnoreFields(workflow.State{}, "def"), cmpopts.EquateEmpty(),
}

// check holds the promises that one event must keep.
func (w *world) check(before *workflow.State, ev workflow.Event) {
	_, retried := ev.(workflow.RunRetried)
	if before.Status.Ended() && !retried && !cmp.Equal(before, w.s, stateOpts) {
		w.t.Fatalf("write-once: %#v changed a run that had ended", ev)
	}
	if w.s.Clock < before.Clock {
		w.t.Fatalf("timers: %#v moved the clock back", ev)
	}
	rebound := w.s.Clone()
	if err := rebound.Bind(w.def); err != nil {
		w.t.Fatalf("bind: %v", err)
	}
	if diff := cmp.Diff(rebound, w.s, stateOpts); diff != "" {
		w.t.Fatalf("after %#v what is derived differs from what Bind derives:\n%s", ev, diff)
	}
	for i := range w.s.Nodes {
		n, was := &w.s.Nodes[i], &workflow.NodeState{}
		if i < len(before.Nodes) {
			was = &before.Nodes[i]
		}
		if n.Fence < was.Fence {
			w.t.Fatalf("one outcome: fence of node %d fell from %d to %d", i, was.Fence, n.Fence)
		}
		if (was.Status.Done() || was.Choice != 0 && n.Status == was.Status) && !cmp.Equal(was, n, stateOpts, exceptLosses(ev)) {
			w.t.Fatalf("write-once: completed node %d changed by %#v", i, ev)
		}
		if n.Status == grapnel.NodeCompleted && was.Status != grapnel.NodeCompleted {
			for _, need := range w.s.Node(i).Needs {
				if !before.Nodes[w.sees(i, need)].Status.Done() {
					w.t.Fatalf("order: node %d completed before %d, which it needs", i, need)
				}
			}
		}
		if w.s.Status == grapnel.RunCancelling && w.s.Ready(i) {
			w.t.Fatalf("cancel holds: node %d is ready in a run being cancelled", i)
		}
	}
	w.checkScopes(before, ev)
}

// exceptLosses ignores what the count of a loss may change of a completed node.
func exceptLosses(ev workflow.Event) cmp.Option {
	if _, ok := ev.(workflow.ClaimLost); !ok {
		return cmp.Options{}
	}
	failures := func(t *workflow.Trouble) (failures int, last *workflow.Failure) {
		if t == nil {
			return 0, nil
		}
		return t.Failures, t.Last
	}
	return cmp.Comparer(func(a, b *workflow.Trouble) bool {
		af, al := failures(a)
		bf, bl := failures(b)
		return af == bf && cmp.Equal(al, bl)
	})
}

// available lists nodes that could be claimed now.
func (w *world) available() []int {
	var found []int
	for i := range w.s.Nodes {
		if !w.s.Ready(i) || w.s.Nodes[i].Available > w.now || w.claims[i] != 0 {
			continue
		}
		if c := w.s.Nodes[i].Cover; c.Fence != 0 && w.claims[c.Node] == c.Fence {
			continue
		}
		found = append(found, i)
	}
	return found
}

func (w *world) held() []int {
	var nodes []int
	for i := range w.s.Nodes {
		if w.claims[i] != 0 {
			nodes = append(nodes, i)
		}
	}
	return nodes
}

func (w *world) drop(claim int) {
	delete(w.claims, claim)
	delete(w.covers, claim)
	delete(w.numbers, claim)
}

// take makes a claim the right to a node.
func (w *world) take(claim, node int) {
	w.covers[claim], w.numbers[claim] = node, w.s.Nodes[node].Attempt()
}

// hear applies the oldest loss that was not applied yet.
func (w *world) hear() {
	ev := w.unheard[0]
	w.unheard = w.unheard[1:]
	counts := w.s.Status == grapnel.RunRunning && w.s.Cause == nil
	if counts != w.s.Uncounted(ev.Node, ev.Fence) {
		w.t.Fatalf("honest count: %#v has to be counted: %v; the state says otherwise", ev, counts)
	}
	before := 0
	if t := w.s.Nodes[ev.Node].Trouble; t != nil {
		before = t.Losses
	}
	if c := w.apply(ev); counts && (c.Verdict != workflow.Applied || w.s.Nodes[ev.Node].Trouble.Losses != before+1) {
		w.t.Fatalf("honest count: %#v is %v, the losses are %d after %d", ev, c.Verdict, w.s.Nodes[ev.Node].Trouble.Losses, before)
	}
}

// finish commits an outcome of what the claim covers, and sometimes chains.
func (w *world) finish(claim int, chain bool) {
	fence, node := w.claims[claim], w.covers[claim]
	if n := w.s.Node(node); n.Kind.Holds() {
		w.decide(node, n, fence)
		w.drop(claim)
		return
	}
	attempt, ready := w.numbers[claim], w.s.Ready(node)
	if w.fails[fmt.Sprintf("%d/%d", node, attempt)] {
		c := w.apply(workflow.AttemptFailed{Node: node, Fence: fence, Attempt: attempt, Now: w.now,
			Failure: workflow.Failure{Kind: workflow.KindError, Message: "on purpose"}, RetryAt: w.now + 5})
		if ready && c.Verdict != workflow.Applied {
			w.t.Fatalf("the failure of an attempt under a live claim is %v", c.Verdict)
		}
		w.drop(claim)
		return
	}
	out := fmt.Sprintf(`"%s"`, w.s.Key(node))
	c := w.apply(workflow.NodeCompleted{Node: node, Fence: fence, Now: w.now, Output: []byte(out)})
	if c.Verdict == workflow.Applied {
		w.outputs[node] = out
	}
	if chain && len(c.Freed) == 1 {
		if w.apply(workflow.NodeCovered{Node: c.Freed[0], By: claim, Fence: fence, Now: w.now}).Verdict == workflow.Applied {
			w.take(claim, c.Freed[0])
			return
		}
	}
	w.drop(claim)
}

// play takes random legal steps until the run has ended.
func (w *world) play(losses bool) { w.playUntil(losses, func(int) bool { return false }) }

// playUntil is play with something to do before each step, which says when to
// stop.
func (w *world) playUntil(losses bool, each func(steps int) bool) {
	for steps := 0; !w.s.Status.Ended() && !each(steps); steps++ {
		if steps > 5000 {
			w.t.Fatalf("nothing lost: the run does not end; open %d, available %v, held %v", w.s.Open(), w.available(), w.held())
		}
		w.now += workflow.Moment(rapid.IntRange(0, 3).Draw(w.t, "tick"))
		if w.s.Finished() {
			w.apply(workflow.RunEnded{Now: w.now})
			return
		}
		free, held := w.available(), w.held()
		switch pick := rapid.IntRange(0, 9).Draw(w.t, "step"); {
		case pick < 4 && len(free) > 0:
			i := rapid.SampledFrom(free).Draw(w.t, "claim")
			w.fence++
			w.claims[i] = w.fence
			w.take(i, i)
		case pick < 8 && len(held) > 0:
			w.finish(rapid.SampledFrom(held).Draw(w.t, "finish"), rapid.Bool().Draw(w.t, "chain"))
		case pick == 8 && losses && len(held) > 0:
			claim := rapid.SampledFrom(held).Draw(w.t, "lose")
			if node, ok := w.s.Holder(claim, w.claims[claim]); !ok || node != w.covers[claim] {
				w.t.Fatalf("honest count: claim %d covers %d, Holder says %d, %v", claim, w.covers[claim], node, ok)
			}
			w.unheard = append(w.unheard, workflow.ClaimLost{Node: w.covers[claim], Fence: w.claims[claim], Worker: "w", Now: w.now})
			w.drop(claim)
		case pick == 9 && len(w.unheard) > 0:
			w.hear()
		case pick == 9 && len(w.past) > 0:
			// Everything that ever happened may be sent again.
			w.apply(rapid.SampledFrom(w.past).Draw(w.t, "again"))
		case len(free) == 0 && len(held) == 0:
			w.now += 5
		}
	}
}

func drawGraph(t *rapid.T) [][]int {
	needs := make([][]int, rapid.IntRange(0, 24).Draw(t, "nodes"))
	for i := range needs {
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
				needs[i] = append(needs[i], j)
			}
		}
	}
	return needs
}

func TestAdvanceReachesTheSameStateInAnyLegalOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		needs := drawGraph(t)
		fails := map[string]bool{}
		for i := range needs {
			for a := 1; a <= 2; a++ {
				fails[fmt.Sprintf("%d/%d", i, a)] = rapid.IntRange(0, 9).Draw(t, "fails") == 0
			}
		}
		def := graph(t, needs, func(int) workflow.Policy {
			return workflow.Policy{Retry: workflow.RetryPolicy{Attempts: 3}}
		})
		first, second := newWorld(t, def, fails), newWorld(t, def, fails)
		first.play(false)
		second.play(false)
		for _, w := range []*world{first, second} {
			if w.s.Status != grapnel.RunCompleted {
				t.Fatalf("status is %v, want completed", w.s.Status)
			}
			for i := range w.s.Nodes {
				if w.s.Nodes[i].Fence == 0 {
					t.Fatalf("node %d completed without a fence", i)
				}
			}
		}
		// What must agree is everything but fences and times.
		agree := cmp.Options{cmpopts.IgnoreFields(workflow.NodeState{}, "Fence", "Started", "Finished"),
			cmpopts.IgnoreFields(workflow.State{}, "Clock", "Ended"), cmpopts.IgnoreUnexported(workflow.State{})}
		if diff := cmp.Diff(first.s, second.s, agree); diff != "" {
			t.Fatalf("two orders differ:\n%s", diff)
		}
	})
}

func TestAdvanceKeepsItsPromisesUnderLossesFailuresAndCancels(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		needs := drawGraph(t)
		fails := map[string]bool{}
		for i := range needs {
			for a := 1; a <= 4; a++ {
				fails[fmt.Sprintf("%d/%d", i, a)] = rapid.IntRange(0, 3).Draw(t, "fails") == 0
			}
		}
		def := graph(t, needs, func(i int) workflow.Policy {
			return workflow.Policy{Retry: workflow.RetryPolicy{Attempts: i % 4}, MaxLosses: 1 + i%3}
		})
		w := newWorld(t, def, fails)
		if rapid.Bool().Draw(t, "cancel") {
			w.apply(workflow.RunCancelled{Now: w.now})
			w.play(true)
			if w.s.Status != grapnel.RunCancelled {
				t.Fatalf("cancel holds: status is %v", w.s.Status)
			}
			return
		}
		w.play(true)
		if failed := w.s.Cause != nil; failed != (w.s.Status == grapnel.RunFailed) {
			t.Fatalf("status %v with cause %v", w.s.Status, w.s.Cause)
		}
		for i := range w.s.Nodes {
			if w.s.Nodes[i].Status == grapnel.NodePending {
				t.Fatalf("node %d is pending in a run that is %v", i, w.s.Status)
			}
		}
		if w.s.Status != grapnel.RunFailed {
			return
		}
		w.apply(workflow.RunRetried{Now: w.now})
		w.claims, w.covers, w.fails, w.past, w.unheard = map[int]grapnel.Fence{}, map[int]int{}, nil, nil, nil
		w.play(false)
		if w.s.Status != grapnel.RunCompleted || w.s.Generation != 1 {
			t.Fatalf("retried run is %v in generation %d", w.s.Status, w.s.Generation)
		}
		for i, out := range w.outputs {
			if got := string(w.s.Nodes[i].Output); got != out {
				t.Fatalf("write-once: output of node %d is %s, was %s", i, got, out)
			}
		}
	})
}

func TestAdvanceTakesAnOutcomeOncePerFence(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil, {0}}, nil)
	s := workflow.NewState(def, 1)
	done := workflow.NodeCompleted{Node: 0, Fence: 7, Now: 2, Output: []byte("1")}
	if c := mustAdvance(t, def, s, done, workflow.Applied); len(c.Freed) != 1 || c.Freed[0] != 1 {
		t.Fatalf("freed %v, want [1]", c.Freed)
	}
	mustAdvance(t, def, s, done, workflow.Repeated)
	done.Fence, done.Output = 9, []byte("2")
	mustAdvance(t, def, s, done, workflow.Discarded)
	if got := string(s.Nodes[0].Output); got != "1" {
		t.Fatalf("output is %s, want the first one", got)
	}
}

func TestAdvanceCountsAFailureOnlyForTheCurrentAttempt(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil}, func(int) workflow.Policy { return workflow.Policy{Retry: workflow.RetryPolicy{Attempts: 3}} })
	s := workflow.NewState(def, 1)
	mustAdvance(t, def, s, workflow.AttemptFailed{Node: 0, Fence: 3, Attempt: 1, Now: 2, RetryAt: 10}, workflow.Applied)
	mustAdvance(t, def, s, workflow.AttemptFailed{Node: 0, Fence: 4, Attempt: 1, Now: 2, RetryAt: 10}, workflow.Discarded)
	if n := &s.Nodes[0]; n.Trouble.Failures != 1 || n.Available != 10 || n.Attempt() != 2 {
		t.Fatalf("node is %+v", n)
	}
}

func TestHonestCountOfALossThatIsHeardOfAfterTheNextAttemptBegan(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil, nil}, func(int) workflow.Policy { return workflow.Policy{Retry: workflow.RetryPolicy{Attempts: 3}} })
	lost := func(fence grapnel.Fence) workflow.ClaimLost {
		return workflow.ClaimLost{Node: 0, Fence: fence, Worker: "w", Now: 2}
	}
	failed := workflow.AttemptFailed{Node: 0, Fence: 6, Attempt: 1, Now: 3, RetryAt: 9}
	done := workflow.NodeCompleted{Node: 0, Fence: 6, Now: 3, Output: []byte("1")}
	for name, c := range map[string]struct {
		events  []workflow.Event
		attempt int
	}{
		"before the attempt fails":    {[]workflow.Event{lost(4), failed}, 3},
		"after the attempt failed":    {[]workflow.Event{failed, lost(4)}, 3},
		"before the node completes":   {[]workflow.Event{lost(4), done}, 2},
		"after the node completed":    {[]workflow.Event{done, lost(4)}, 2},
		"after a failure, and before": {[]workflow.Event{lost(4), failed, lost(7)}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := workflow.NewState(def, 1)
			losses := 0
			for _, ev := range c.events {
				mustAdvance(t, def, s, ev, workflow.Applied)
				if _, ok := ev.(workflow.ClaimLost); ok {
					losses++
					mustAdvance(t, def, s, ev, workflow.Repeated)
				}
			}
			if n := &s.Nodes[0]; n.Trouble.Losses != losses || n.Attempt() != c.attempt || len(n.Trouble.LostBy) != losses {
				t.Errorf("losses %+v, attempt %d; want %d and %d", n.Trouble, n.Attempt(), losses, c.attempt)
			}
			mustAdvance(t, def, s, workflow.RunCancelled{Now: 10}, workflow.Applied)
			mustAdvance(t, def, s, lost(8), workflow.Discarded)
		})
	}
}

func TestAdvanceFailsANodeLostTooOftenAndNamesItsWorkers(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil, {0}}, nil)
	s := workflow.NewState(def, 1)
	for i := range workflow.DefaultMaxLosses {
		mustAdvance(t, def, s, workflow.ClaimLost{Node: 0, Fence: grapnel.Fence(i + 1), Worker: grapnel.WorkerID(fmt.Sprintf("w%d", i)), Now: 5}, workflow.Applied)
		mustAdvance(t, def, s, workflow.ClaimLost{Node: 0, Fence: grapnel.Fence(i + 1), Worker: "again", Now: 5}, workflow.Repeated)
	}
	mustAdvance(t, def, s, workflow.RunEnded{Now: 6}, workflow.Applied)
	if s.Status != grapnel.RunFailed || s.Cause.Kind != workflow.KindLost {
		t.Fatalf("status %v, cause %+v", s.Status, s.Cause)
	}
	if want := "n0 was lost 5 times, by workers w0, w1, w2, w3, w4"; s.Cause.Message != want {
		t.Fatalf("message %q, want %q", s.Cause.Message, want)
	}
	if s.Nodes[1].Status != grapnel.NodeCancelled {
		t.Fatalf("the node behind it is %v", s.Nodes[1].Status)
	}
}

func TestAdvanceEndsATimedOutRunAsTimedOut(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil}, nil)
	def.Policy.Timeout = time.Second
	s := workflow.NewState(def, 1000)
	mustAdvance(t, def, s, workflow.RunExpired{Now: 1999}, workflow.Discarded)
	mustAdvance(t, def, s, workflow.RunExpired{Now: 2000}, workflow.Applied)
	if s.Ready(0) {
		t.Fatal("a node of a timed-out run is ready")
	}
	mustAdvance(t, def, s, workflow.RunEnded{Now: 2001}, workflow.Applied)
	if s.Status != grapnel.RunTimedOut {
		t.Fatalf("status is %v", s.Status)
	}
}

func TestAdvanceDiscardsAResultThatComesAfterACancel(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil, {0}}, nil)
	s := workflow.NewState(def, 1)
	mustAdvance(t, def, s, workflow.RunCancelled{Now: 2, Reason: "enough"}, workflow.Applied)
	done := workflow.NodeCompleted{Node: 0, Fence: 4, Now: 3, Output: []byte("1")}
	mustAdvance(t, def, s, done, workflow.Discarded)
	mustAdvance(t, def, s, done, workflow.Repeated)
	if n := s.Nodes[0]; n.Status != grapnel.NodeCancelled || n.Output != nil || n.Fence != 4 {
		t.Fatalf("node is %+v", n)
	}
	mustAdvance(t, def, s, workflow.RunEnded{Now: 5}, workflow.Applied)
	if s.Status != grapnel.RunCancelled {
		t.Fatalf("status is %v", s.Status)
	}
}

func TestAdvanceRefusesWhatBreaksTheProtocolAndChangesNothing(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil, {0}}, nil)
	for _, ev := range []workflow.Event{
		workflow.NodeCompleted{Node: 1, Fence: 3}, // needs node 0
		workflow.NodeCompleted{Node: 0},           // no fence
		workflow.NodeCompleted{Node: 2, Fence: 3}, // no such node
		workflow.AttemptFailed{Node: -1, Fence: 3, Attempt: 1},
		workflow.RunEnded{},
		workflow.RunRetried{},
		nil,
	} {
		s := workflow.NewState(def, 1)
		before := s.Clone()
		if _, err := workflow.Advance(def, s, ev); err == nil {
			t.Errorf("Advance(%#v) is accepted", ev)
		}
		if diff := cmp.Diff(before, s, stateOpts); diff != "" {
			t.Errorf("Advance(%#v) changed the state:\n%s", ev, diff)
		}
	}
}

func TestBindRefusesAStateOfAnotherGraph(t *testing.T) {
	t.Parallel()
	def := graph(t, [][]int{nil}, nil)
	for name, s := range map[string]*workflow.State{
		"too many nodes": {Status: grapnel.RunRunning, Nodes: make([]workflow.NodeState, 2)},
		"no status":      {},
		"bad cover":      {Status: grapnel.RunRunning, Nodes: []workflow.NodeState{{Cover: workflow.Cover{Node: 1}}}},
		"bad node":       {Status: grapnel.RunRunning, Nodes: []workflow.NodeState{{Status: 9}}},
	} {
		if err := s.Bind(def); !errors.Is(err, grapnel.ErrCorrupt) {
			t.Errorf("%s: Bind returned %v, want ErrCorrupt", name, err)
		}
	}
}

// One completion in a graph of 2,000 nodes must take at most 50 µs, however
// many of them have finished. Half the graph frees one node each, the first
// frees a thousand.
func BenchmarkAdvanceCompletion(b *testing.B) {
	needs := make([][]int, 2000)
	for i := 1; i < len(needs); i++ {
		if needs[i] = []int{i - 1}; i >= 1000 {
			needs[i] = []int{i - 1000, i - 1}
		}
	}
	def := graph(b, needs, nil)
	for _, finished := range []int{0, 1000, 1990} {
		start := workflow.NewState(def, 1)
		for i := range finished {
			mustAdvance(b, def, start, workflow.NodeCompleted{Node: i, Fence: grapnel.Fence(i + 1), Now: 2}, workflow.Applied)
		}
		b.Run(fmt.Sprintf("finished=%d", finished), func(b *testing.B) {
			s, next := start.Clone(), finished
			for b.Loop() {
				if next == len(needs) {
					b.StopTimer()
					s, next = start.Clone(), finished
					b.StartTimer()
				}
				if _, err := workflow.Advance(def, s, workflow.NodeCompleted{Node: next, Fence: grapnel.Fence(next + 1), Now: 3}); err != nil {
					b.Fatal(err)
				}
				next++
			}
		})
	}
}
