package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits, on fake time.
const patience = 10 * time.Minute

// world is a store with runs and workers, on fake time.
type world struct {
	t    *testing.T
	mem  *memstore.Store
	st   *hooked
	keys store.Keys
	runs *snapshot.Runs
	seq  int
	// losses is set by tests in which claims vanish without the head.
	losses           bool
	coordinatorLease store.LeaseID
}

// inWorld runs a test in a world of its own and checks, at the end, what holds
// of every history.
func inWorld(t *testing.T, test func(w *world), o ...memstore.Option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys, err := store.NewKeys("default")
		if err != nil {
			t.Fatal(err)
		}
		mem := memstore.New(o...)
		t.Cleanup(mem.Close)
		st := &hooked{Store: mem}
		w := &world{t: t, mem: mem, st: st, keys: keys, runs: snapshot.NewRuns(mem, keys, snapshot.NewDefinitions(mem, keys))}
		test(w)
		w.checkHistory()
	})
}

// hooked is a store whose commits go through a hook, if there is one.
type hooked struct {
	store.Store
	deaf    atomic.Bool // keepalives are held up
	mu      sync.Mutex
	watches []context.CancelFunc                                                         // guarded by mu
	hook    func(t store.Txn, commit func() (store.Result, error)) (store.Result, error) // guarded by mu
}

func (h *hooked) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	h.mu.Lock()
	hook := h.hook
	h.mu.Unlock()
	commit := func() (store.Result, error) { return h.Store.Commit(context.WithoutCancel(ctx), t) }
	if hook == nil {
		return commit()
	}
	return hook(t, commit)
}

// KeepAlive waits for its context's end while keepalives are held up.
func (h *hooked) KeepAlive(ctx context.Context, id store.LeaseID) (store.Lease, error) {
	if h.deaf.Load() {
		<-ctx.Done()
		return store.Lease{}, fmt.Errorf("%w: %w", grapnel.ErrUnavailable, context.Cause(ctx))
	}
	return h.Store.KeepAlive(ctx, id)
}

// Watch can be ended by endWatches.
func (h *hooked) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	ctx, cancel := context.WithCancel(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watches = append(h.watches, cancel)
	return h.Store.Watch(ctx, r)
}

func (h *hooked) endWatches() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cancel := range h.watches {
		cancel()
	}
}

func (h *hooked) set(hook func(t store.Txn, commit func() (store.Result, error)) (store.Result, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

// running is a worker whose Run is under way.
type running struct {
	t      *testing.T
	stop   context.CancelFunc
	result chan error
}

// work runs a worker until the test ends, or drain is called.
func (w *world) work(cfg worker.Config, register func(*worker.Worker)) *running {
	w.t.Helper()
	cfg.Store = w.st
	wk, err := worker.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	register(wk)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: w.t, stop: stop, result: make(chan error, 1)}
	go func() { r.result <- wk.Run(ctx) }()
	w.t.Cleanup(r.drain)
	return r
}

func serve(wfs ...workflow.Any) func(*worker.Worker) {
	return func(w *worker.Worker) { w.Serve(wfs...) }
}

// drain stops the worker and waits until it is drained.
func (r *running) drain() {
	r.stop()
	if err, ok := <-r.result; ok && err != nil {
		r.t.Errorf("Run: %v", err)
	}
	select {
	case <-r.result:
	default:
		close(r.result)
	}
}

// start starts a run.
func (w *world) start(run grapnel.RunID, wf workflow.Any, input string) *snapshot.Head {
	w.t.Helper()
	def, err := wf.Definition()
	if err != nil {
		w.t.Fatal(err)
	}
	h, _, err := w.runs.Create(w.t.Context(), snapshot.CreateRequest{
		Run: run, Definition: def, Operation: grapnel.NewOperationID(), Input: []byte(input), Now: workflow.MomentOf(time.Now()),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// until waits for a state of the run, which it returns.
func (w *world) until(run grapnel.RunID, is func(*snapshot.Head) bool) *snapshot.Head {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for b := range w.mem.Watch(ctx, store.WatchRequest{Prefix: w.keys.Head(run), From: 1}) {
		for _, ev := range b.Events {
			if h, err := w.runs.Decode(ctx, ev.KV); err == nil && is(h) {
				return h
			}
		}
	}
	w.t.Fatalf("run %q did not get there in time", run)
	return nil
}

func ended(h *snapshot.Head) bool { return h.State.Status.Ended() }

// completes waits for the run's end and returns its output.
func (w *world) completes(run grapnel.RunID) string {
	w.t.Helper()
	h := w.until(run, ended)
	if h.State.Status != grapnel.RunCompleted {
		w.t.Fatalf("run %q is %v: %v", run, h.State.Status, h.State.Cause)
	}
	values, err := w.runs.Values(w.t.Context(), h, h.Def().Output)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := h.Def().Output.Eval(values)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// fails waits for the run's failure and returns it.
func (w *world) fails(run grapnel.RunID) *workflow.Failure {
	w.t.Helper()
	h := w.until(run, ended)
	if h.State.Status != grapnel.RunFailed {
		w.t.Fatalf("run %q is %v", run, h.State.Status)
	}
	return h.State.Cause
}

// coordinator makes workers believe that there is a coordinator, so that they
// wait for offers.
func (w *world) coordinator() {
	w.t.Helper()
	l, err := w.mem.Grant(w.t.Context(), 24*time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	w.coordinatorLease = l.ID
	w.commit(store.Put(w.keys.Coordinator("test"), nil, l.ID))
}

func (w *world) commit(ops ...store.Op) {
	w.t.Helper()
	if _, err := w.mem.Commit(w.t.Context(), store.Txn{Then: ops}); err != nil {
		w.t.Fatal(err)
	}
}

// worker waits for the session of a worker that is not draining.
func (w *world) worker() (*snapshot.Profile, store.KV) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for b := range w.mem.Watch(ctx, store.WatchRequest{Prefix: w.keys.Workers(), From: 1}) {
		for _, ev := range b.Events {
			if ev.Deleted {
				continue
			}
			if kv, err := w.mem.Get(ctx, ev.KV.Key); err == nil {
				p, err := snapshot.DecodeProfile(kv)
				if err != nil {
					w.t.Fatal(err)
				}
				return p, kv
			}
		}
	}
	w.t.Fatal("no worker came up in time")
	return nil, store.KV{}
}

// send puts a message into the worker's inbox.
func (w *world) send(m *pb.Message) {
	w.t.Helper()
	p, kv := w.worker()
	value, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.seq++
	w.commit(store.Put(fmt.Sprintf("%s%016x", w.keys.Inbox(p.Worker), w.seq), value, kv.Lease))
}

func offerOf(h *snapshot.Head, node int) *pb.Offer {
	n := &h.State.Nodes[node]
	return &pb.Offer{
		Run: string(h.Run), Instance: int64(h.Instance), Node: uint32(node), Definition: h.Definition,
		CoverFence: int64(n.Cover.Fence), CoverNode: uint32(n.Cover.Node), Attempt: uint32(n.Attempt()),
	}
}

func (w *world) offer(h *snapshot.Head, nodes ...int) {
	w.t.Helper()
	m := &pb.Message{Clock: time.Now().UnixMilli()}
	for _, n := range nodes {
		m.Offers = append(m.Offers, offerOf(h, n))
	}
	w.send(m)
}

// history returns all changes under a prefix so far.
func (w *world) history(prefix string) []store.Event {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	now := w.mem.Revision()
	// The watch says how far it has got; a change makes it say so.
	w.commit(store.Put(prefix+"~", nil, 0))
	var events []store.Event
	for b := range w.mem.Watch(ctx, store.WatchRequest{Prefix: prefix, From: 1}) {
		for _, ev := range b.Events {
			if ev.KV.Mod <= now {
				events = append(events, ev)
			}
		}
		if b.Revision > now {
			return events
		}
	}
	w.t.Fatal("history ended early")
	return nil
}

// checkHistory checks what holds of every history: claims always have a lease
// and are deleted together with a write of the head, fences of a node only grow,
// what has ended stays as it is, and each node completed after its needs.
func (w *world) checkHistory() {
	w.t.Helper()
	if w.t.Failed() {
		return
	}
	heads := map[grapnel.RunID]*snapshot.Head{}
	written := map[grapnel.Revision]bool{}
	var deleted []store.Event
	for _, ev := range w.history(w.keys.Runs()) {
		k, ok := w.keys.ParseRun(ev.KV.Key)
		switch {
		case !ok:
		case k.Kind == "claim" && ev.Deleted:
			deleted = append(deleted, ev)
		case k.Kind == "claim" && ev.KV.Lease == 0:
			w.t.Errorf("revision %d: claim %s has no lease", ev.KV.Mod, ev.KV.Key)
		case k.Kind == "head" && !ev.Deleted:
			written[ev.KV.Mod] = true
			h, err := w.runs.Decode(w.t.Context(), ev.KV)
			if err != nil {
				w.t.Fatal(err)
			}
			if old := heads[k.Run]; old != nil && old.Instance == h.Instance {
				w.checkStep(old, h)
			}
			heads[k.Run] = h
		}
	}
	for _, ev := range deleted {
		if !written[ev.KV.Mod] && !w.losses {
			w.t.Errorf("revision %d: claim %s deleted without its head", ev.KV.Mod, ev.KV.Key)
		}
	}
}

func (w *world) checkStep(old, h *snapshot.Head) {
	for i := range h.State.Nodes {
		a, b := &workflow.NodeState{}, &h.State.Nodes[i]
		if i < len(old.State.Nodes) {
			a = &old.State.Nodes[i]
		}
		if b.Fence < a.Fence {
			w.t.Errorf("revision %d: fence of node %d went from %d to %d", h.Mod, i, a.Fence, b.Fence)
		}
		if a.Status != grapnel.NodePending && (a.Status != b.Status || string(a.Output) != string(b.Output) || a.Fence != b.Fence) {
			w.t.Errorf("revision %d: node %d changed after it had ended", h.Mod, i)
		}
		if a.Status == grapnel.NodePending && b.Status == grapnel.NodeCompleted {
			key := string(h.State.Key(i))
			for _, need := range h.Node(i).Needs {
				// In the same item, or in none.
				at, ok := h.State.Slot(grapnel.NodeKey(strings.Replace(key, fmt.Sprint(h.State.NodeOf(i)), fmt.Sprint(need), 1)))
				if !ok {
					at = need
				}
				if !h.State.Nodes[at].Status.Done() {
					w.t.Errorf("revision %d: node %s completed before node %d, which it needs", h.Mod, key, need)
				}
			}
		}
	}
}

// noClaims checks that no claim is left.
func (w *world) noClaims() {
	w.t.Helper()
	page, err := w.mem.List(w.t.Context(), store.ListRequest{Prefix: w.keys.Runs()})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, kv := range page.KVs {
		if strings.Contains(kv.Key, "/claim/") {
			w.t.Errorf("claim %s is left", kv.Key)
		}
	}
}

// counter counts calls by name.
type counter struct {
	mu sync.Mutex
	n  map[string]int // guarded by mu
}

func (c *counter) add(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
	return c.n[name]
}

func (c *counter) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name]
}

// logs returns a logger, and what has been logged with it.
func logs() (hclog.Logger, func() string) {
	var mu sync.Mutex
	var b strings.Builder
	log := hclog.New(&hclog.LoggerOptions{Output: writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}), Level: hclog.Debug})
	return log, func() string {
		mu.Lock()
		defer mu.Unlock()
		return b.String()
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

var errBoom = errors.New("boom")

// single is a workflow of one task.
func single(name string, fn func(context.Context, int) (int, error), o ...workflow.TaskOption) *workflow.Workflow[int, int] {
	task := workflow.TaskFunc("task", fn, o...)
	return workflow.New(name, func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, task, in)
	})
}
