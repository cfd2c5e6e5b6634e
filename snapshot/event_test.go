package snapshot_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

var cancelEvent = snapshot.RunEvent{ID: "e", Kind: snapshot.EventCancel, Reason: "enough"}

// onSend is a rule that does what f says to the first commit that puts an event.
func onSend(w *world, f faultstore.Fault, then func()) faultstore.Rule {
	done := false
	return func(i faultstore.Info) faultstore.Action {
		if done || i.Kind != faultstore.Commit || len(i.Txn.Then) == 0 || i.Txn.Then[0].Kind != store.OpPut || i.Txn.Then[0].Key != w.keys.Event("r", cancelEvent.ID) {
			return faultstore.Action{}
		}
		done = true
		return faultstore.Action{Fault: f, Leave: then}
	}
}

func TestAnEventIsStoredAsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", pair(t), "op")
	for _, reason := range []string{"why not", "a\xffb"} {
		ev := snapshot.RunEvent{ID: grapnel.NewOperationID(), Kind: snapshot.EventCancel, Reason: reason}
		for range 2 { // again is harmless
			if err := w.runs.Send(t.Context(), h, ev); err != nil {
				t.Fatal(err)
			}
		}
		kv, _ := w.found(w.keys.Event("r", ev.ID))
		got, err := snapshot.DecodeEvent(kv, ev.ID)
		ev.Instance = h.Instance
		if reason == "a\xffb" {
			ev.Reason = "a\uFFFDb"
		}
		if err != nil || got != ev || kv.Mod != kv.Create {
			t.Errorf("stored %+v, %v, sent %+v", got, err, ev)
		}
	}
}

// A sending of the event arrives once another one has been folded.
func TestExactlyOnceFoldingOfAnEventThatArrivesTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.own("r")
	h := w.create("r", pair(t), "op")
	w.st.SetRule(onSend(w, faultstore.Late, nil))
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Fatal(err)
	}
	kv, _ := w.found(w.keys.Event("r", cancelEvent.ID))
	h = w.update(h, w.folding(cancelEvent.ID, kv.Mod))
	if n := w.st.ReleaseLate(); n != 1 {
		t.Fatalf("%d requests came late, want 1", n)
	}
	if _, found := w.found(w.keys.Event("r", cancelEvent.ID)); found {
		t.Error("a folded event is in the mailbox again")
	}
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Errorf("sent again: %v", err)
	}
	w.audit()
}

func TestExactlyOnceFoldingByTwoOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.own("r")
	h := w.create("r", pair(t), "op")
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Fatal(err)
	}
	kv, _ := w.found(w.keys.Event("r", cancelEvent.ID))
	first := w.update(h, w.folding(cancelEvent.ID, kv.Mod))
	_, err := w.runs.Update(t.Context(), h, w.folding(cancelEvent.ID, kv.Mod))
	wantErr(t, err, snapshot.ErrUnchanged)
	if now := w.load("r"); now.Mod != first.Mod || now.State.Status != grapnel.RunCancelling {
		t.Errorf("the run is %v at revision %d, folded at %d", now.State.Status, now.Mod, first.Mod)
	}
	w.audit()
}

func TestExactlyOnceFoldingBecauseNoRunEndsOverAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.own("r")
	h := w.create("r", graph(t, [][]int{nil}, nil), "op")
	fence := w.claim(h, 0)
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Fatal(err)
	}
	h = w.complete(h, 0, fence, `1`)
	if h.State.Status != grapnel.RunRunning || !h.State.Finished() {
		t.Errorf("the run is %v with an event waiting", h.State.Status)
	}
	if n := h.State.Nodes[0]; n.Status != grapnel.NodeCompleted {
		t.Errorf("the event kept the node from completing: it is %v", n.Status)
	}
	kv, _ := w.found(w.keys.Event("r", cancelEvent.ID))
	h = w.update(h, w.folding(cancelEvent.ID, kv.Mod))
	if h = w.update(h, w.ending); h.State.Status != grapnel.RunCancelled {
		t.Errorf("the run ended as %v", h.State.Status)
	}
	w.audit()
}

func TestNoGhostOnARunThatEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", graph(t, [][]int{nil, nil}, nil), "op")
	fence := w.claim(h, 0)
	w.claim(h, 1)
	h = w.update(h, func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if h.State.Nodes[0].Fence == fence {
			return snapshot.Change{}, snapshot.ErrUnchanged
		}
		ev := workflow.AttemptFailed{Node: 0, Fence: fence, Attempt: 1, Now: start + 1, Failure: workflow.Failure{Kind: "x", Permanent: true}}
		if _, err := h.Advance(ev); err != nil {
			return snapshot.Change{}, err
		}
		var c snapshot.Change
		_, err := w.end(h, reads, &c)
		return c, err
	})
	if h.State.Status != grapnel.RunFailed {
		t.Fatalf("the run is %v", h.State.Status)
	}
	page, err := w.mem.List(t.Context(), store.ListRequest{Prefix: w.keys.Claims("r")})
	if err != nil || len(page.KVs) > 0 {
		t.Errorf("claims of an ended run: %v, %v", page.KVs, err)
	}
	w.audit()
}

// ended returns a run that was cancelled and ended.
func ended(w *world) *snapshot.Head {
	w.Helper()
	h := w.create("r", pair(w), "op")
	return w.update(h, func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if _, err := h.Advance(workflow.RunCancelled{Now: start}); err != nil {
			return snapshot.Change{}, err
		}
		return w.ending(h, reads)
	})
}

// The event comes behind the end and its sender is told so: neither a retry nor
// a sending that comes later still may bring it up.
func TestExactlyOnceFoldingOfNoEventThatWasRefused(t *testing.T) {
	t.Parallel()
	for _, fault := range []faultstore.Fault{faultstore.None, faultstore.Before, faultstore.After, faultstore.Late} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			h := ended(w)
			w.st.SetRule(onSend(w, fault, nil))
			wantErr(t, w.runs.Send(t.Context(), h, cancelEvent), grapnel.ErrRunEnded)
			h, err := w.runs.Retry(t.Context(), h, start+5)
			if err != nil {
				t.Fatal(err)
			}
			w.st.ReleaseLate()
			wantErr(t, w.runs.Send(t.Context(), h, cancelEvent), grapnel.ErrRunEnded)
			if _, found := w.found(w.keys.Event("r", cancelEvent.ID)); found {
				t.Error("a refused event waits to be folded")
			}
			w.audit()
		})
	}
}

// The sender dies before it knows that its event came behind the end.
func TestARetryDropsEventsThatCameBehindTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := ended(w)
	ctx, die := context.WithCancel(t.Context())
	w.st.SetRule(onSend(w, faultstore.After, die))
	wantErr(t, w.runs.Send(ctx, h, cancelEvent), grapnel.ErrUnknown)
	if _, found := w.found(w.keys.Event("r", cancelEvent.ID)); !found {
		t.Fatal("the event did not arrive")
	}
	h, err := w.runs.Retry(t.Context(), h, start+5)
	if err != nil {
		t.Fatal(err)
	}
	if _, found := w.found(w.keys.Event("r", cancelEvent.ID)); found {
		t.Error("the event outlived the retry")
	}
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Errorf("sent again, to a run that is running: %v", err)
	}
	w.audit()
}

// The run is retried while the sender finds out that it had ended.
func TestAnEventThatARetryOvertakesIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := ended(w)
	w.st.SetRule(func(i faultstore.Info) faultstore.Action {
		if i.Kind != faultstore.Commit || len(i.Txn.Then) < 2 || i.Txn.Then[1].Key != w.keys.Folded("r", cancelEvent.ID) {
			return faultstore.Action{}
		}
		return faultstore.Action{Enter: func() {
			w.st.SetRule(nil)
			if _, err := w.another().Retry(context.WithoutCancel(t.Context()), h, start+5); err != nil {
				t.Error(err)
			}
		}}
	})
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Fatal(err)
	}
	if _, found := w.found(w.keys.Event("r", cancelEvent.ID)); !found {
		t.Error("an acknowledged event is not there")
	}
	w.audit()
}

// An earlier sending lies in the mailbox when the event is sent again, and a
// retry empties it before the sender has read why its guard did not hold.
func TestAnEventThatARetryDropsIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := ended(w)
	ctx, die := context.WithCancel(t.Context())
	w.st.SetRule(onSend(w, faultstore.After, die))
	wantErr(t, w.runs.Send(ctx, h, cancelEvent), grapnel.ErrUnknown)
	key, retried := w.keys.Event("r", cancelEvent.ID), false
	w.st.SetRule(func(i faultstore.Info) faultstore.Action {
		if i.Kind != faultstore.Commit || len(i.Txn.If) > 0 || i.Txn.Then[0].Kind != store.OpGet || i.Txn.Then[0].Key != key {
			return faultstore.Action{}
		}
		return faultstore.Action{Enter: func() {
			w.st.SetRule(nil)
			retried = true
			if _, err := w.another().Retry(context.WithoutCancel(t.Context()), h, start+5); err != nil {
				t.Error(err)
			}
		}}
	})
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Fatal(err)
	}
	if _, found := w.found(key); !found || !retried {
		t.Errorf("retried: %t; the acknowledged event is there: %t", retried, found)
	}
	w.audit()
}

func TestRetryIsForRunsThatEndedOtherwiseThanCompleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	running := w.create("running", pair(t), "first")
	_, err := w.runs.Retry(t.Context(), running, start)
	wantErr(t, err, grapnel.ErrConflict)
	one := w.create("completed", graph(t, [][]int{nil}, nil), "second")
	one = w.complete(one, 0, w.claim(one, 0), `1`)
	_, err = w.runs.Retry(t.Context(), one, start)
	wantErr(t, err, grapnel.ErrConflict)

	h := ended(w)
	next, err := w.runs.Retry(t.Context(), h, 1) // by a clock that is behind
	if err != nil || next.State.Generation != 1 || next.State.Status != grapnel.RunRunning || next.State.Clock < h.State.Clock {
		t.Fatalf("generation %d is %v at %d, %v", next.State.Generation, next.State.Status, next.State.Clock, err)
	}
	again, err := w.runs.Retry(t.Context(), h, start)
	if err != nil || again.Mod != next.Mod {
		t.Errorf("retried twice: generation %d, %v", again.State.Generation, err)
	}
	w.audit()
}

func TestARetryHasADeadlineOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", graph(t, [][]int{nil}, func(d *workflow.Definition) { d.Policy.Timeout = 5e9 }), "op")
	h = w.update(h, func(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
		if _, err := h.Advance(workflow.RunExpired{Now: start + 5000}); err != nil {
			return snapshot.Change{}, err
		}
		return w.ending(h, reads)
	})
	if h.State.Status != grapnel.RunTimedOut {
		t.Fatalf("the run is %v", h.State.Status)
	}
	h, err := w.runs.Retry(t.Context(), h, start+9000)
	if err != nil || h.State.Deadline != start+14000 {
		t.Errorf("deadline is %d, %v", h.State.Deadline-start, err)
	}
}

// An event is for one instance of its run.
func TestAnEventNamesItsInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.create("r", pair(t), "op")
	if err := w.runs.Send(t.Context(), h, cancelEvent); err != nil {
		t.Fatal(err)
	}
	kv, _ := w.found(w.keys.Event("r", cancelEvent.ID))
	m := &pb.RunEvent{}
	if err := proto.Unmarshal(kv.Value, m); err != nil || m.Instance != int64(h.Instance) {
		t.Errorf("the event names instance %d, %v", m.Instance, err)
	}
	if err := w.runs.Delete(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.runs.Send(t.Context(), h, cancelEvent), grapnel.ErrRunGone)
}
