package storetest

import (
	"context"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// outcome is what a commit that ran together with others was told.
type outcome struct {
	txn store.Txn
	res store.Result
	err error
}

// race commits n transactions at once, all of which must be taken. It does not
// care which of their guards held.
func (e *env) race(n int, txn func(i int) store.Txn) []outcome {
	e.Helper()
	out := make([]outcome, n)
	for i := range out {
		out[i].txn = txn(i)
	}
	together(n, func(i int) { out[i].res, out[i].err = e.s.Commit(e.ctx, out[i].txn) })
	for i, o := range out {
		if o.err != nil {
			e.Fatalf("commit %d: %v", i, o.err)
		}
	}
	return out
}

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
