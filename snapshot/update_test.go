package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// onHead is a rule that does what f says to the nth commit that changes a head,
// and has then called.
func onHead(nth int, f faultstore.Fault, then func()) faultstore.Rule {
	return func(i faultstore.Info) faultstore.Action {
		if i.Kind != faultstore.Commit || len(i.Txn.Then) == 0 || i.Txn.Then[0].Kind != store.OpPut || !strings.HasSuffix(i.Txn.Then[0].Key, "/head") {
			return faultstore.Action{}
		}
		if nth--; nth != 0 {
			return faultstore.Action{}
		}
		return faultstore.Action{Fault: f, Leave: then}
	}
}

func TestNothingLostByCommitsThatConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", graph(t, [][]int{nil, nil, {0, 1}}, nil), "op")
	mine, others := w.claim(h, 0), w.claim(h, 1)
	calls := 0
	got := w.update(h, func(next *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if calls++; calls == 1 {
			w.complete(h, 1, others, `"theirs"`)
		}
		return w.completion(0, mine, `"mine"`)(next, reads)
	})
	if calls != 2 {
		t.Errorf("the edit was called %d times, want 2", calls)
	}
	for _, h := range []*snapshot.Head{got, w.load("r")} {
		for i, want := range []string{`"mine"`, `"theirs"`} {
			if n := h.State.Nodes[i]; n.Status != grapnel.NodeCompleted || string(n.Output) != want {
				t.Errorf("node %d is %v with output %s, want %s", i, n.Status, n.Output, want)
			}
		}
		if !h.State.Ready(2) {
			t.Error("the join is not ready")
		}
	}
	if h.State.Nodes[0].Status != grapnel.NodePending {
		t.Error("Update changed the head it was given")
	}
	w.audit()
}

func TestNothingLostByManyWriters(t *testing.T) {
	t.Parallel()
	const width = 24
	needs := make([][]int, width+1)
	for i := range width {
		needs[width] = append(needs[width], i)
	}
	w := newWorld(t, faultstore.Random(7, faultstore.Chances{Before: 0.1, After: 0.1, Late: 0.1}))
	h := w.create("r", graph(t, needs, nil), "op")
	var wg sync.WaitGroup
	for i := range width {
		fence := w.claim(h, i)
		wg.Go(func() { w.complete(h, i, fence, fmt.Sprint(i)) })
	}
	wg.Wait()
	w.st.ReleaseLate()
	got := w.load("r")
	for i := range width {
		if n := got.State.Nodes[i]; string(n.Output) != fmt.Sprint(i) {
			t.Errorf("node %d is %v with output %s", i, n.Status, n.Output)
		}
	}
	if open := got.State.Open(); open != 1 || !got.State.Ready(width) {
		t.Errorf("%d nodes are open", open)
	}
	w.audit()
}

func TestOwnCommitIsRecognisedWhenItsReplyWasLost(t *testing.T) {
	t.Parallel()
	for _, fault := range []faultstore.Fault{faultstore.Before, faultstore.After, faultstore.Late} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			h := w.create("r", pair(t), "op")
			fence := w.claim(h, 0)
			w.st.SetRule(onHead(1, fault, nil))
			got, err := w.runs.Update(t.Context(), h, w.completion(0, fence, `"out"`))
			if fault == faultstore.After {
				wantErr(t, err, snapshot.ErrUnchanged)
			} else if err != nil {
				t.Fatal(err)
			}
			w.st.ReleaseLate()
			now := w.load("r")
			if got.Mod != now.Mod || now.State.Nodes[0].Fence != fence {
				t.Errorf("Update returned the head of revision %d, it is at %d", got.Mod, now.Mod)
			}
			w.audit()
		})
	}
}

func TestUpdateSaysWhenItDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", pair(t), "op")
	fence := w.claim(h, 0)
	ctx, giveUp := context.WithCancel(t.Context())
	w.st.SetRule(onHead(1, faultstore.After, giveUp))
	_, err := w.runs.Update(ctx, h, w.completion(0, fence, `"out"`))
	wantErr(t, err, grapnel.ErrUnknown)
	if now := w.load("r"); now.State.Nodes[0].Fence != fence {
		t.Error("the commit is not there")
	}
}

func TestUpdateReturnsWhatTheEditSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", pair(t), "op")
	mod := w.mem.Revision()
	for _, want := range []error{snapshot.ErrUnchanged, errors.New("no")} {
		got, err := w.runs.Update(t.Context(), h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
			h.State.Nodes[0].Status = grapnel.NodeFailed
			return snapshot.Change{}, want
		})
		wantErr(t, err, want)
		if got.State.Nodes[0].Status != grapnel.NodePending || w.mem.Revision() != mod {
			t.Error("an edit that was not to be committed has left traces")
		}
	}
}

// A guard of the edit's own does not hold: the edit learns what is there.
func TestAnEditLearnsWhyItsGuardFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", pair(t), "op")
	fence := w.claim(h, 0)
	w.commit(store.Txn{Then: []store.Op{store.Delete(w.keys.Claim("r", "0"))}})
	_, err := w.runs.Update(t.Context(), h, w.completion(0, fence, `"out"`))
	wantErr(t, err, grapnel.ErrClaimLost)
	if n := w.load("r").State.Nodes[0]; n.Status != grapnel.NodePending {
		t.Errorf("the node is %v", n.Status)
	}
}

func TestDeleteIsBoundToTheHeadAsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", pair(t), "op")
	next := w.complete(h, 0, w.claim(h, 0), `"out"`)
	wantErr(t, w.runs.Delete(t.Context(), h), grapnel.ErrConflict)
	wantErr(t, w.runs.Delete(t.Context(), next, store.Exists(w.keys.ShardOwner(store.ShardOf("r")))), grapnel.ErrConflict)
	fence := w.claim(next, 1)
	if err := w.runs.Send(t.Context(), next, snapshot.RunEvent{ID: "e", Kind: snapshot.EventCancel}); err != nil {
		t.Fatal(err)
	}
	if err := w.runs.Delete(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	page, err := w.mem.List(t.Context(), store.ListRequest{Prefix: w.keys.Run("r")})
	if err != nil || len(page.KVs) > 0 {
		t.Errorf("left of the run: %v, %v", page.KVs, err)
	}
	_, err = w.runs.Update(t.Context(), next, w.completion(1, fence, `"late"`))
	wantErr(t, err, grapnel.ErrRunGone)
	w.audit()
}

// The lease that deletions share has gone, say with the store's restoration.
func TestDeleteGetsAnotherLeaseForItsTombstone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := pair(t)
	var leases []store.LeaseID
	for _, run := range []grapnel.RunID{"a", "b"} {
		if err := w.runs.Delete(t.Context(), w.create(run, def, grapnel.OperationID(run))); err != nil {
			t.Fatal(err)
		}
		kv, _ := w.found(w.keys.Ended(run, grapnel.OperationID(run)))
		leases = append(leases, kv.Lease)
	}
	if leases[0] == 0 || leases[0] != leases[1] {
		t.Errorf("two deletions at a time have leases %x", leases)
	}
	w.mem.ExpireLease(leases[0])
	h := w.create("c", def, "c")
	failed := false
	w.st.SetRule(func(i faultstore.Info) faultstore.Action {
		if !failed && i.Kind == faultstore.Commit && i.Txn.Then[0].Kind == store.OpDeletePrefix {
			failed = true
			return faultstore.Action{Fault: faultstore.Before}
		}
		return faultstore.Action{}
	})
	if err := w.runs.Delete(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if kv, found := w.found(w.keys.Ended("c", "c")); !found || kv.Lease == leases[0] {
		t.Errorf("the tombstone is under lease %x", kv.Lease)
	}
}

// life takes a run through all that can happen to it.
func life(w *world, def *workflow.Definition) {
	h := w.create("r", def, "op")
	fence := w.claim(h, 0)
	h = w.complete(h, 0, fence, `"`+strings.Repeat("x", 9000)+`"`)
	v, err := retry2(w, func() (workflow.Resolver, error) {
		return w.runs.Values(w.Context(), h, workflow.Source{Kind: workflow.SourceNode, Node: 0})
	})
	if err != nil {
		w.Fatal(err)
	}
	if out, err := v.Output(0); err != nil || len(out) != 9002 {
		w.Fatalf("output has %d bytes, %v", len(out), err)
	}
	cancel := snapshot.RunEvent{ID: "cancel", Kind: snapshot.EventCancel, Reason: "enough"}
	if err := w.retry(func() error { return w.runs.Send(w.Context(), h, cancel) }); err != nil {
		w.Fatal(err)
	}
	kv, found := w.found(w.keys.Event("r", "cancel"))
	if !found {
		w.Fatal("an acknowledged event is not there")
	}
	h = w.update(h, w.folding("cancel", kv.Mod))
	h = w.update(h, w.ending)
	late := snapshot.RunEvent{ID: "late", Kind: snapshot.EventCancel}
	wantErr(w, w.retry(func() error { return w.runs.Send(w.Context(), h, late) }), grapnel.ErrRunEnded)
	if err := w.retry(func() (err error) { h, err = w.runs.Retry(w.Context(), h, start+10); return err }); err != nil {
		w.Fatal(err)
	}
	w.st.ReleaseLate()
	wantErr(w, w.retry(func() error { return w.runs.Send(w.Context(), h, late) }), grapnel.ErrRunEnded)
	h = w.complete(h, 1, w.claim(h, 1), `"done"`)
	if h.State.Status != grapnel.RunCompleted {
		w.Errorf("the run is %v", h.State.Status)
	}
	if err := w.retry(func() error { return w.runs.Delete(w.Context(), h) }); err != nil {
		w.Fatal(err)
	}
	_, _, err = w.runs.Create(w.Context(), w.request("r", def, "op"))
	for errors.Is(err, grapnel.ErrUnavailable) {
		_, _, err = w.runs.Create(w.Context(), w.request("r", def, "op"))
	}
	wantErr(w, err, grapnel.ErrRunGone)
}

func retry2[T any](w *world, do func() (T, error)) (T, error) {
	var v T
	err := w.retry(func() (err error) {
		v, err = do()
		return err
	})
	return v, err
}

// Every call of a run's life fails, in every way; the history keeps all promises.
func TestNothingLostWhicheverCallFails(t *testing.T) {
	t.Parallel()
	def := pair(t)
	w := newWorld(t, nil)
	w.own("r")
	life(w, def)
	w.audit()
	calls := w.st.Calls()
	if calls < 15 {
		t.Fatalf("only %d calls were made", calls)
	}
	for plan := range faultstore.EachCall(calls + 2) {
		t.Run(plan.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, plan.Rule())
			w.own("r")
			life(w, def)
			w.st.ReleaseLate()
			if n := w.heads("r"); n != 1 {
				t.Errorf("%d runs were started", n)
			}
			if _, found := w.found(w.keys.Head("r")); found {
				t.Error("the run is still there")
			}
			w.audit()
		})
	}
}

// With the store failing at random, for as long as a run takes.
func TestNothingLostUnderRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, faultstore.Random(seed, faultstore.Chances{Refused: 0.05, Before: 0.1, After: 0.1, Late: 0.1, Delay: time.Millisecond / 4}))
			w.own("r")
			life(w, pair(t))
			w.st.ReleaseLate()
			if n := w.heads("r"); n != 1 {
				t.Errorf("%d runs were started", n)
			}
			w.audit()
		})
	}
}
