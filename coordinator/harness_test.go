package coordinator_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env is a store with what tests do to it. All of it runs on fake time.
type env struct {
	t    *testing.T
	st   *memstore.Store
	keys store.Keys
	runs *snapshot.Runs
}

// simulate runs a test on fake time.
func simulate(t *testing.T, test func(t *testing.T, e *env)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memstore.New()
		t.Cleanup(st.Close)
		keys, err := store.NewKeys("test")
		if err != nil {
			t.Fatal(err)
		}
		test(t, &env{t: t, st: st, keys: keys, runs: snapshot.NewRuns(st, keys, snapshot.NewDefinitions(st, keys))})
	})
}

// wait lets d pass and everything settle.
func (e *env) wait(d time.Duration) {
	e.t.Helper()
	<-time.After(d)
	synctest.Wait()
}

// must fails the test on an error.
func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// coordinate runs a coordinator until stop is called or the test ends.
func (e *env) coordinate(change func(c *coordinator.Config)) (stop func()) {
	e.t.Helper()
	cfg := coordinator.Config{Store: e.st, Namespace: "test", Name: "c", Random: func() float64 { return 0 }}
	if change != nil {
		change(&cfg)
	}
	c, err := coordinator.New(cfg)
	e.must(err)
	ctx, cancel := context.WithCancel(e.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			e.t.Errorf("Run: %v", err)
		}
	})
	e.t.Cleanup(stop)
	synctest.Wait()
	return stop
}

// define returns a sealed definition of task nodes named n0, n1, … with these
// needs.
func (e *env) define(needs [][]int, change func(def *workflow.Definition)) *workflow.Definition {
	e.t.Helper()
	def := &workflow.Definition{Name: "flow"}
	for i, need := range needs {
		def.Nodes = append(def.Nodes, workflow.Node{Kind: workflow.KindTask, Name: fmt.Sprintf("n%d", i), Task: "task", Needs: need})
	}
	if change != nil {
		change(def)
	}
	e.must(def.Seal())
	return def
}

func (e *env) start(id grapnel.RunID, def *workflow.Definition, change func(r *snapshot.CreateRequest)) *snapshot.Head {
	e.t.Helper()
	req := snapshot.CreateRequest{
		Run: id, Definition: def, Operation: grapnel.NewOperationID(), Input: []byte(`{"n":1}`), Now: workflow.MomentOf(time.Now()),
	}
	if change != nil {
		change(&req)
	}
	h, created, err := e.runs.Create(e.t.Context(), req)
	e.must(err)
	if !created {
		e.t.Fatalf("run %s exists", id)
	}
	synctest.Wait()
	return h
}

func (e *env) load(id grapnel.RunID) *snapshot.Head {
	e.t.Helper()
	h, err := e.runs.Load(e.t.Context(), id)
	e.must(err)
	return h
}

// list returns what is stored under a prefix.
func (e *env) list(prefix string) []store.KV {
	e.t.Helper()
	page, err := e.st.List(e.t.Context(), store.ListRequest{Prefix: prefix, Limit: 10_000})
	e.must(err)
	return page.KVs
}

// worker is a worker as far as the store can tell.
type worker struct {
	e    *env
	id   grapnel.WorkerID
	s    *claim.Session
	read int // messages read
}

// join opens a worker's session and keeps it alive until the test ends or it is
// killed.
func (e *env) join(name string, slots int, change func(p *snapshot.Profile)) *worker {
	e.t.Helper()
	p := &snapshot.Profile{
		Worker: grapnel.WorkerID(name), Queues: []string{"default"}, Slots: slots, Tasks: map[string][]string{"task": {""}},
	}
	if change != nil {
		change(p)
	}
	ctx, cancel := context.WithCancel(e.t.Context())
	s, err := claim.Open(ctx, claim.SessionConfig{Store: e.st, Keys: e.keys, Profile: p.Message()})
	e.must(err)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	e.t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return &worker{e: e, id: p.Worker, s: s}
}

// messages returns what came into the inbox since the last call.
func (w *worker) messages() []*pb.Message {
	w.e.t.Helper()
	synctest.Wait()
	var all []*pb.Message
	kvs := w.e.list(w.e.keys.Inbox(w.id))
	for _, kv := range kvs[min(w.read, len(kvs)):] {
		m := &pb.Message{}
		w.e.must(proto.Unmarshal(kv.Value, m))
		all = append(all, m)
	}
	w.read = len(kvs)
	return all
}

// offers returns the offers that came since the last call, as "run/node".
func (w *worker) offers() string {
	w.e.t.Helper()
	var got []string
	for _, m := range w.messages() {
		for _, o := range m.Offers {
			got = append(got, fmt.Sprintf("%s/%d", o.Run, o.Node))
		}
	}
	return strings.Join(got, " ")
}

// stops returns the stops that came since the last call, as "run/node kind".
func (w *worker) stops() string {
	w.e.t.Helper()
	var got []string
	for _, m := range w.messages() {
		for _, o := range m.Stops {
			got = append(got, fmt.Sprintf("%s/%d %s", o.Run, o.Node, o.Kind))
		}
	}
	return strings.Join(got, ", ")
}

// claim claims a node.
func (w *worker) claim(id grapnel.RunID, node int) *claim.Claim {
	w.e.t.Helper()
	h := w.e.load(id)
	n := &h.State.Nodes[node]
	target := claim.Target{
		Run: id, Instance: h.Instance, Node: h.State.Key(node), Attempt: n.Attempt(), Started: time.Now().UnixMilli(),
		CoverNode: h.State.Key(n.Cover.Node), CoverFence: n.Cover.Fence,
	}
	c, _, err := w.s.Acquire(w.e.t.Context(), target, 0)
	w.e.must(err)
	synctest.Wait()
	return c
}

// commit commits events under a claim, and ends the run if it can.
func (w *worker) commit(c *claim.Claim, keep bool, events func(h *snapshot.Head) []workflow.Event) *snapshot.Head {
	w.e.t.Helper()
	e := w.e
	h, err := e.runs.Update(e.t.Context(), e.load(c.Run()), func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		change := snapshot.Change{Guards: []store.Guard{c.Guard()}}
		for _, ev := range events(h) {
			if _, err := h.Advance(ev); err != nil {
				return change, err
			}
		}
		if h.State.Finished() && !e.runs.EventsWaiting(h, reads) {
			if _, err := h.Advance(workflow.RunEnded{Now: workflow.MomentOf(time.Now())}); err != nil {
				return change, err
			}
			change.Add(e.runs.End(h))
			return change, nil
		}
		if !keep {
			change.Ops = append(change.Ops, c.Delete())
		}
		return change, nil
	})
	e.must(err)
	e.must(c.Close(e.t.Context()))
	synctest.Wait()
	return h
}

// complete commits that the claim's node returned null.
func (w *worker) complete(c *claim.Claim) *snapshot.Head {
	w.e.t.Helper()
	return w.commit(c, false, func(*snapshot.Head) []workflow.Event {
		i, _ := snapshot.NodeIndex(c.Node())
		return []workflow.Event{workflow.NodeCompleted{Node: i, Fence: c.Fence(), Now: workflow.MomentOf(time.Now()), Output: []byte("null")}}
	})
}

// die makes the worker's lease expire at once.
func (w *worker) die() {
	w.e.st.ExpireLease(w.s.ID())
	synctest.Wait()
}

// through returns a store that coordinators can be given, whose calls fail as
// the test wishes.
func (e *env) through() *faultstore.Store {
	fs := faultstore.New(e.st, nil)
	e.t.Cleanup(fs.Wait)
	return fs
}

// members returns the leases of the coordinators, in the order they joined.
func (e *env) members() []store.LeaseID {
	e.t.Helper()
	kvs := e.list(e.keys.Coordinators())
	slices.SortFunc(kvs, func(a, b store.KV) int { return cmp.Compare(a.Create, b.Create) })
	var leases []store.LeaseID
	for _, kv := range kvs {
		leases = append(leases, kv.Lease)
	}
	return leases
}

// history returns all changes of keys under a prefix so far.
func (e *env) history(prefix string) []store.Event {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.t.Context())
	defer cancel()
	watch := e.st.Watch(ctx, store.WatchRequest{Prefix: prefix, From: 1, Previous: true})
	var all []store.Event
	for {
		synctest.Wait()
		select {
		case b := <-watch:
			e.must(b.Err)
			all = append(all, b.Events...)
		default:
			return all
		}
	}
}

// writesHead reports whether a call is a commit that writes the head of a run.
func (e *env) writesHead(i faultstore.Info, id grapnel.RunID) bool {
	return i.Kind == faultstore.Commit && slices.ContainsFunc(i.Txn.Then, func(o store.Op) bool {
		return o.Kind == store.OpPut && o.Key == e.keys.Head(id)
	})
}

func (e *env) losses(id grapnel.RunID, node int) int {
	e.t.Helper()
	if t := e.load(id).State.Nodes[node].Trouble; t != nil {
		return t.Losses
	}
	return 0
}

func (e *env) wantStatus(id grapnel.RunID, want grapnel.RunStatus) *snapshot.Head {
	e.t.Helper()
	h := e.load(id)
	if h.State.Status != want {
		e.t.Fatalf("run %s is %v, want %v (cause %v)", id, h.State.Status, want, h.State.Cause)
	}
	return h
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func grapnelRun(id string) grapnel.RunID { return grapnel.RunID(id) }

// clean fails the test if what happened breaks a promise.
func (e *env) clean() {
	e.t.Helper()
	report, err := audit.Read(e.t.Context(), e.st, e.keys)
	e.must(err)
	for _, v := range report.Violations {
		e.t.Error(v)
	}
}
