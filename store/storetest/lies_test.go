package storetest_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
)

// lie is a way for a store to break its promises. What is nil is honest.
type lie struct {
	// noticed is a case of the suite that must fail.
	noticed string

	txn    func(store.Txn) store.Txn
	result func(store.Txn, *store.Result)
	list   func(*store.ListRequest)
	page   func(*store.Page)
	watch  func(*store.WatchRequest)
	batch  func(*store.Batch) (drop bool)
	revoke func(context.Context, *memstore.Store, store.LeaseID) error
}

var lies = map[string]lie{
	"guards of kind ModIs always hold": {
		noticed: "guards/each_kind_holds",
		txn: func(t store.Txn) store.Txn {
			t.If = slices.DeleteFunc(slices.Clone(t.If), func(g store.Guard) bool { return g.Kind == store.GuardModIs })
			return t
		},
	},
	"only the first guard counts": {
		noticed: "guards/one_that_does_not_hold",
		txn: func(t store.Txn) store.Txn {
			t.If = t.If[:min(1, len(t.If))]
			return t
		},
	},
	"reads of Else are left out": {
		noticed: "commits/reads_line_up",
		result: func(_ store.Txn, r *store.Result) {
			if !r.Succeeded {
				r.Reads = nil
			}
		},
	},
	"revisions of results are one too high": {
		noticed: "commits/one_that_writes",
		result:  func(_ store.Txn, r *store.Result) { r.Revision++ },
	},
	"puts detach nothing": {
		noticed: "leases/a_put_without_a_lease_detaches",
		txn: func() func(store.Txn) store.Txn {
			had := map[string]store.LeaseID{}
			return func(t store.Txn) store.Txn {
				t.Then = slices.Clone(t.Then)
				for i, o := range t.Then {
					if o.Kind == store.OpPut && o.Lease == 0 {
						t.Then[i].Lease = had[o.Key]
					} else if o.Kind == store.OpPut {
						had[o.Key] = o.Lease
					}
				}
				return t
			}
		}(),
	},
	"pages are never followed by more": {
		noticed: "lists/pages_put_together",
		page:    func(p *store.Page) { p.More = false },
	},
	"listings are always of now": {
		noticed: "lists/a_past_revision",
		list:    func(r *store.ListRequest) { r.Revision = 0 },
	},
	"watches tell no previous pairs": {
		noticed: "watches/previous_pairs",
		watch:   func(r *store.WatchRequest) { r.Previous = false },
	},
	"watches tell no deletions": {
		noticed: "watches/events_say",
		batch: func(b *store.Batch) bool {
			b.Events = slices.DeleteFunc(slices.Clone(b.Events), func(ev store.Event) bool { return ev.Deleted })
			return false
		},
	},
	"watches leave out batches": {
		noticed: "watches/what_follows",
		batch: func() func(b *store.Batch) bool {
			n := 0
			return func(b *store.Batch) bool {
				n++
				return len(b.Events) > 0 && n%5 == 0
			}
		}(),
	},
	"watches end without saying why": {
		noticed: "watches/it_ends_with_the_cause",
		batch:   func(b *store.Batch) bool { return b.Err != nil },
	},
	"revocation forgets the keys": {
		noticed: "leases/revoking_deletes_all",
		revoke: func(ctx context.Context, s *memstore.Store, id store.LeaseID) error {
			page, err := s.List(ctx, store.ListRequest{Prefix: "/"})
			if err != nil {
				return err
			}
			for _, kv := range page.KVs {
				if kv.Lease != id {
					continue
				}
				if _, err := s.Commit(ctx, store.Txn{Then: []store.Op{store.Put(kv.Key, kv.Value, 0)}}); err != nil {
					return err
				}
			}
			return s.Revoke(ctx, id)
		},
	},
}

// liar is a store that lies.
type liar struct {
	*memstore.Store
	lie lie
}

func (l *liar) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	sent := t
	if l.lie.txn != nil {
		sent = l.lie.txn(t)
	}
	res, err := l.Store.Commit(ctx, sent)
	if err == nil && l.lie.result != nil {
		l.lie.result(t, &res)
	}
	return res, err
}

func (l *liar) List(ctx context.Context, r store.ListRequest) (store.Page, error) {
	if l.lie.list != nil {
		l.lie.list(&r)
	}
	page, err := l.Store.List(ctx, r)
	if err == nil && l.lie.page != nil {
		l.lie.page(&page)
	}
	return page, err
}

func (l *liar) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	if l.lie.watch != nil {
		l.lie.watch(&r)
	}
	in := l.Store.Watch(ctx, r)
	if l.lie.batch == nil {
		return in
	}
	out := make(chan store.Batch)
	go func() {
		defer close(out)
		for b := range in {
			if l.lie.batch(&b) {
				continue
			}
			select {
			case out <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (l *liar) Revoke(ctx context.Context, id store.LeaseID) error {
	if l.lie.revoke != nil {
		return l.lie.revoke(ctx, l.Store, id)
	}
	return l.Store.Revoke(ctx, id)
}

func TestLiesAreNoticed(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(lies)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lies[name]
			if out := tell(t, name, "suite/"+l.noticed); !strings.Contains(out, "--- FAIL: TestLyingStore/suite/"+l.noticed) {
				t.Errorf("the suite did not notice:\n%s", out)
			}
			out := tell(t, name, "differential")
			if !strings.Contains(out, "is answered differently") {
				t.Errorf("the comparison did not notice:\n%s", out)
			}
			if want := "GRAPNEL_STORETEST_SEED=1 go test -run '^TestLyingStore/differential$'"; !strings.Contains(out, want) {
				t.Errorf("the failure does not say how to repeat it by %s:\n%s", want, out)
			}
		})
	}
}

// tell runs a part of TestLyingStore in a process of its own and returns its
// output.
func tell(t *testing.T, lie, part string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run", "^TestLyingStore$/"+part)
	cmd.Env = append(os.Environ(), lieVariable+"="+lie)
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "no tests to run") {
		t.Fatalf("%s names no test", part)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s takes too long: %v", part, ctx.Err())
	}
	return fmt.Sprintf("%s\n(%v)", out, err)
}
