package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// mailbox returns the events that wait for a run.
func (w *world) mailbox(id grapnel.RunID) []snapshot.RunEvent {
	w.t.Helper()
	page, err := w.st.List(w.t.Context(), store.ListRequest{Prefix: w.keys.Events(id)})
	if err != nil {
		w.t.Fatal(err)
	}
	var events []snapshot.RunEvent
	for _, kv := range page.KVs {
		ev, err := snapshot.DecodeEvent(kv, "")
		if err != nil {
			w.t.Fatal(err)
		}
		events = append(events, ev)
	}
	return events
}

func TestCancelLeavesARequestInTheMailbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.start("r")
	if err := w.c.Cancel(t.Context(), "r", "enough"); err != nil {
		t.Fatal(err)
	}
	events := w.mailbox("r")
	if len(events) != 1 || events[0].Kind != snapshot.EventCancel || events[0].Reason != "enough" || events[0].Instance != run.Instance() {
		t.Errorf("the mailbox holds %+v", events)
	}
}

func TestCancelOfARunThatHasEndedSaysHow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	w.apply("r", workflow.RunCancelled{})
	err := w.c.Cancel(t.Context(), "r", "")
	wantIs(t, err, grapnel.ErrRunEnded)
	var ended *client.EndedError
	if !errors.As(err, &ended) || ended.Status != grapnel.RunCancelled || ended.Run != "r" {
		t.Errorf("Cancel returned %v", err)
	}
	if n := len(w.mailbox("r")); n != 0 {
		t.Errorf("%d events were left behind", n)
	}
}

func TestControlOfARunThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wantIs(t, w.c.Cancel(t.Context(), "none", ""), grapnel.ErrNotFound)
	wantIs(t, w.c.Retry(t.Context(), "none"), grapnel.ErrNotFound)
	wantIs(t, w.c.Delete(t.Context(), "none"), grapnel.ErrNotFound)
	_, err := w.c.Get(t.Context(), "none")
	wantIs(t, err, grapnel.ErrNotFound)
	_, err = w.c.Get(t.Context(), "")
	wantIs(t, err, grapnel.ErrInvalid)
	wantIs(t, w.c.Cancel(t.Context(), "none", strings.Repeat("x", client.MaxReason+1)), grapnel.ErrTooLarge)
}

func TestARunIsDeletedOnlyOnceItHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	err := w.c.Delete(t.Context(), "r")
	wantIs(t, err, grapnel.ErrConflict)
	if !strings.Contains(err.Error(), "cancel it") {
		t.Errorf("error %q does not name the way out", err)
	}
	w.fail("r", 0, "no ink")
	if err := w.c.Delete(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	_, err = w.c.Get(t.Context(), "r")
	wantIs(t, err, grapnel.ErrNotFound)
}

func TestOnlyRunsThatEndedWithoutCompletingAreRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	wantIs(t, w.c.Retry(t.Context(), "r"), grapnel.ErrConflict)
	w.fail("r", 0, "no ink")
	if err := w.c.Retry(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if info, err := w.c.Get(t.Context(), "r"); err != nil || info.Status != grapnel.RunRunning || info.Generation != 1 {
		t.Errorf("Get returned %+v, %v", info, err)
	}
	w.complete("r", 0, "2")
	w.complete("r", 1, "4")
	wantIs(t, w.c.Retry(t.Context(), "r"), grapnel.ErrConflict)
}
