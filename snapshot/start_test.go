package snapshot_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// onStart is a rule that does what f says to the nth commit that may put a head
// where none is.
func onStart(nth int, f faultstore.Fault) faultstore.Rule {
	seen := 0
	return func(i faultstore.Info) faultstore.Action {
		if i.Kind != faultstore.Commit || len(i.Txn.If) == 0 || i.Txn.If[0].Kind != store.GuardAbsent || !strings.HasSuffix(i.Txn.If[0].Key, "/head") {
			return faultstore.Action{}
		}
		if seen++; seen != nth {
			return faultstore.Action{}
		}
		return faultstore.Action{Fault: f}
	}
}

func TestOneOfTwoStartersOfAnIDCreatesTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := pair(t)
	var wg sync.WaitGroup
	heads, created := make([]*snapshot.Head, 8), make([]bool, 8)
	for i := range heads {
		runs := w.another()
		wg.Go(func() {
			var err error
			heads[i], created[i], err = runs.Create(t.Context(), w.request("r", def, grapnel.NewOperationID()))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for i, h := range heads {
		if created[i] {
			n++
		}
		if h != nil && (h.Instance != heads[0].Instance || h.StartOperation != heads[0].StartOperation) {
			t.Errorf("starter %d got instance %d, another one %d", i, h.Instance, heads[0].Instance)
		}
	}
	if n != 1 {
		t.Errorf("%d starters created the run", n)
	}
	w.audit()
}

// The run in the way is deleted between the guard that failed because of it and
// the look at it.
func TestAStartWhoseObstacleVanishesIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.create("r", pair(t), grapnel.NewOperationID())
	w.st.SetRule(func(i faultstore.Info) faultstore.Action {
		if i.Kind != faultstore.Commit || len(i.Txn.If) > 0 || len(i.Txn.Then) != 2 || i.Txn.Then[0].Kind != store.OpGet {
			return faultstore.Action{}
		}
		return faultstore.Action{Enter: func() {
			w.st.SetRule(nil)
			if err := w.another().Delete(context.WithoutCancel(t.Context()), first); err != nil {
				t.Error(err)
			}
		}}
	})
	h, created, err := w.runs.Create(t.Context(), w.request("r", pair(t), grapnel.NewOperationID()))
	if err != nil || !created || h.Instance <= first.Instance {
		t.Errorf("created %t, %v", created, err)
	}
	w.audit()
}

// The reply to the start is lost; by the time the start is sent again its run
// has gone on, and may have ended.
func TestNothingLostByAStartWhoseRunHasMovedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := graph(t, [][]int{nil}, nil)
	ctx, giveUp := context.WithCancel(t.Context())
	inner := onStart(1, faultstore.After)
	w.st.SetRule(func(i faultstore.Info) faultstore.Action {
		a := inner(i)
		if a.Fault == faultstore.After {
			a.Leave = giveUp
		}
		return a
	})
	_, _, err := w.runs.Create(ctx, w.request("r", def, "op"))
	wantErr(t, err, grapnel.ErrUnknown)
	h := w.load("r")
	h = w.complete(h, 0, w.claim(h, 0), `"out"`)
	got, created, err := w.another().Create(t.Context(), w.request("r", def, "op"))
	if err != nil || !created || got.Instance != h.Instance || got.State.Status != grapnel.RunCompleted {
		t.Errorf("the start, sent again, got %+v, created %v, error %v", got, created, err)
	}
	if n := w.heads("r"); n != 1 {
		t.Errorf("the start made %d runs", n)
	}
	w.audit()
}

// The first sending arrives only once the run, made by the second one, has been
// deleted.
func TestNothingLostAndNothingTwiceByAStartThatArrivesAfterTheDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onStart(1, faultstore.Late))
	def := graph(t, [][]int{nil}, nil)
	h := w.create("r", def, "op")
	h = w.complete(h, 0, w.claim(h, 0), `"out"`)
	if err := w.runs.Delete(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if n := w.st.ReleaseLate(); n != 1 {
		t.Fatalf("%d requests came late, want 1", n)
	}
	if _, found := w.found(w.keys.Head("r")); found {
		t.Error("the late start made a second run")
	}
	_, _, err := w.another().Create(t.Context(), w.request("r", def, "op"))
	wantErr(t, err, grapnel.ErrRunGone)
	if n := w.heads("r"); n != 1 {
		t.Errorf("the start made %d runs", n)
	}
	w.audit()
}

func TestAnIDCanBeUsedAgainAfterDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := pair(t)
	first := w.create("r", def, "first")
	if err := w.runs.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := w.create("r", def, "second")
	if second.Instance <= first.Instance {
		t.Errorf("instance %d follows %d", second.Instance, first.Instance)
	}
	_, _, err := w.runs.Create(t.Context(), w.request("r", def, "first"))
	wantErr(t, err, grapnel.ErrRunGone)
	_, err = w.runs.Update(t.Context(), first, func(*snapshot.Head, snapshot.Reads) (snapshot.Change, error) { return snapshot.Change{}, nil })
	wantErr(t, err, grapnel.ErrRunGone)
	wantErr(t, w.runs.Send(t.Context(), first, snapshot.RunEvent{ID: "e", Kind: snapshot.EventCancel}), grapnel.ErrRunGone)
	if err := w.runs.Delete(t.Context(), first); err != nil {
		t.Errorf("deleting a run that is gone: %v", err)
	}
	if now := w.load("r"); now.Mod != second.Mod {
		t.Errorf("the second run was changed at revision %d", now.Mod)
	}
	w.audit()
}

// A later deletion of the same id must not make room for an earlier start.
func TestEachDeletedStartIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := pair(t)
	ops := []grapnel.OperationID{"first", "second", "third"}
	for _, op := range ops {
		if err := w.runs.Delete(t.Context(), w.create("r", def, op)); err != nil {
			t.Fatal(err)
		}
	}
	for _, op := range ops {
		_, _, err := w.another().Create(t.Context(), w.request("r", def, op))
		wantErr(t, err, grapnel.ErrRunGone)
	}
	w.audit()
}

func TestStartsAreValidated(t *testing.T) {
	t.Parallel()
	def := pair(t)
	for name, c := range map[string]struct {
		change func(r *snapshot.CreateRequest)
		want   error
	}{
		"no id":                    {func(r *snapshot.CreateRequest) { r.Run = "" }, grapnel.ErrInvalid},
		"an id of 257 bytes":       {func(r *snapshot.CreateRequest) { r.Run = grapnel.RunID(strings.Repeat("x", 257)) }, grapnel.ErrInvalid},
		"no operation":             {func(r *snapshot.CreateRequest) { r.Operation = "" }, grapnel.ErrInvalid},
		"no definition":            {func(r *snapshot.CreateRequest) { r.Definition = nil }, grapnel.ErrInvalid},
		"an unsealed definition":   {func(r *snapshot.CreateRequest) { r.Definition = &workflow.Definition{Name: "x"} }, grapnel.ErrInvalid},
		"priority 6":               {func(r *snapshot.CreateRequest) { r.Priority = 6 }, grapnel.ErrInvalid},
		"priority -1":              {func(r *snapshot.CreateRequest) { r.Priority = -1 }, grapnel.ErrInvalid},
		"a label without a name":   {func(r *snapshot.CreateRequest) { r.Labels = map[string]string{"": "x"} }, grapnel.ErrInvalid},
		"a label that is not text": {func(r *snapshot.CreateRequest) { r.Labels = map[string]string{"x": "\xff"} }, grapnel.ErrInvalid},
		"labels of 2,049 bytes":    {func(r *snapshot.CreateRequest) { r.Labels = map[string]string{"x": strings.Repeat("y", 2048)} }, grapnel.ErrTooLarge},
		"an input over the limit":  {func(r *snapshot.CreateRequest) { r.Input = make([]byte, grapnel.MaxPayload+1) }, grapnel.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			req := w.request("r", def, "op")
			c.change(&req)
			_, _, err := w.runs.Create(t.Context(), req)
			wantErr(t, err, c.want)
			if rev := w.mem.Revision(); rev != 1 {
				t.Errorf("the store was written, it is at revision %d", rev)
			}
		})
	}
	w := newWorld(t, nil)
	req := w.request(grapnel.RunID(strings.Repeat("ä", 128)), def, "op")
	req.Labels, req.Input, req.Priority = map[string]string{"x": strings.Repeat("y", 2047)}, make([]byte, grapnel.MaxPayload), 5
	if _, _, err := w.runs.Create(t.Context(), req); err != nil {
		t.Errorf("a start at all limits: %v", err)
	}
	if h := w.load(req.Run); h.Labels["x"] != req.Labels["x"] || len(h.Input) != len(req.Input) || h.Priority != 5 {
		t.Errorf("loaded %+v", h)
	}
}

func TestARunTakesQueueAndPriorityFromItsWorkflow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy   workflow.RunPolicy
		asked    int
		queue    string
		priority int
	}{
		"defaults":      {workflow.RunPolicy{}, 0, workflow.DefaultQueue, workflow.DefaultPriority},
		"the workflow":  {workflow.RunPolicy{Queue: "q", Priority: 1}, 0, "q", 1},
		"the start's":   {workflow.RunPolicy{Queue: "q", Priority: 1}, 4, "q", 4},
		"beside limits": {workflow.RunPolicy{Timeout: 1}, 5, workflow.DefaultQueue, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			req := w.request("r", graph(t, [][]int{nil}, func(d *workflow.Definition) { d.Policy = c.policy }), "op")
			req.Priority = c.asked
			if _, _, err := w.runs.Create(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			h := w.load("r")
			if h.Queue != c.queue || h.Priority != c.priority || h.NodePriority(0) != c.priority {
				t.Errorf("queue %s, priority %d, node's %d", h.Queue, h.Priority, h.NodePriority(0))
			}
			if (h.State.Deadline != 0) != (c.policy.Timeout != 0) {
				t.Errorf("deadline %d with time-out %v", h.State.Deadline, c.policy.Timeout)
			}
		})
	}
}

func TestLoadSaysWhyThereIsNoHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, err := w.runs.Load(t.Context(), "r")
	wantErr(t, err, grapnel.ErrNotFound)
	_, err = w.runs.Load(t.Context(), "a\nb")
	wantErr(t, err, grapnel.ErrInvalid)
	w.create("r", pair(t), "op")
	def, _ := w.found(w.keys.Head("r"))
	w.commit(store.Txn{Then: []store.Op{store.Put(w.keys.Head("other"), def.Value, 0)}})
	_, err = w.runs.Load(t.Context(), "other")
	wantErr(t, err, grapnel.ErrCorrupt)
	w.commit(store.Txn{Then: []store.Op{store.DeletePrefix(w.keys.Definitions())}})
	_, err = w.another().Load(t.Context(), "r")
	wantErr(t, err, grapnel.ErrWrongDefinition)
	if errors.Is(err, grapnel.ErrCorrupt) {
		t.Error("a definition that is missing is taken for corruption")
	}
}

func TestNothingLostToAStartThatWasRefusedAndArrivesLate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWorld(t, onStart(2, faultstore.Late))
	def := pair(t)
	first, _, err := w.runs.Create(ctx, snapshot.CreateRequest{Run: "r", Definition: def, Operation: "first"})
	if err != nil {
		t.Fatal(err)
	}
	if _, created, err := w.runs.Create(ctx, snapshot.CreateRequest{Run: "r", Definition: def, Operation: "second"}); err != nil || created {
		t.Fatalf("second start: created %v, %v; want refused", created, err)
	}
	if err := w.runs.Delete(ctx, first); err != nil {
		t.Fatal(err)
	}
	if n := w.st.ReleaseLate(); n != 1 {
		t.Fatalf("%d late calls, want 1", n)
	}
	if _, err := w.runs.Load(ctx, "r"); !errors.Is(err, grapnel.ErrNotFound) {
		t.Fatalf("load: %v; the refused start has created a run", err)
	}
}
