package faultstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/store/storetest"
)

// setup returns a store that fails by the rule, and the one behind it.
func setup(t *testing.T, rule faultstore.Rule) (*faultstore.Store, *memstore.Store) {
	t.Helper()
	mem := memstore.New()
	s := faultstore.New(mem, rule)
	t.Cleanup(func() {
		mem.Close()
		s.Wait()
	})
	return s, mem
}

// always is the rule of one fault for all calls but watches.
func always(f faultstore.Fault) faultstore.Rule {
	return func(faultstore.Info) faultstore.Action { return faultstore.Action{Fault: f} }
}

func put(ctx context.Context, s store.Store, key string) error {
	_, err := s.Commit(ctx, store.Txn{Then: []store.Op{store.Put(key, nil, 0)}})
	return err
}

func exists(t *testing.T, s store.Store, key string) bool {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	if err != nil && !errors.Is(err, grapnel.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestWithoutFaultsItIsTheStoreItWraps(t *testing.T) {
	t.Parallel()
	var under sync.Map // the stores in memory, by what wraps them
	storetest.Run(t, func(t *testing.T) store.Store {
		s, mem := setup(t, nil)
		under.Store(s, mem)
		return s
	}, storetest.Options{
		Parallel: true,
		Compact: func(_ context.Context, s store.Store, rev grapnel.Revision) error {
			mem, _ := under.Load(s)
			return mem.(*memstore.Store).Compact(rev)
		},
	})
}

func TestFaultOfAWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault   faultstore.Fault
		err     error
		applied bool
	}{
		{faultstore.None, nil, true},
		{faultstore.Refused, grapnel.ErrUnavailable, false},
		{faultstore.Before, grapnel.ErrUnknown, false},
		{faultstore.After, grapnel.ErrUnknown, true},
		{faultstore.Late, grapnel.ErrUnknown, false},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			t.Parallel()
			s, mem := setup(t, always(c.fault))
			if err := put(t.Context(), s, "k"); !errors.Is(err, c.err) {
				t.Errorf("commit: %v, want %v", err, c.err)
			}
			if got := exists(t, mem, "k"); got != c.applied {
				t.Errorf("applied: %v, want %v", got, c.applied)
			}
			l, err := mem.Grant(t.Context(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Revoke(t.Context(), l.ID); !errors.Is(err, c.err) {
				t.Errorf("revoke: %v, want %v", err, c.err)
			}
			if gone := len(mem.Leases()) == 0; gone != c.applied {
				t.Errorf("revoked: %v, want %v", gone, c.applied)
			}
		})
	}
}

func TestFaultOfARead(t *testing.T) {
	t.Parallel()
	for _, fault := range []faultstore.Fault{faultstore.Refused, faultstore.Before, faultstore.After, faultstore.Late} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			s, mem := setup(t, always(fault))
			l, err := mem.Grant(t.Context(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			_, get := s.Get(t.Context(), "k")
			_, list := s.List(t.Context(), store.ListRequest{Prefix: "k"})
			_, grant := s.Grant(t.Context(), time.Minute)
			_, keep := s.KeepAlive(t.Context(), l.ID)
			for i, err := range []error{get, list, grant, keep} {
				if !errors.Is(err, grapnel.ErrUnavailable) || errors.Is(err, grapnel.ErrUnknown) {
					t.Errorf("call %d: %v, want ErrUnavailable", i, err)
				}
			}
			if n := s.ReleaseLate(); n != 0 {
				t.Errorf("%d reads were still on their way", n)
			}
		})
	}
}

func TestHangEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, mem := setup(t, always(faultstore.Hang))
		stop := errors.New("stop")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, stop)
		defer cancel()
		begin := time.Now()
		if err := put(ctx, s, "k"); !errors.Is(err, grapnel.ErrUnknown) || !errors.Is(err, stop) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("commit: %v, want ErrUnknown and the context's end", err)
		}
		if waited := time.Since(begin); waited != time.Hour {
			t.Errorf("returned after %v", waited)
		}
		if exists(t, mem, "k") {
			t.Error("the commit was applied")
		}
		if err := put(ctx, s, "k"); !errors.Is(err, stop) || errors.Is(err, grapnel.ErrUnknown) {
			t.Errorf("commit with an ended context: %v", err)
		}
		if s.Calls() != 1 {
			t.Errorf("%d calls, want the one that was made", s.Calls())
		}
	})
}

func TestDelayIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, mem := setup(t, func(faultstore.Info) faultstore.Action { return faultstore.Action{Delay: time.Hour} })
		begin := time.Now()
		if err := put(t.Context(), s, "k"); err != nil || time.Since(begin) != time.Hour {
			t.Errorf("commit after %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := put(ctx, s, "late"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, grapnel.ErrUnknown) || exists(t, mem, "late") {
			t.Errorf("commit with too little time: %v", err)
		}
	})
}

func TestLateCallsAreMadeInTheirOrderWhenReleased(t *testing.T) {
	t.Parallel()
	s, mem := setup(t, always(faultstore.Late))
	for i := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := put(ctx, s, fmt.Sprint(i)); !errors.Is(err, grapnel.ErrUnknown) {
			t.Fatal(err)
		}
		cancel() // what is on its way arrives all the same
	}
	if n := s.ReleaseLate(); n != 3 {
		t.Errorf("released %d", n)
	}
	if n := s.ReleaseLate(); n != 0 {
		t.Errorf("released %d twice", n)
	}
	for i := range 3 {
		kv, err := mem.Get(t.Context(), fmt.Sprint(i))
		if err != nil || kv.Mod != grapnel.Revision(i+2) {
			t.Errorf("put %d: %+v, %v", i, kv, err)
		}
	}
}

func TestLateCallIsMadeAsManyCallsLaterAsItsActionSays(t *testing.T) {
	t.Parallel()
	s, mem := setup(t, func(i faultstore.Info) faultstore.Action {
		if i.N == 1 {
			return faultstore.Action{Fault: faultstore.Late, Calls: 3}
		}
		return faultstore.Action{}
	})
	if err := put(t.Context(), s, "late"); !errors.Is(err, grapnel.ErrUnknown) {
		t.Fatal(err)
	}
	for call := 2; call <= 4; call++ {
		if exists(t, mem, "late") {
			t.Fatalf("made before call %d", call)
		}
		found := exists(t, s, "late")
		if found != (call == 4) {
			t.Errorf("call %d sees it: %v", call, found)
		}
	}
	if n := s.ReleaseLate(); n != 0 {
		t.Errorf("%d calls are still on their way", n)
	}
}

func TestCrashPointsAreAroundTheCall(t *testing.T) {
	t.Parallel()
	var mem *memstore.Store
	var seen []string
	note := func(what string) func() {
		return func() { seen = append(seen, fmt.Sprint(what, " ", mem.Revision())) }
	}
	s, mem := setup(t, func(faultstore.Info) faultstore.Action {
		return faultstore.Action{Fault: faultstore.After, Enter: note("enter"), Leave: note("leave")}
	})
	_ = put(t.Context(), s, "k") // its outcome is unknown
	if want := []string{"enter 1", "leave 2"}; !slices.Equal(seen, want) {
		t.Errorf("crash points %q, want %q", seen, want)
	}
}

func TestRuleLearnsWhatIsCalled(t *testing.T) {
	t.Parallel()
	var got []string
	s, _ := setup(t, func(i faultstore.Info) faultstore.Action {
		what := i.Key
		if i.Txn != nil {
			what = i.Txn.Then[0].Key
		}
		got = append(got, fmt.Sprintf("%d %v %q %d", i.N, i.Kind, what, i.Lease))
		return faultstore.Action{}
	})
	_ = exists(t, s, "a")
	_, list := s.List(t.Context(), store.ListRequest{Prefix: "b"})
	ctx, cancel := context.WithCancel(t.Context())
	s.Watch(ctx, store.WatchRequest{Prefix: "w"})
	cancel()
	commit := put(t.Context(), s, "c")
	l, grant := s.Grant(t.Context(), time.Minute)
	_, keep := s.KeepAlive(t.Context(), l.ID)
	if err := errors.Join(list, commit, grant, keep, s.Revoke(t.Context(), l.ID)); err != nil {
		t.Fatal(err)
	}
	want := []string{`1 Get "a" 0`, `2 List "b" 0`, `3 Commit "c" 0`, `4 Grant "" 0`, `5 KeepAlive "" 1`, `6 Revoke "" 1`}
	if !slices.Equal(got, want) || s.Calls() != len(want) {
		t.Errorf("%d calls %q, want %q", s.Calls(), got, want)
	}
}
