package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// watched is what a watch has yielded, as text.
type watched struct {
	seen []string
	last *client.RunInfo
	err  error
}

// watching follows a run until its watch ends, and hands over what was yielded.
func (w *world) watching(ctx context.Context, id grapnel.RunID) <-chan watched {
	done := make(chan watched, 1)
	go func() {
		var r watched
		for info, err := range w.c.Watch(ctx, id) {
			if r.err = err; err != nil {
				continue
			}
			r.last = info
			r.seen = append(r.seen, fmt.Sprintf("%v %s %s", info.Status, info.Nodes[0].State, info.Nodes[1].State))
		}
		done <- r
	}()
	return done
}

func TestAWatchYieldsTheRunAfterEachChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("r")
		w.start("other")
		done := w.watching(t.Context(), "r")
		synctest.Wait()
		fence := w.claim("r", 0, "w1")
		w.claim("other", 0, "w1")
		w.apply("r", workflow.NodeCompleted{Node: 0, Fence: fence, Output: []byte("2")},
			workflow.NodeCovered{Node: 1, By: 0, Fence: fence, Now: 2000})
		if _, err := w.st.Commit(t.Context(), deleteKey(w.keys.Claim("r", "0"))); err != nil {
			t.Fatal(err)
		}
		w.fence = fence
		w.complete("r", 1, "4")
		r := <-done
		want := []string{
			"running available pending", "running running pending", "running completed running",
			"running completed available", "completed completed completed",
		}
		if !slices.Equal(r.seen, want) || r.err != nil {
			t.Errorf("the watch yielded %q, %v; want %q", r.seen, r.err, want)
		}
		if string(r.last.Output) != "4" {
			t.Errorf("the last run has output %q", r.last.Output)
		}
	})
}

func TestAWatchOfAnEndedRunYieldsItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	w.fail("r", 0, "no ink")
	r := <-w.watching(t.Context(), "r")
	if len(r.seen) != 1 || r.err != nil || r.last.Failure() == nil {
		t.Errorf("the watch yielded %+v", r)
	}
}

func TestAWatchTellsThatANodesTimeHasCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		flaky := workflow.NewTask[int, int]("flaky", workflow.Retry(workflow.RetryPolicy{Attempts: 2, Backoff: time.Minute}))
		wf := workflow.New("flaky", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, flaky, workflow.Do(g, flaky, in, workflow.ID("first")), workflow.ID("second"))
		})
		if _, err := client.Start(t.Context(), w.c, wf, 1, client.WithID("r")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		done := w.watching(ctx, "r")
		synctest.Wait()
		w.fence++
		w.apply("r", workflow.AttemptFailed{
			Node: 0, Fence: w.fence, Attempt: 1, Now: workflow.MomentOf(time.Now()), RetryAt: workflow.MomentOf(time.Now().Add(time.Minute)),
			Failure: workflow.Failure{Kind: workflow.KindError, Message: "no ink"},
		})
		faketime.Pass(2 * time.Minute)
		enough := errors.New("enough")
		cancel(enough)
		r := <-done
		want := []string{"running available pending", "running waiting pending", "running available pending"}
		if !slices.Equal(r.seen, want) || !errors.Is(r.err, enough) {
			t.Errorf("the watch yielded %q, %v; want %q", r.seen, r.err, want)
		}
	})
}

func TestAWatchGoesOnWhenItsConnectionIsLost(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{grapnel.ErrUnavailable, &store.CompactedError{Revision: 5}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			st := &endlessly{Store: w.st, err: cause, watches: make(chan struct{}, 100)}
			w.c = newClient(t, st)
			w.start("r")
			done := w.watching(t.Context(), "r")
			<-st.watches
			synctest.Wait()
			w.complete("r", 0, "2") // ends the first watch
			<-st.watches
			synctest.Wait()
			w.complete("r", 1, "4")
			r := <-done
			if n := len(r.seen); r.err != nil || n < 3 || r.seen[n-1] != "completed completed completed" {
				t.Errorf("the watch yielded %q, %v", r.seen, r.err)
			}
		})
	}
}

func TestAWatchEndsWithTheRunItBeganWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("r")
		done := w.watching(t.Context(), "r")
		synctest.Wait()
		w.apply("r", workflow.NodeExpired{Kind: workflow.KindScheduleToStart})
		if r := <-done; r.err != nil {
			t.Errorf("the watch of a run that failed ended with %v", r.err)
		}
		w.start("s")
		done = w.watching(t.Context(), "s")
		synctest.Wait()
		if _, err := w.st.Commit(t.Context(), deleteKey(w.keys.Head("s"))); err != nil {
			t.Fatal(err)
		}
		r := <-done
		wantIs(t, r.err, grapnel.ErrRunGone)
	})
}

func TestAWatchOfNothingSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, want := range map[grapnel.RunID]error{"none": grapnel.ErrNotFound, "": grapnel.ErrInvalid} {
		r := <-w.watching(t.Context(), id)
		wantIs(t, r.err, want)
	}
}

func TestAWatchEndsWhenNobodyWantsMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	for info, err := range w.c.Watch(t.Context(), "r") {
		if err != nil || info.ID != "r" {
			t.Errorf("the watch yielded %v, %v", info, err)
		}
		break
	}
}
