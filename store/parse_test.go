package store_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// TestKeysAreAsTheyEverWere has keys as they are in stores. They cannot change:
// what was written under them would not be found.
func TestKeysAreAsTheyEverWere(t *testing.T) {
	t.Parallel()
	k := keysOf(t, "shop")
	for got, want := range map[string]string{
		k.Root():                      "/grapnel/shop/",
		k.Runs():                      "/grapnel/shop/run/",
		k.ShardRuns(10):               "/grapnel/shop/run/0a/",
		k.Run("order-1"):              "/grapnel/shop/run/f4/order-1/",
		k.Head("order-1"):             "/grapnel/shop/run/f4/order-1/head",
		k.Claims("order-1"):           "/grapnel/shop/run/f4/order-1/claim/",
		k.Claim("order-1", "3.1"):     "/grapnel/shop/run/f4/order-1/claim/3.1",
		k.Events("order-1"):           "/grapnel/shop/run/f4/order-1/event/",
		k.Event("order-1", "op/1"):    "/grapnel/shop/run/f4/order-1/event/op%2F1",
		k.FoldedEvents("order-1"):     "/grapnel/shop/run/f4/order-1/folded/",
		k.Folded("order-1", "op"):     "/grapnel/shop/run/f4/order-1/folded/op",
		k.Head("a/b"):                 "/grapnel/shop/run/00/a%2Fb/head",
		k.Records("order-1"):          "/grapnel/shop/record/f4/order-1/",
		k.Record("order-1", "3", 2):   "/grapnel/shop/record/f4/order-1/3.2",
		k.Ended("order-1", "op"):      "/grapnel/shop/ended/order-1/op",
		k.Workers():                   "/grapnel/shop/worker/",
		k.Worker("host.1"):            "/grapnel/shop/worker/host.1",
		k.Inboxes():                   "/grapnel/shop/inbox/",
		k.Inbox("host.1"):             "/grapnel/shop/inbox/host.1/",
		k.Coordinators():              "/grapnel/shop/coordinator/",
		k.Coordinator("c 1"):          "/grapnel/shop/coordinator/c%201",
		k.ShardOwners():               "/grapnel/shop/shard/",
		k.ShardOwner(255):             "/grapnel/shop/shard/ff",
		k.AllProcessed():              "/grapnel/shop/processed/",
		k.Processed(1):                "/grapnel/shop/processed/01",
		k.Barrier("c"):                "/grapnel/shop/run/barrier/c",
		k.Definitions():               "/grapnel/shop/definition/",
		k.Definition("abc123"):        "/grapnel/shop/definition/abc123",
		k.Corrupts():                  "/grapnel/shop/corrupt/",
		k.Corrupt(grapnel.RunID("é")): "/grapnel/shop/corrupt/%C3%A9",
	} {
		if got != want {
			t.Errorf("a key is %q; it was %q", got, want)
		}
	}
}

// TestShardsAreAsTheyEverWere has values computed by another program: 32-bit
// FNV-1a, its four bytes combined by exclusive or.
func TestShardsAreAsTheyEverWere(t *testing.T) {
	t.Parallel()
	for run, want := range map[grapnel.RunID]string{
		"":                                     "c5",
		"a":                                    "ed",
		"order-1":                              "f4",
		"order-2":                              "2b",
		"0190c5e0-7c3a-7000-8000-000000000001": "9d",
		"a/b":                                  "00",
		"é":                                    "aa",
		"run with spaces":                      "aa",
		grapnel.RunID(strings.Repeat("r", grapnel.MaxRunID)): "45",
	} {
		if got := store.ShardOf(run).String(); got != want {
			t.Errorf("run %q is in shard %s; it was in %s", run, got, want)
		}
	}
}

func TestShardsAreAboutEven(t *testing.T) {
	t.Parallel()
	const each = 200
	var counts [store.Shards]int
	for range each * store.Shards {
		counts[store.ShardOf(grapnel.NewRunID())]++
	}
	for shard, n := range counts {
		// Seven standard deviations.
		if n < each-100 || n > each+100 {
			t.Errorf("shard %02x has %d of %d runs", shard, n, each*store.Shards)
		}
	}
}

func TestKeysOfRunsComeApart(t *testing.T) {
	t.Parallel()
	k := keysOf(t, "default")
	rapid.Check(t, func(t *rapid.T) {
		run, id := hostile.Draw(t, "run"), hostile.Draw(t, "id")
		r := grapnel.RunID(run)
		for key, want := range map[string]store.RunKey{
			k.Head(r):                            {Kind: "head"},
			k.Claim(r, grapnel.NodeKey(id)):      {Kind: "claim", ID: id},
			k.Event(r, grapnel.OperationID(id)):  {Kind: "event", ID: id},
			k.Folded(r, grapnel.OperationID(id)): {Kind: "folded", ID: id},
		} {
			want.Run, want.Shard = r, store.ShardOf(r)
			if got, ok := k.ParseRun(key); !ok || got != want {
				t.Errorf("%q is taken apart into %+v, %t; want %+v", key, got, ok, want)
			}
		}
	})
}

func TestOtherKeysAreNotThoseOfRuns(t *testing.T) {
	t.Parallel()
	k, other := keysOf(t, "default"), keysOf(t, "other")
	run := k.Run("order-1")
	for _, key := range []string{
		"", "/", k.Root(), k.Runs(), run, run + "claim", run + "head/x", run + "claim/a/b", run + "claim/%2f", run + "claim/é",
		other.Head("order-1"), k.Worker("w"), k.Record("order-1", "1", 0), k.Barrier("c"), k.ShardOwner(1),
		strings.Replace(k.Head("order-1"), "/f4/", "/f5/", 1), k.ShardRuns(store.ShardOf("a/b")) + "a/b/head",
		k.ShardRuns(store.ShardOf("é")) + "é/head", strings.TrimPrefix(k.Head("order-1"), "/"),
		strings.TrimPrefix(k.Head("order-1"), k.Root()),
	} {
		if r, ok := k.ParseRun(key); ok {
			t.Errorf("%q is taken apart into %+v", key, r)
		}
	}
}

func FuzzParseRun(f *testing.F) {
	k := keysOf(f, "default")
	for _, key := range []string{k.Head("a"), k.Claim("a/b", "1"), k.Event("é", "op"), k.Barrier("c"), k.Runs(), "/grapnel/default/run/f4/order-1/claim/"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		r, ok := k.ParseRun(key)
		if !ok {
			return
		}
		again := k.Run(r.Run) + r.Kind
		if r.Kind != "head" {
			again += "/" + store.Escape(r.ID)
		}
		if again != key || r.Shard != store.ShardOf(r.Run) {
			t.Errorf("%q is taken apart into %+v, which is of %q", key, r, again)
		}
	})
}

func TestNamespacesOutsideTheRulesAreInvalid(t *testing.T) {
	t.Parallel()
	for _, ns := range []string{"", "a/b", "é", "a b", "%", strings.Repeat("a", grapnel.MaxNamespace+1)} {
		if _, err := store.NewKeys(ns); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("namespace %q: %v", ns, err)
		}
	}
	keysOf(t, strings.Repeat("a", grapnel.MaxNamespace))
}
