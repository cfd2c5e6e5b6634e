package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
)

func TestConcurrentCommitsAllTakeEffect(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{})
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("/t/%d/%d", w, i)
				res, err := st.Commit(t.Context(), store.Txn{
					If:   []store.Guard{store.Absent(key)},
					Then: []store.Op{store.Put(key, []byte("v"), 0), store.Get(key)},
				})
				if err != nil || !res.Succeeded {
					t.Errorf("commit %s: %+v, %v", key, res, err)
					return
				}
				if !res.Reads[1].Found || res.Reads[1].KV.Create != res.Revision {
					t.Errorf("commit %s at %d read %+v", key, res.Revision, res.Reads[1])
				}
			}
		})
	}
	wg.Wait()
	page, err := st.List(t.Context(), store.ListRequest{Prefix: "/t/", Limit: 2 * writers * each})
	if err != nil || len(page.KVs) != writers*each {
		t.Fatalf("list: %d keys, %v", len(page.KVs), err)
	}
}

func TestRacingCommitsOfOneKeyCountEachSuccess(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{})
	const racers, wins = 16, 5
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			rev := grapnel.Revision(0)
			for won := 0; won < wins; {
				res, err := st.Commit(t.Context(), store.Txn{
					If:   []store.Guard{store.ModIs("/counter", rev)},
					Then: []store.Op{store.Put("/counter", nil, 0)},
					Else: []store.Op{store.Get("/counter")},
				})
				if err != nil {
					t.Error(err)
					return
				}
				if res.Succeeded {
					won++
					rev = res.Revision
				} else {
					rev = res.Reads[0].KV.Mod
				}
			}
		})
	}
	wg.Wait()
	resp, err := st.client.Get(t.Context(), "/counter")
	if err != nil || resp.Kvs[0].Version != racers*wins {
		t.Fatalf("written %d times, %v; want %d", resp.Kvs[0].Version, err, racers*wins)
	}
}

func TestDeadLeaseFailsNoNeighbour(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{InFlight: 1})
	lease, err := st.Grant(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Revoke(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	if err := st.Revoke(t.Context(), lease.ID); err != nil {
		t.Fatalf("second revoke: %v", err)
	}
	if _, err := st.KeepAlive(t.Context(), lease.ID); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Fatalf("keep alive: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			op, want := store.Put(fmt.Sprintf("/k/%d", i), nil, 0), error(nil)
			if i%10 == 0 {
				op.Lease, want = lease.ID, store.ErrLeaseNotFound
			}
			if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{op}}); !errors.Is(err, want) {
				t.Errorf("commit %d: %v, want %v", i, err, want)
			}
		})
	}
	wg.Wait()
}

func TestWatchGoesOnFromAListing(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	put := func(v string) grapnel.Revision {
		res, err := st.Commit(ctx, store.Txn{Then: []store.Op{store.Put("/w/a", []byte(v), 0)}})
		if err != nil {
			t.Fatal(err)
		}
		return res.Revision
	}
	put("1")
	page, err := st.List(ctx, store.ListRequest{Prefix: "/w/"})
	if err != nil {
		t.Fatal(err)
	}
	second := put("2")
	w := st.Watch(ctx, store.WatchRequest{Prefix: "/w/", From: page.Revision + 1, Previous: true})
	b := <-w
	if b.Revision != second || len(b.Events) != 1 || string(b.Events[0].KV.Value) != "2" || string(b.Events[0].Previous.Value) != "1" {
		t.Fatalf("batch %+v", b)
	}
	put("3") // not received
	stop := errors.New("stop")
	cancel(stop)
	for b = range w {
	}
	if !errors.Is(b.Err, stop) {
		t.Fatalf("last batch %+v, want the cause", b)
	}
}

func TestWatchFromNowBeginsWithItsRevision(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{})
	w := st.Watch(t.Context(), store.WatchRequest{Prefix: "/w/"})
	first := <-w
	res, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/w/a", nil, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	if first.Revision != res.Revision-1 || first.Events != nil {
		t.Fatalf("first batch %+v before a commit at %d", first, res.Revision)
	}
	if b := <-w; b.Revision != res.Revision || len(b.Events) != 1 {
		t.Fatalf("batch %+v", b)
	}
}

func TestWatchOfCompactedHistoryNamesTheOldestRevision(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{})
	var rev grapnel.Revision
	for range 3 {
		res, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/w/a", nil, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		rev = res.Revision
	}
	if _, err := st.client.Compact(t.Context(), int64(rev)); err != nil {
		t.Fatal(err)
	}
	var compacted *store.CompactedError
	b := <-st.Watch(t.Context(), store.WatchRequest{Prefix: "/w/", From: rev - 1})
	if !errors.As(b.Err, &compacted) || compacted.Revision != rev {
		t.Fatalf("batch %+v, want compacted at %d", b, rev)
	}
	if _, err := st.List(t.Context(), store.ListRequest{Prefix: "/w/", Revision: rev - 1}); !errors.Is(err, store.ErrCompacted) {
		t.Fatalf("list: %v", err)
	}
}

func TestCloseEndsWatchesAndCalls(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{}), Config{})
	w := st.Watch(t.Context(), store.WatchRequest{Prefix: "/"})
	<-w
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if b := <-w; !errors.Is(b.Err, grapnel.ErrUnavailable) {
		t.Errorf("watch ended with %+v", b)
	}
	if _, err := st.Get(t.Context(), "/k"); !errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("get: %v", err)
	}
	if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Delete("/k")}}); !errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
	if b := <-st.Watch(t.Context(), store.WatchRequest{Prefix: "/"}); !errors.Is(b.Err, grapnel.ErrUnavailable) {
		t.Errorf("watch: %+v", b)
	}
}
