package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the moment at which the tests' runs start.
const start workflow.Moment = 1_700_000_000_000

// graph returns a sealed definition of task nodes with these needs, as change
// leaves it.
func graph(t testing.TB, needs [][]int, change func(def *workflow.Definition)) *workflow.Definition {
	t.Helper()
	def := &workflow.Definition{Name: "flow"}
	for i, need := range needs {
		n := workflow.Node{Kind: workflow.KindTask, Name: fmt.Sprintf("n%d", i), Task: "task", Needs: need}
		for _, from := range need {
			n.Input.Kind = workflow.SourceGather
			n.Input.Of = append(n.Input.Of, workflow.Source{Kind: workflow.SourceNode, Node: from})
		}
		def.Nodes = append(def.Nodes, n)
	}
	if change != nil {
		change(def)
	}
	if err := def.Seal(); err != nil {
		t.Fatal(err)
	}
	return def
}

// pair is a definition of two tasks, one after the other.
func pair(t testing.TB) *workflow.Definition { return graph(t, [][]int{nil, {0}}, nil) }

// world is a store in memory, seen through one that can fail.
type world struct {
	testing.TB
	mem  *memstore.Store
	st   *faultstore.Store
	keys store.Keys
	runs *snapshot.Runs
}

func newWorld(t testing.TB, rule faultstore.Rule) *world {
	t.Helper()
	keys, err := store.NewKeys("test")
	if err != nil {
		t.Fatal(err)
	}
	mem := memstore.New()
	t.Cleanup(mem.Close)
	w := &world{TB: t, mem: mem, st: faultstore.New(mem, rule), keys: keys}
	w.runs = w.another()
	return w
}

// another returns the runs as another process has them, which remembers nothing.
func (w *world) another() *snapshot.Runs {
	return snapshot.NewRuns(w.st, w.keys, snapshot.NewDefinitions(w.st, w.keys))
}

// retry calls do again while the store cannot be reached.
func (w *world) retry(do func() error) error {
	for {
		if err := do(); !errors.Is(err, grapnel.ErrUnavailable) {
			return err
		}
	}
}

func (w *world) request(run grapnel.RunID, def *workflow.Definition, op grapnel.OperationID) snapshot.CreateRequest {
	return snapshot.CreateRequest{Run: run, Definition: def, Operation: op, Input: []byte(`1`), Now: start}
}

// create starts a run that must not exist.
func (w *world) create(run grapnel.RunID, def *workflow.Definition, op grapnel.OperationID) *snapshot.Head {
	w.Helper()
	var h *snapshot.Head
	err := w.retry(func() error {
		var created bool
		var err error
		if h, created, err = w.runs.Create(w.Context(), w.request(run, def, op)); err == nil && !created {
			err = errors.New("the run exists")
		}
		return err
	})
	if err != nil {
		w.Fatalf("start %s as %s: %v", run, op, err)
	}
	return h
}

func (w *world) load(run grapnel.RunID) *snapshot.Head {
	w.Helper()
	var h *snapshot.Head
	err := w.retry(func() (err error) {
		h, err = w.runs.Load(w.Context(), run)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return h
}

// commit applies a transaction, past all faults, that must succeed.
func (w *world) commit(t store.Txn) store.Result {
	w.Helper()
	res, err := w.mem.Commit(context.WithoutCancel(w.Context()), t)
	if err != nil || !res.Succeeded {
		w.Fatalf("commit: %+v, %v", res, err)
	}
	return res
}

// claim puts a claim key on a node and returns its fence.
func (w *world) claim(h *snapshot.Head, node int) grapnel.Fence {
	w.Helper()
	lease, err := w.mem.Grant(w.Context(), time.Hour)
	if err != nil {
		w.Fatal(err)
	}
	value := w.encode(&pb.Claim{Worker: "w", Lease: int64(lease.ID), Instance: int64(h.Instance), Started: int64(start + 100)})
	return grapnel.Fence(w.commit(store.Txn{Then: []store.Op{store.Put(w.keys.Claim(h.Run, snapshot.NodeKey(node)), value, lease.ID)}}).Revision)
}

// own gives the shard of a run an owner.
func (w *world) own(run grapnel.RunID) {
	w.Helper()
	w.commit(store.Txn{Then: []store.Op{store.Put(w.keys.ShardOwner(store.ShardOf(run)), nil, 0)}})
}

func (w *world) encode(m proto.Message) []byte {
	w.Helper()
	value, err := proto.Marshal(m)
	if err != nil {
		w.Fatal(err)
	}
	return value
}

// update applies an edit and accepts that it finds its work done.
func (w *world) update(h *snapshot.Head, edit snapshot.Edit) *snapshot.Head {
	w.Helper()
	next := h
	err := w.retry(func() (err error) {
		next, err = w.runs.Update(w.Context(), next, edit)
		return err
	})
	if err != nil && !errors.Is(err, snapshot.ErrUnchanged) {
		w.Fatal(err)
	}
	return next
}

// complete commits an output of a claimed node, and the run's end if it was the
// last one.
func (w *world) complete(h *snapshot.Head, node int, fence grapnel.Fence, output string) *snapshot.Head {
	w.Helper()
	return w.update(h, w.completion(node, fence, output))
}

func (w *world) completion(node int, fence grapnel.Fence, output string) snapshot.Edit {
	return func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if h.State.Nodes[node].Fence == fence {
			return snapshot.Change{}, snapshot.ErrUnchanged
		}
		key := w.keys.Claim(h.Run, snapshot.NodeKey(node))
		if reads != nil && grapnel.Fence(reads[key].KV.Create) != fence {
			return snapshot.Change{}, grapnel.ErrClaimLost
		}
		ev := workflow.NodeCompleted{Node: node, Fence: fence, Started: start, Now: start + 1}
		c := snapshot.Change{
			Guards: []store.Guard{store.CreateIs(key, grapnel.Revision(fence))},
			Reads:  []store.Op{store.Get(key)},
			Ops:    w.runs.PutOutput(h, node, []byte(output), &ev),
		}
		if _, err := h.Advance(ev); err != nil {
			return c, err
		}
		if ended, err := w.end(h, reads, &c); ended || err != nil {
			return c, err
		}
		c.Ops = append(c.Ops, store.Delete(key))
		return c, nil
	}
}

// end adds the run's end to a change, if it has come and no event waits.
func (w *world) end(h *snapshot.Head, reads snapshot.Reads, c *snapshot.Change) (bool, error) {
	if !h.State.Finished() || w.runs.EventsWaiting(h, reads) {
		return false, nil
	}
	c.Add(w.runs.End(h))
	_, err := h.Advance(workflow.RunEnded{Now: start + 2})
	return true, err
}

// ending is the edit that only ends a run.
func (w *world) ending(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
	var c snapshot.Change
	if h.State.Status.Ended() {
		return c, snapshot.ErrUnchanged
	}
	ended, err := w.end(h, reads, &c)
	if err == nil && !ended {
		err = errors.New("the run cannot end yet")
	}
	return c, err
}

// folding is the edit that folds a cancel that is stored under id.
func (w *world) folding(id grapnel.OperationID, mod grapnel.Revision) snapshot.Edit {
	return func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if reads != nil && !reads[w.keys.Event(h.Run, id)].Found {
			return snapshot.Change{}, snapshot.ErrUnchanged
		}
		if _, err := h.Advance(workflow.RunCancelled{Now: start + 1}); err != nil {
			return snapshot.Change{}, err
		}
		return w.runs.Fold(h, id, mod), nil
	}
}

func (w *world) found(key string) (store.KV, bool) {
	w.Helper()
	kv, err := w.mem.Get(context.WithoutCancel(w.Context()), key)
	if err != nil && !errors.Is(err, grapnel.ErrNotFound) {
		w.Fatal(err)
	}
	return kv, err == nil
}

// audit fails the test if the store's history breaks a promise.
func (w *world) audit() audit.Report {
	w.Helper()
	r, err := audit.Read(context.WithoutCancel(w.Context()), w.mem, w.keys)
	if err != nil {
		w.Fatal(err)
	}
	for _, v := range r.Violations {
		w.Error(v)
	}
	return r
}

// heads returns how many instances of a run there were.
func (w *world) heads(run grapnel.RunID) int {
	w.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	defer cancel()
	n, last := 0, w.mem.Revision()
	for b := range w.mem.Watch(ctx, store.WatchRequest{From: 1}) {
		for _, ev := range b.Events {
			if !ev.Deleted && ev.KV.Key == w.keys.Head(run) && ev.KV.Create == ev.KV.Mod {
				n++
			}
		}
		if b.Err != nil || b.Revision >= last {
			break
		}
	}
	return n
}

// wantErr fails the test unless err wraps want.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want one that is %v", err, want)
	}
}
