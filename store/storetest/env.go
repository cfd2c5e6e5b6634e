package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// env is what a case works with: a store, and keys that nobody else uses.
type env struct {
	*testing.T
	s    store.Store
	o    Options
	ctx  context.Context
	root string
}

func newEnv(t *testing.T, s store.Store, o Options) *env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), o.Timeout)
	t.Cleanup(cancel)
	return &env{T: t, s: s, o: o, ctx: ctx, root: "/storetest/" + string(grapnel.NewRunID()) + "/"}
}

// key returns a key of this case.
func (e *env) key(name string) string { return e.root + name }

// commit commits what must succeed or fail by its guards alone.
func (e *env) commit(t store.Txn) store.Result {
	e.Helper()
	res, err := e.s.Commit(e.ctx, t)
	if err != nil {
		e.Fatalf("commit: %v", err)
	}
	if want := len(t.Then); res.Succeeded && len(res.Reads) != want {
		e.Fatalf("%d reads for the %d operations of Then", len(res.Reads), want)
	}
	if want := len(t.Else); !res.Succeeded && len(res.Reads) != want {
		e.Fatalf("%d reads for the %d operations of Else", len(res.Reads), want)
	}
	return res
}

// do commits operations without guards.
func (e *env) do(ops ...store.Op) store.Result {
	e.Helper()
	res := e.commit(store.Txn{Then: ops})
	if !res.Succeeded {
		e.Fatal("a commit without guards did not succeed")
	}
	return res
}

// put writes a key of this case and returns the revision that made.
func (e *env) put(name, value string) grapnel.Revision {
	e.Helper()
	return e.do(store.Put(e.key(name), []byte(value), 0)).Revision
}

// get returns a key of this case, if it is there.
func (e *env) get(name string) (store.KV, bool) {
	e.Helper()
	kv, err := e.s.Get(e.ctx, e.key(name))
	if errors.Is(err, grapnel.ErrNotFound) {
		return store.KV{}, false
	}
	if err != nil {
		e.Fatalf("get %s: %v", name, err)
	}
	return kv, true
}

// list returns a page.
func (e *env) list(r store.ListRequest) store.Page {
	e.Helper()
	page, err := e.s.List(e.ctx, r)
	if err != nil {
		e.Fatalf("list %+v: %v", r, err)
	}
	return page
}

// names returns the keys of this case that begin with prefix, without the root.
func (e *env) names(prefix string) []string {
	e.Helper()
	return e.short(e.list(store.ListRequest{Prefix: e.key(prefix)}).KVs)
}

// short returns the keys of pairs, without the root.
func (e *env) short(kvs []store.KV) []string {
	names := make([]string, len(kvs))
	for i, kv := range kvs {
		names[i] = strings.TrimPrefix(kv.Key, e.root)
	}
	return names
}

// revision returns the store's revision.
func (e *env) revision() grapnel.Revision {
	e.Helper()
	return e.list(store.ListRequest{Prefix: e.root, Limit: 1}).Revision
}

func (e *env) grant() store.LeaseID {
	e.Helper()
	l, err := e.s.Grant(e.ctx, 100*e.o.TTL)
	if err != nil {
		e.Fatalf("grant: %v", err)
	}
	return l.ID
}

func (e *env) revoke(id store.LeaseID) {
	e.Helper()
	if err := e.s.Revoke(e.ctx, id); err != nil {
		e.Fatalf("revoke: %v", err)
	}
}

// deadLease returns a lease that was revoked.
func (e *env) deadLease() store.LeaseID {
	e.Helper()
	id := e.grant()
	e.revoke(id)
	return id
}

// compact forgets history, or skips the case if it cannot.
func (e *env) compact(rev grapnel.Revision) {
	e.Helper()
	if e.o.Compact == nil {
		e.Skip("Options.Compact is not set")
	}
	if err := e.o.Compact(e.ctx, e.s, rev); err != nil {
		e.Fatalf("compact at %d: %v", rev, err)
	}
}

// is fails the case unless err wraps want.
func (e *env) is(what string, err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("%s: error %v, want one that wraps %q", what, err, want)
	}
}

// equal fails the case unless both are equal; empty and nil slices are.
func (e *env) equal(what string, got, want any) {
	e.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		e.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// together calls f n times at once, as nearly as possible, and waits.
func together(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// number formats n so that keys sort by it.
func number(n int) string { return fmt.Sprintf("%06d", n) }
