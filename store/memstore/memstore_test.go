package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
)

func put(t testing.TB, s store.Store, key string, lease store.LeaseID) grapnel.Revision {
	t.Helper()
	res, err := s.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put(key, nil, lease)}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Revision
}

func grant(t *testing.T, s store.Store, ttl time.Duration) store.Lease {
	t.Helper()
	l, err := s.Grant(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLeasesExpireExactlyWhenTheirTimeHasPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		short, long := grant(t, s, 10*time.Second), grant(t, s, 20*time.Second)
		check := func(want ...store.LeaseID) {
			t.Helper()
			synctest.Wait()
			if got := s.Leases(); !slices.Equal(got, want) {
				t.Errorf("leases %v, want %v", got, want)
			}
		}
		faketime.Pass(10*time.Second - 1)
		check(short.ID, long.ID)
		if _, err := s.KeepAlive(t.Context(), short.ID); err != nil {
			t.Fatal(err)
		}
		faketime.Pass(10*time.Second - 1) // one short of short's new time, two short of long's
		check(short.ID, long.ID)
		faketime.Pass(time.Nanosecond)
		check(long.ID)
		faketime.Pass(time.Nanosecond)
		check()
	})
}

func TestLeasesThatExpireTogetherEndInTheOrderTheyWereGranted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		const leases = 20
		for i := range leases {
			put(t, s, fmt.Sprintf("%02d", i), grant(t, s, 5*time.Second).ID)
		}
		from := s.Revision() + 1
		faketime.Pass(5 * time.Second)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := s.Watch(ctx, store.WatchRequest{From: from})
		for i := range leases {
			b := <-w
			if len(b.Events) != 1 || b.Events[0].KV.Key != fmt.Sprintf("%02d", i) || b.Revision != from+grapnel.Revision(i) {
				t.Fatalf("batch %d is %+v", i, b)
			}
		}
	})
}

func TestALaterGrantWithAShorterTimeExpiresFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		long, short := grant(t, s, time.Hour), grant(t, s, time.Second)
		faketime.Pass(time.Second)
		synctest.Wait()
		if got := s.Leases(); !slices.Equal(got, []store.LeaseID{long.ID}) {
			t.Errorf("leases %v, want all but %v", got, short.ID)
		}
	})
}

func TestMinTTLLengthensLeases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ask, min, want time.Duration }{
		{time.Millisecond, 0, time.Second},
		{1001 * time.Millisecond, time.Second, 2 * time.Second},
		{time.Second, 3 * time.Second, 3 * time.Second},
	} {
		s := open(t, memstore.MinTTL(c.min))
		if got := grant(t, s, c.ask).TTL; got != c.want {
			t.Errorf("%v with at least %v: got %v, want %v", c.ask, c.min, got, c.want)
		}
	}
}

func TestLimitsOfCommitsAreSettings(t *testing.T) {
	t.Parallel()
	s := open(t, memstore.MaxOps(2), memstore.MaxRequest(10))
	put := func(values ...string) error {
		var ops []store.Op
		for i, v := range values {
			ops = append(ops, store.Put(fmt.Sprint(i), []byte(v), 0))
		}
		_, err := s.Commit(t.Context(), store.Txn{Then: ops})
		return err
	}
	if err := errors.Join(put("", ""), put("123456789")); err != nil {
		t.Error(err)
	}
	for _, err := range []error{put("", "", ""), put("1234567890"), put("1234", "56789")} {
		if !errors.Is(err, grapnel.ErrTooLarge) {
			t.Errorf("error %v, want ErrTooLarge", err)
		}
	}
}

func TestFailRefusesCallsAndLetsWatchesGoOn(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := s.Watch(ctx, store.WatchRequest{From: 2})
	l := grant(t, s, time.Minute)
	put(t, s, "k", l.ID)
	<-w
	s.Fail(func(write bool) error {
		if write {
			return grapnel.ErrOverCapacity
		}
		return nil
	})
	if _, err := s.Get(t.Context(), "k"); err != nil {
		t.Errorf("get: %v", err)
	}
	_, err := s.Commit(t.Context(), store.Txn{Then: []store.Op{store.Delete("k")}})
	for _, err := range []error{err, s.Revoke(t.Context(), l.ID)} {
		if !errors.Is(err, grapnel.ErrOverCapacity) {
			t.Errorf("write: %v, want ErrOverCapacity", err)
		}
	}
	if _, err := s.Commit(t.Context(), store.Txn{Then: []store.Op{store.Get("k")}}); err != nil {
		t.Errorf("commit that only reads: %v", err)
	}
	s.ExpireLease(l.ID)
	if b := <-w; len(b.Events) != 1 || !b.Events[0].Deleted {
		t.Errorf("batch %+v, want the lease's end", b)
	}
	s.Fail(nil)
	put(t, s, "k", 0)
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	read, unread := s.Watch(t.Context(), store.WatchRequest{From: 2}), s.Watch(t.Context(), store.WatchRequest{From: 2})
	put(t, s, "a", grant(t, s, time.Minute).ID)
	put(t, s, "b", 0)
	if b := <-read; b.Revision != 2 {
		t.Errorf("batch %+v", b)
	}
	s.Close()
	s.Close()
	for range read { // closed, or this does not end
	}
	var last store.Batch
	for last = range unread {
	}
	if !errors.Is(last.Err, grapnel.ErrUnavailable) || last.Revision != 1 {
		t.Errorf("unread watch ended with %+v, want ErrUnavailable after revision 1", last)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("get: %v", err)
	}
	if b, open := <-s.Watch(t.Context(), store.WatchRequest{}); !open || !errors.Is(b.Err, grapnel.ErrUnavailable) {
		t.Errorf("watch: %+v", b)
	}
}

func TestCompactRefusesWhatIsGoneOrToCome(t *testing.T) {
	t.Parallel()
	s := open(t)
	put(t, s, "a", 0)
	rev := put(t, s, "a", 0)
	if err := s.Compact(rev + 1); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("compact what is to come: %v", err)
	}
	if err := s.Compact(rev); err != nil {
		t.Fatal(err)
	}
	for _, again := range []grapnel.Revision{rev, rev - 1} {
		var compacted *store.CompactedError
		if err := s.Compact(again); !errors.As(err, &compacted) || compacted.Revision != rev {
			t.Errorf("compact %d again: %v", again, err)
		}
	}
}
