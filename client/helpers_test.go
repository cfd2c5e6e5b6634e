package client_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// double is a workflow of two nodes, of which the second needs the first.
func double() *workflow.Workflow[int, int] { return named("double") }

func named(name string) *workflow.Workflow[int, int] {
	twice := workflow.NewTask[int, int]("twice")
	return workflow.New(name, func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, twice, workflow.Do(g, twice, in, workflow.ID("first")), workflow.ID("second"))
	})
}

// world is a namespace with a client, and with the means to do what workers and
// coordinators would.
type world struct {
	t     *testing.T
	st    *memstore.Store
	keys  store.Keys
	runs  *snapshot.Runs
	c     *client.Client
	fence grapnel.Fence
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st := memstore.New()
	t.Cleanup(st.Close)
	keys, err := store.NewKeys("default")
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, st: st, keys: keys, c: newClient(t, st),
		runs: snapshot.NewRuns(st, keys, snapshot.NewDefinitions(st, keys)),
	}
}

func newClient(t *testing.T, st store.Store) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) start(id grapnel.RunID, o ...client.StartOption) *client.Run[int] {
	w.t.Helper()
	run, err := client.Start(w.t.Context(), w.c, double(), 1, append(o, client.WithID(id))...)
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

// apply commits events to a run, and ends it if nothing is left to do.
func (w *world) apply(id grapnel.RunID, events ...workflow.Event) {
	w.t.Helper()
	h, err := w.runs.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.runs.Update(w.t.Context(), h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
		for _, ev := range events {
			if _, err := h.Advance(ev); err != nil {
				return snapshot.Change{}, err
			}
		}
		if !h.State.Finished() {
			return snapshot.Change{}, nil
		}
		_, err := h.Advance(workflow.RunEnded{Now: h.State.Clock})
		return w.runs.End(h), err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) complete(id grapnel.RunID, node int, output string) {
	w.t.Helper()
	w.fence++
	w.apply(id, workflow.NodeCompleted{Node: node, Fence: w.fence, Output: []byte(output)})
}

func (w *world) fail(id grapnel.RunID, node int, message string) {
	w.t.Helper()
	w.fence++
	w.apply(id, workflow.AttemptFailed{
		Node: node, Fence: w.fence, Attempt: 1, Failure: workflow.Failure{Kind: workflow.KindError, Message: message},
	})
}

// put writes a key as it is.
func (w *world) put(key string, value []byte) grapnel.Revision {
	w.t.Helper()
	res, err := w.st.Commit(w.t.Context(), store.Txn{Then: []store.Op{store.Put(key, value, 0)}})
	if err != nil {
		w.t.Fatal(err)
	}
	return res.Revision
}

func wantIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("error is %v; want one that is %v", err, target)
	}
}
