package storetest

import (
	"context"
	"errors"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

var refusalCases = []behaviour{
	{"a transaction that no store could apply is invalid", invalidTxns},
	{"a value that is too large is too large", tooLarge},
	{"more operations than a commit can have are too large", tooManyOps},
	{"as many operations as a commit can have are applied", exactlyMaxOps},
	{"a caller that has given up is told so", cancelledCallers},
}

// refused fails the case unless t is refused with want and leaves nothing.
func (e *env) refused(what string, t store.Txn, want error) {
	e.Helper()
	before := e.revision()
	_, err := e.s.Commit(e.ctx, t)
	e.is(what, err, want)
	if errors.Is(err, grapnel.ErrUnknown) {
		e.Errorf("%s: a refusal is no unknown outcome: %v", what, err)
	}
	if after := e.revision(); after != before {
		e.Errorf("%s: went from revision %d to %d", what, before, after)
	}
}

func invalidTxns(e *env) {
	k := e.key
	put := store.Put(k("a"), nil, 0)
	for name, t := range map[string]store.Txn{
		"a guard without a key":       {If: []store.Guard{store.Absent("")}, Then: []store.Op{put}},
		"a guard of no kind":          {If: []store.Guard{{Key: k("a")}}, Then: []store.Op{put}},
		"a put without a key":         {Then: []store.Op{put, store.Put("", nil, 0)}},
		"a delete of all":             {Then: []store.Op{store.DeletePrefix("")}},
		"an operation of no kind":     {Then: []store.Op{put, {Key: k("b")}}},
		"no key in the other branch":  {Then: []store.Op{put}, Else: []store.Op{store.Get("")}},
		"a key put twice":             {Then: []store.Op{put, put}},
		"a key put and deleted":       {Then: []store.Op{put, store.Delete(k("a"))}},
		"a key put and range deleted": {Then: []store.Op{store.DeletePrefix(e.root), put}},
		"a prefix deleted twice":      {Then: []store.Op{store.DeletePrefix(k("a/")), store.DeletePrefix(e.root)}},
		"a key put twice by Else":     {Then: []store.Op{put}, Else: []store.Op{put, put}},
	} {
		e.refused(name, t, grapnel.ErrInvalid)
	}
}

func tooLarge(e *env) {
	large := store.Put(e.key("a"), make([]byte, e.o.OversizedValue), 0)
	e.refused("a large value", store.Txn{Then: []store.Op{large}}, grapnel.ErrTooLarge)
	e.refused("a large value in the branch that is not taken", store.Txn{
		If: []store.Guard{store.Absent(e.key("a"))}, Then: []store.Op{store.Put(e.key("b"), nil, 0)}, Else: []store.Op{large},
	}, grapnel.ErrTooLarge)
}

// puts returns n puts of different keys.
func (e *env) puts(prefix string, n int) []store.Op {
	ops := make([]store.Op, n)
	for i := range ops {
		ops[i] = store.Put(e.key(prefix+number(i)), nil, 0)
	}
	return ops
}

func tooManyOps(e *env) {
	n := e.o.MaxOps + 1
	e.refused("too many operations", store.Txn{Then: e.puts("a", n)}, grapnel.ErrTooLarge)
	e.refused("too many in the other branch", store.Txn{Then: e.puts("a", 1), Else: e.puts("b", n)}, grapnel.ErrTooLarge)
	guards := make([]store.Guard, n)
	for i := range guards {
		guards[i] = store.Absent(e.key(number(i)))
	}
	e.refused("too many guards", store.Txn{If: guards, Then: e.puts("a", 1)}, grapnel.ErrTooLarge)
}

func exactlyMaxOps(e *env) {
	guards := make([]store.Guard, e.o.MaxOps)
	for i := range guards {
		guards[i] = store.Absent(e.key(number(i)))
	}
	t := store.Txn{If: guards, Then: e.puts("", e.o.MaxOps), Else: e.puts("else", e.o.MaxOps)}
	if !e.commit(t).Succeeded || len(e.names("")) != e.o.MaxOps {
		e.Errorf("%d keys of %d", len(e.names("")), e.o.MaxOps)
	}
}

func cancelledCallers(e *env) {
	rev := e.put("a", "1")
	lease := e.grant()
	ctx, cancel := context.WithCancelCause(e.ctx)
	cancel(errors.New("had enough"))
	_, err := e.s.Get(ctx, e.key("a"))
	e.is("get", err, context.Canceled)
	_, err = e.s.List(ctx, store.ListRequest{Prefix: e.root})
	e.is("list", err, context.Canceled)
	_, err = e.s.Commit(ctx, store.Txn{Then: []store.Op{store.Put(e.key("b"), nil, 0)}})
	e.is("commit", err, context.Canceled)
	_, err = e.s.Commit(ctx, store.Txn{Then: []store.Op{store.Get(e.key("a"))}})
	e.is("commit that only reads", err, context.Canceled)
	_, err = e.s.Grant(ctx, e.o.TTL)
	e.is("grant", err, context.Canceled)
	_, err = e.s.KeepAlive(ctx, lease)
	e.is("keepalive", err, context.Canceled)
	e.is("revoke", e.s.Revoke(ctx, lease), context.Canceled)
	if now := e.revision(); now != rev {
		e.Errorf("calls that were given up before they began went from revision %d to %d", rev, now)
	}
	if _, err := e.s.KeepAlive(e.ctx, lease); err != nil {
		e.Errorf("keepalive of a lease whose revocation was given up: %v", err)
	}
}
