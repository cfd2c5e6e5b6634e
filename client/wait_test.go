package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

type outcome struct {
	out int
	err error
}

// waiting begins to wait for a run and returns once the watch is open. It is for
// use in a synctest bubble.
func waiting(ctx context.Context, t *testing.T, run *client.Run[int]) <-chan outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		out, err := run.Wait(ctx)
		done <- outcome{out, err}
	}()
	synctest.Wait()
	select {
	case o := <-done:
		t.Fatalf("Wait returned %v at once", o)
	default:
	}
	return done
}

func TestWaitReturnsTheOutputOnceTheRunHasCompleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		done := waiting(t.Context(), t, w.start("r"))
		w.complete("r", 0, "2")
		synctest.Wait()
		if len(done) != 0 {
			t.Error("Wait returned before the end")
		}
		w.complete("r", 1, "4")
		if o := <-done; o.err != nil || o.out != 4 {
			t.Errorf("Wait returned %+v", o)
		}
	})
}

func TestWaitTellsHowARunEndedWithoutOutput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		end    func(w *world)
		status grapnel.RunStatus
		is     error
		isNot  []error
		text   string
	}{
		{
			name: "failed", end: func(w *world) { w.fail("r", 0, "no ink") },
			status: grapnel.RunFailed, isNot: []error{grapnel.ErrCancelled, grapnel.ErrTimedOut},
			text: `run "r" failed: node first, task twice (attempt 1): error: no ink`,
		},
		{
			name: "cancelled", end: func(w *world) { w.apply("r", workflow.RunCancelled{Reason: "enough"}) },
			status: grapnel.RunCancelled, is: grapnel.ErrCancelled, isNot: []error{grapnel.ErrTimedOut},
			text: `run "r" was cancelled: enough`,
		},
		{
			name: "failed by a time-out", end: func(w *world) { w.apply("r", workflow.NodeExpired{Kind: workflow.KindScheduleToStart}) },
			status: grapnel.RunFailed, is: grapnel.ErrTimedOut, isNot: []error{grapnel.ErrCancelled},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				done := waiting(t.Context(), t, w.start("r"))
				tt.end(w)
				o := <-done
				var failed *client.RunFailedError
				if !errors.As(o.err, &failed) || failed.Status != tt.status || failed.Run != "r" || failed.Cause == nil {
					t.Fatalf("Wait returned %v", o.err)
				}
				if tt.is != nil {
					wantIs(t, o.err, tt.is)
				}
				for _, not := range tt.isNot {
					if errors.Is(o.err, not) {
						t.Errorf("error %v is %v", o.err, not)
					}
				}
				if tt.text != "" && o.err.Error() != tt.text {
					t.Errorf("error is %q, want %q", o.err, tt.text)
				}
				var cause *workflow.Failure
				if !errors.As(o.err, &cause) || cause != failed.Cause {
					t.Error("errors.As does not find the cause")
				}
			})
		})
	}
}

func TestWaitGoesOnAfterARetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run := w.start("r")
		w.fail("r", 0, "no ink")
		if _, err := run.Wait(t.Context()); err == nil {
			t.Fatal("Wait returned no error for a failed run")
		}
		if err := w.c.Retry(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		done := waiting(t.Context(), t, run)
		w.complete("r", 0, "2")
		w.complete("r", 1, "4")
		if o := <-done; o.err != nil || o.out != 4 {
			t.Errorf("Wait returned %+v", o)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := waiting(ctx, t, w.start("r"))
		enough := errors.New("enough")
		cancel(enough)
		o := <-done
		wantIs(t, o.err, enough)
	})
}

func TestWaitNoticesThatTheRunIsDeletedAndReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		done := waiting(t.Context(), t, w.start("r"))
		w.start("r", client.OnConflict(client.TerminateExisting))
		o := <-done
		wantIs(t, o.err, grapnel.ErrRunGone)
	})
}

// endlessly is a store whose watches end after one batch with events.
type endlessly struct {
	store.Store
	watches chan struct{}
	err     error
}

func (s *endlessly) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	s.watches <- struct{}{}
	ctx, cancel := context.WithCancel(ctx)
	in, out := s.Store.Watch(ctx, r), make(chan store.Batch)
	go func() {
		defer close(out)
		defer func() {
			cancel()
			for range in {
			}
		}()
		for events := 0; events == 0; {
			select {
			case b := <-in:
				events = len(b.Events)
				select {
				case out <- b:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
		select {
		case out <- store.Batch{Err: s.err}:
		case <-ctx.Done():
		}
	}()
	return out
}

func TestWaitGoesOnWhenItsWatchEnds(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{grapnel.ErrUnavailable, &store.CompactedError{Revision: 5}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			st := &endlessly{Store: w.st, err: cause, watches: make(chan struct{}, 100)}
			w.c = newClient(t, st)
			done := waiting(t.Context(), t, w.start("r"))
			<-st.watches
			w.complete("r", 0, "2") // ends the first watch
			<-st.watches
			w.complete("r", 1, "4")
			if o := <-done; o.err != nil || o.out != 4 {
				t.Errorf("Wait returned %+v", o)
			}
		})
	}
}

func TestWaitDoesNotWatchHistoryThatIsCompacted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run := w.start("r")
		if err := w.st.Compact(w.put("elsewhere", nil)); err != nil {
			t.Fatal(err)
		}
		st := &endlessly{Store: w.st, watches: make(chan struct{}, 100), err: grapnel.ErrUnavailable}
		w.c = newClient(t, st)
		attached, err := client.Attach(t.Context(), w.c, double(), "r")
		if err != nil || attached.Instance() != run.Instance() {
			t.Fatalf("Attach returned %v, %v", attached, err)
		}
		done := waiting(t.Context(), t, attached)
		w.apply("r", workflow.RunCancelled{})
		<-done
		if n := len(st.watches); n != 1 {
			t.Errorf("%d watches were opened, want 1", n)
		}
	})
}

func TestWaitEndedWaitsForAnyEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.c.WaitEnded(t.Context(), "none")
	wantIs(t, err, grapnel.ErrNotFound)
	w.start("r")
	w.complete("r", 0, "2")
	w.complete("r", 1, "4")
	if info, err := w.c.WaitEnded(t.Context(), "r"); err != nil || info.Status != grapnel.RunCompleted || string(info.Output) != "4" || info.Failure() != nil {
		t.Errorf("WaitEnded returned %+v, %v", info, err)
	}
	w.start("f")
	w.fail("f", 0, "no ink")
	info, err := w.c.WaitEnded(t.Context(), "f")
	if err != nil || info.Status != grapnel.RunFailed || info.Cause == nil || info.Cause.Node != "first" || !strings.Contains(info.Cause.Message, "no ink") {
		t.Errorf("WaitEnded returned %+v, %v", info, err)
	}
	var failed *client.RunFailedError
	if !errors.As(info.Failure(), &failed) || failed.Status != grapnel.RunFailed {
		t.Errorf("Failure returned %v", info.Failure())
	}
}

func TestAttachRefusesARunOfAnotherWorkflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	_, err := client.Attach(t.Context(), w.c, named("other"), "r")
	wantIs(t, err, grapnel.ErrWrongDefinition)
	_, err = client.Attach(t.Context(), w.c, double(), "none")
	wantIs(t, err, grapnel.ErrNotFound)
}

func TestAnOutputOfAnotherTypeIsInvalid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.start("r")
	w.complete("r", 0, "2")
	w.complete("r", 1, `"four"`)
	_, err := run.Wait(t.Context())
	wantIs(t, err, grapnel.ErrInvalid)
}
