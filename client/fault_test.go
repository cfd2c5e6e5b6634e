package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// created returns the instances that an id has ever had.
func (w *world) created(id grapnel.RunID) []grapnel.Instance {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	now, err := w.st.Commit(ctx, store.Txn{Then: []store.Op{store.Put("mark", nil, 0)}})
	if err != nil {
		w.t.Fatal(err)
	}
	var instances []grapnel.Instance
	batches := w.st.Watch(ctx, store.WatchRequest{From: 1})
	for b := range batches {
		for _, ev := range b.Events {
			if ev.KV.Key == w.keys.Head(id) && !ev.Deleted && ev.KV.Create == ev.KV.Mod {
				instances = append(instances, ev.KV.Create)
			}
		}
		if b.Revision >= now.Revision {
			cancel()
		}
	}
	return instances
}

// isStart tells the commit that writes a run's head for the first time.
func (w *world) isStart(i faultstore.Info, id grapnel.RunID) bool {
	return i.Kind == faultstore.Commit && len(i.Txn.Then) > 0 && i.Txn.Then[0].Key == w.keys.Head(id)
}

func TestAStartHappensOnceWhicheverCallFails(t *testing.T) {
	t.Parallel()
	scenarios := []struct {
		name   string
		policy client.ConflictPolicy
		before int // runs that the id had before
	}{
		{"fresh", client.Fail, 0},
		{"terminate", client.TerminateExisting, 1},
	}
	for _, sc := range scenarios {
		// What follows takes the same calls as this does without a fault.
		w := newWorld(t)
		count := faultstore.New(w.st, nil)
		if sc.before > 0 {
			w.start("r")
		}
		if _, err := client.Start(t.Context(), newClient(t, count), double(), 1, client.WithID("r"), client.OnConflict(sc.policy)); err != nil {
			t.Fatal(err)
		}
		for plan := range faultstore.EachCall(count.Calls()) {
			t.Run(sc.name+"/"+plan.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					if sc.before > 0 {
						w.start("r")
					}
					faulty := faultstore.New(w.st, plan.Rule())
					run, err := client.Start(t.Context(), newClient(t, faulty), double(), 1, client.WithID("r"), client.OnConflict(sc.policy))
					faulty.ReleaseLate()
					instances := w.created("r")[sc.before:]
					switch {
					case err == nil && (len(instances) != 1 || instances[0] != run.Instance()):
						t.Errorf("Start returned instance %d; created were %v", run.Instance(), instances)
					case err != nil && !errors.Is(err, grapnel.ErrUnavailable):
						t.Errorf("Start returned %v", err)
					case err != nil && len(instances) > 0:
						t.Errorf("Start returned %v and created %v", err, instances)
					}
				})
			})
		}
	}
}

// afterStart returns a client whose first start is applied while its reply is
// lost; then do is called.
func (w *world) afterStart(id grapnel.RunID, do func()) *client.Client {
	w.t.Helper()
	once := false
	return newClient(w.t, faultstore.New(w.st, func(i faultstore.Info) faultstore.Action {
		if once || !w.isStart(i, id) {
			return faultstore.Action{}
		}
		once = true
		return faultstore.Action{Fault: faultstore.After, Leave: do}
	}))
}

func TestAStartWhoseReplyIsLostRecognisesItsRun(t *testing.T) {
	t.Parallel()
	for _, policy := range []client.ConflictPolicy{client.Fail, client.UseExisting, client.TerminateExisting} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c := w.afterStart("r", func() {
				w.complete("r", 0, "2")
				w.complete("r", 1, "4")
			})
			run, err := client.Start(t.Context(), c, double(), 1, client.WithID("r"), client.OnConflict(policy))
			if err != nil {
				t.Fatal(err)
			}
			if out, err := run.Wait(t.Context()); err != nil || out != 4 {
				t.Errorf("Wait returned %v, %v", out, err)
			}
			if n := len(w.created("r")); n != 1 {
				t.Errorf("%d runs were created", n)
			}
		})
	}
}

func TestAStartWhoseRunWasDeletedMeanwhileSaysSo(t *testing.T) {
	t.Parallel()
	for _, policy := range []client.ConflictPolicy{client.Fail, client.UseExisting, client.TerminateExisting} {
		for _, taken := range []bool{false, true} {
			t.Run(fmt.Sprintf("policy %d, id taken again %v", policy, taken), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					c := w.afterStart("r", func() {
						w.fail("r", 0, "no ink")
						if err := w.c.Delete(t.Context(), "r"); err != nil {
							t.Error(err)
						}
						if taken {
							w.start("r")
						}
					})
					_, err := client.Start(t.Context(), c, double(), 1, client.WithID("r"), client.OnConflict(policy))
					wantIs(t, err, grapnel.ErrRunGone)
					_, err = w.c.Get(t.Context(), "r")
					if taken && err != nil {
						t.Errorf("the other run is gone: %v", err)
					}
					if !taken {
						wantIs(t, err, grapnel.ErrNotFound)
					}
				})
			})
		}
	}
}

func TestAStartOfUnknownOutcomeSaysSoWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := newClient(t, faultstore.New(w.st, func(i faultstore.Info) faultstore.Action {
			if w.isStart(i, "r") {
				return faultstore.Action{Fault: faultstore.Before}
			}
			return faultstore.Action{}
		}))
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := client.Start(ctx, c, double(), 1, client.WithID("r"))
			done <- err
		}()
		synctest.Wait()
		enough := errors.New("enough")
		cancel(enough)
		err := <-done
		wantIs(t, err, grapnel.ErrUnknown)
		wantIs(t, err, enough)

		// Nobody stops it: it stops by itself.
		_, err = client.Start(t.Context(), c, double(), 1, client.WithID("r"))
		wantIs(t, err, grapnel.ErrUnknown)
	})
}

func TestOneRunIsCreatedHoweverManyStartItAndWhateverFails(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				faulty := faultstore.New(w.st, faultstore.Random(seed, faultstore.Chances{Before: 0.15, After: 0.15, Late: 0.15}))
				var wg sync.WaitGroup
				runs := make([]*client.Run[int], 4)
				errs := make([]error, len(runs))
				for i := range runs {
					c := newClient(t, faulty)
					wg.Go(func() { runs[i], errs[i] = client.Start(t.Context(), c, double(), i, client.WithID("r")) })
				}
				wg.Wait()
				faulty.ReleaseLate()
				instances := w.created("r")
				if len(instances) > 1 {
					t.Errorf("%d runs were created", len(instances))
				}
				winners := 0
				for i, err := range errs {
					switch {
					case err == nil:
						winners++
						if len(instances) != 1 || runs[i].Instance() != instances[0] {
							t.Errorf("starter %d was given instance %d of %v", i, runs[i].Instance(), instances)
						}
					case !errors.Is(err, grapnel.ErrExists) && !errors.Is(err, grapnel.ErrUnavailable):
						t.Errorf("starter %d: %v", i, err)
					}
				}
				if winners > 1 || winners != len(instances) {
					t.Errorf("%d starters were told that they won; %d runs were created", winners, len(instances))
				}
			})
		})
	}
}

func TestACancelIsStoredOnceWhicheverCallFails(t *testing.T) {
	t.Parallel()
	for plan := range faultstore.EachCall(3) {
		t.Run(plan.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start("r")
				faulty := faultstore.New(w.st, plan.Rule())
				err := newClient(t, faulty).Cancel(t.Context(), "r", "enough")
				faulty.ReleaseLate()
				switch n := len(w.mailbox("r")); {
				case err == nil && n != 1:
					t.Errorf("%d events are stored", n)
				case err != nil && (n != 0 || !errors.Is(err, grapnel.ErrUnavailable)):
					t.Errorf("Cancel returned %v and stored %d events", err, n)
				}
			})
		})
	}
}

func TestWaitGoesOnWhileTheStoreCannotBeReached(t *testing.T) {
	t.Parallel()
	for plan := range faultstore.EachCall(2) { // the head, then the output's record
		t.Run(plan.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start("r")
				w.complete("r", 0, "2")
				w.put(w.keys.Record("r", "1", 0), []byte("4"))
				w.apply("r", workflow.NodeCompleted{Node: 1, Fence: 9, Recorded: true})
				faulty := faultstore.New(w.st, nil)
				run, err := client.Attach(t.Context(), newClient(t, faulty), double(), "r")
				if err != nil {
					t.Fatal(err)
				}
				before := faulty.Calls()
				plan.Call += before
				faulty.SetRule(plan.Rule())
				if out, err := run.Wait(t.Context()); err != nil || out != 4 {
					t.Errorf("Wait returned %v, %v", out, err)
				}
				if n := faulty.Calls() - before; n != 3 {
					t.Errorf("Wait made %d calls; want 2 and the one that failed", n)
				}
			})
		})
	}
}

func TestWaitEndedIsNotMisledByTheRunThatHadTheIDBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("r")
		replaced := false
		c := newClient(t, faultstore.New(w.st, func(i faultstore.Info) faultstore.Action {
			if replaced || i.Kind != faultstore.Get || i.Key != w.keys.Head("r") {
				return faultstore.Action{}
			}
			replaced = true
			// The watch is open already and will tell of the deletion.
			return faultstore.Action{Enter: func() { w.start("r", client.OnConflict(client.TerminateExisting)) }}
		}))
		done := make(chan error, 1)
		go func() {
			_, err := c.WaitEnded(t.Context(), "r")
			done <- err
		}()
		synctest.Wait()
		w.complete("r", 0, "2")
		w.complete("r", 1, "4")
		if err := <-done; err != nil || !replaced {
			t.Errorf("WaitEnded returned %v", err)
		}
	})
}
