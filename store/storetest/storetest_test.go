package storetest_test

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is a store in memory to compare.
func side(t *testing.T, name string, wrap func(*memstore.Store) store.Store) storetest.Side {
	mem := memstore.New()
	t.Cleanup(mem.Close)
	return storetest.Side{
		Name: name, Store: wrap(mem),
		Compact: func(_ context.Context, rev grapnel.Revision) error { return mem.Compact(rev) },
	}
}

func honest(s *memstore.Store) store.Store { return s }

func TestAStoreIsLikeItself(t *testing.T) {
	t.Parallel()
	for range 20 {
		storetest.Differential(t, side(t, "one", honest), side(t, "other", honest), storetest.DifferentialOptions{Calls: 300})
	}
}

func TestStoresMayBeginAtDifferentRevisionsAndLeases(t *testing.T) {
	t.Parallel()
	older := side(t, "older", honest)
	for range 50 {
		l, err := older.Store.Grant(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := older.Store.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/x", nil, l.ID)}}); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Differential(t, side(t, "fresh", honest), older, storetest.DifferentialOptions{})
}

// lieVariable makes [TestLyingStore] run, on a store that lies this way.
const lieVariable = "GRAPNEL_STORETEST_LIE"

// TestLyingStore is what [TestLiesAreNoticed] runs in processes of their own.
func TestLyingStore(t *testing.T) {
	name := os.Getenv(lieVariable)
	if name == "" {
		t.Skip("this test fails on purpose; " + lieVariable + " says how")
	}
	lie, ok := lies[name]
	if !ok {
		t.Skipf("there is no lie %q", name)
	}
	wrap := func(s *memstore.Store) store.Store { return &liar{Store: s, lie: lie} }
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			s := memstore.New()
			t.Cleanup(s.Close)
			return wrap(s)
		}, storetest.Options{
			Timeout: 2 * time.Second, // so long does a case wait for what is not told
			Compact: func(_ context.Context, s store.Store, rev grapnel.Revision) error {
				return s.(*liar).Compact(rev)
			},
		})
	})
	t.Run("differential", func(t *testing.T) {
		storetest.Differential(t, side(t, "honest", honest), side(t, "liar", wrap), storetest.DifferentialOptions{Seed: 1, Calls: 2000, Timeout: 2 * time.Second})
	})
}
