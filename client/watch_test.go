package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
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

func TestAWatchTellsWhyItCannotGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		faulty := faultstore.New(w.st, nil)
		defer faulty.Wait()
		w.start("r")
		var told []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			trouble := client.OnTrouble(func(err error) {
				wantIs(t, err, grapnel.ErrUnavailable)
				told = append(told, "trouble")
			})
			for info, err := range newClient(t, faulty).Watch(t.Context(), "r", trouble) {
				if err != nil {
					t.Error(err)
					return
				}
				told = append(told, info.Status.String())
			}
		}()
		synctest.Wait()
		faulty.CutWatches(grapnel.ErrUnavailable)
		faketime.Pass(time.Minute)
		w.apply("r", workflow.RunCancelled{})
		<-done
		if want := []string{"running", "trouble", "running", "cancelled"}; !slices.Equal(told, want) {
			t.Errorf("told were %q, want %q", told, want)
		}
	})
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

// stateText is what the tests compare of a run.
func stateText(info *client.RunInfo) string {
	text := info.Status.String()
	for _, n := range info.Nodes {
		text += fmt.Sprintf(" %s/%d/%s", n.State, n.Attempt, n.Worker)
	}
	return text
}

func TestAWatchNeverGoesBackNorShowsWhatWasNot(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start("r")
				faulty := faultstore.New(w.st, faultstore.Random(seed, faultstore.Chances{Before: 0.2}))
				defer faulty.Wait()
				var seen []string
				done := make(chan error, 1)
				c := newClient(t, faulty)
				go func() {
					var failed error
					for info, err := range c.Watch(t.Context(), "r") {
						if failed = err; err == nil {
							seen = append(seen, stateText(info))
						}
					}
					done <- failed
				}()
				was := w.liveThrough("r", rand.New(rand.NewPCG(seed, 1)), func(random *rand.Rand) {
					switch random.IntN(6) {
					case 0:
						faulty.CutWatches(grapnel.ErrUnavailable)
					case 1:
						faulty.HoldWatches()
					case 2:
						faulty.ResumeWatches()
					case 3:
						synctest.Wait()
					default: // so that pauses end
						faketime.Pass(time.Duration(random.IntN(300)) * time.Millisecond)
					}
				})
				faulty.ResumeWatches()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				at := 0
				for i, state := range seen {
					k := slices.Index(was[at:], state)
					if k < 0 {
						t.Fatalf("state %d, %q, was not there, or was before %q; the states were\n%q", i, state, was[at], was)
					}
					at += k
				}
				if at+1 != len(was) {
					t.Errorf("the last state seen is %q, not %q", seen[len(seen)-1], was[len(was)-1])
				}
			})
		})
	}
}

// liveThrough claims, loses and completes the nodes of a run at random until it
// ends, with between called in between, and returns the states that it had.
func (w *world) liveThrough(id grapnel.RunID, random *rand.Rand, between func(*rand.Rand)) []string {
	var was []string
	note := func() {
		info, err := w.c.Get(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		was = append(was, stateText(info))
		between(random)
	}
	note()
	for node := range 2 {
		for losses := 0; losses < 3 && random.IntN(2) == 0; losses++ { // with five, the node would fail
			fence := w.claim(id, node, fmt.Sprintf("w%d", random.IntN(3)))
			note()
			if _, err := w.st.Commit(w.t.Context(), deleteKey(w.keys.Claim(id, snapshot.NodeKey(node)))); err != nil {
				w.t.Fatal(err)
			}
			note()
			w.apply(id, workflow.ClaimLost{Node: node, Fence: fence, Worker: "w"})
			note()
		}
		w.fence = max(w.fence, w.claim(id, node, "w9"))
		note()
		if _, err := w.st.Commit(w.t.Context(), deleteKey(w.keys.Claim(id, snapshot.NodeKey(node)))); err != nil {
			w.t.Fatal(err)
		}
		note()
		w.complete(id, node, "2")
		note()
	}
	return was
}
