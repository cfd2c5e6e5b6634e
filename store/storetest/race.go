package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// outcome is what a commit that ran together with others was told.
type outcome struct {
	txn store.Txn
	res store.Result
	err error
}

// Sizes of the races.
const (
	racers  = 32
	rounds  = 10
	ballast = 8
)

// race commits n transactions at once, all of which must be taken. It does not
// care which of their guards held. They go in no particular order, among
// commits of keys outside of the case's root: those keep a store that lets
// commits share requests busy, so that others wait and share one.
func (e *env) race(n int, txn func(i int) store.Txn) []outcome {
	e.Helper()
	out := make([]outcome, n+ballast)
	for i := range n {
		out[i].txn = txn(i)
	}
	for i := n; i < len(out); i++ {
		out[i].txn.Then = []store.Op{store.Put(fmt.Sprintf("%s.ballast/%d", strings.TrimSuffix(e.root, "/"), i), nil, 0)}
	}
	order := rand.Perm(len(out))
	together(len(out), func(i int) {
		o := &out[order[i]]
		o.res, o.err = e.s.Commit(e.ctx, o.txn)
	})
	for i, o := range out {
		if o.err != nil {
			e.Fatalf("commit %d: %v", i, o.err)
		}
	}
	return out[:n]
}

// contested reports whether the i-th commit of a round is one of those that
// write what the others read: in every other round one, else every eighth.
// Etcd refuses a request that puts a key twice, which keeps several of them from
// sharing one by mistake; a single one has no such protection.
func contested(round, i int) bool { return i == 0 || round%2 == 1 && i%8 == 0 }

// listAt returns what begins with the name as it was at a revision; zero means
// now.
func (e *env) listAt(name string, rev grapnel.Revision) []store.KV {
	e.Helper()
	return e.list(store.ListRequest{Prefix: e.key(name), Revision: rev}).KVs
}

// history returns the changes of the keys that begin with the name, with what
// was before them. There must be one at revision to.
func (e *env) history(name string, from, to grapnel.Revision) []store.Event {
	e.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var got []store.Event
	for b := range e.s.Watch(ctx, store.WatchRequest{Prefix: e.key(name), From: from, Previous: true}) {
		if b.Err != nil {
			e.Fatalf("watch from %d to %d: %v", from, to, b.Err)
		}
		for _, ev := range b.Events {
			if ev.KV.Mod <= to {
				got = append(got, ev)
			}
		}
		if b.Revision >= to {
			return got
		}
	}
	e.Fatal("the watch was closed without saying why")
	return nil
}
