package storetest

import (
	"errors"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

var listCases = []behaviour{
	{"keys come in order and within the prefix", listInOrder},
	{"pages put together are the whole", listPages},
	{"pages of one revision agree while keys change", listPagesOfOneRevision},
	{"after a key begins behind it, there or not", listAfter},
	{"a past revision is as it was", listThePast},
	{"keys only leaves values and leases out", listKeysOnly},
	{"no limit means the default page", listDefaultPage},
	{"what was compacted is compacted", listCompacted},
	{"a revision that is to come is invalid", listTheFuture},
}

func listInOrder(e *env) {
	for _, name := range []string{"p/b", "p/a/x", "q", "p/a", "p", "p/", "o", "p0"} {
		e.put(name, name)
	}
	page := e.list(store.ListRequest{Prefix: e.key("p/")})
	e.equal("keys", e.short(page.KVs), []string{"p/", "p/a", "p/a/x", "p/b"})
	if page.More || page.Revision != e.revision() {
		e.Errorf("more is %t and the revision %d in a whole listing at %d", page.More, page.Revision, e.revision())
	}
	for _, kv := range page.KVs {
		got, _ := e.get(kv.Key[len(e.root):])
		e.equal("a listed pair", kv, got)
	}
	e.equal("an empty listing", e.list(store.ListRequest{Prefix: e.key("none/")}).KVs, []store.KV(nil))
}

func listPages(e *env) {
	e.do(e.puts("k", 10)...)
	whole := e.names("k")
	for limit := 1; limit <= 11; limit++ {
		var got []string
		r := store.ListRequest{Prefix: e.key("k"), Limit: limit}
		for pages := 1; ; pages++ {
			page := e.list(r)
			got = append(got, e.short(page.KVs)...)
			if len(page.KVs) > limit || page.More != (len(got) < len(whole)) || pages > len(whole) {
				e.Fatalf("limit %d, page %d: %d keys, more is %t", limit, pages, len(page.KVs), page.More)
			}
			if !page.More {
				break
			}
			r.After, r.Revision = page.KVs[len(page.KVs)-1].Key, page.Revision
		}
		e.equal("the pages together", got, whole)
	}
}

func listPagesOfOneRevision(e *env) {
	e.do(e.puts("k", 6)...)
	whole := e.names("k")
	r := store.ListRequest{Prefix: e.key("k"), Limit: 2}
	page := e.list(r)
	got := e.short(page.KVs)
	for page.More {
		e.do(store.Put(e.key("k00000")+"x"+number(len(got)), nil, 0), store.Delete(e.key("k"+number(len(got)))))
		r.After, r.Revision = page.KVs[len(page.KVs)-1].Key, page.Revision
		first := page.Revision
		page = e.list(r)
		if page.Revision != first {
			e.Errorf("a page at revision %d says it is at %d", first, page.Revision)
		}
		got = append(got, e.short(page.KVs)...)
	}
	e.equal("the pages together", got, whole)
}

func listAfter(e *env) {
	for _, name := range []string{"k/1", "k/2", "k/3"} {
		e.put(name, "")
	}
	for after, want := range map[string][]string{
		"k/1": {"k/2", "k/3"}, "k/11": {"k/2", "k/3"}, "k/3": {}, "z": {}, "a": {"k/1", "k/2", "k/3"}, "k/": {"k/1", "k/2", "k/3"},
	} {
		got := e.short(e.list(store.ListRequest{Prefix: e.key("k/"), After: e.key(after)}).KVs)
		e.equal("after "+after, got, want)
	}
}

func listThePast(e *env) {
	one := e.put("a", "1")
	two := e.put("a", "2")
	three := e.put("b", "3")
	four := e.do(store.Delete(e.key("a"))).Revision
	five := e.put("a", "5")
	a := func(v string, create, mod grapnel.Revision) store.KV {
		return store.KV{Key: e.key("a"), Value: []byte(v), Create: create, Mod: mod}
	}
	b := store.KV{Key: e.key("b"), Value: []byte("3"), Create: three, Mod: three}
	for rev, want := range map[grapnel.Revision][]store.KV{
		one: {a("1", one, one)}, two: {a("2", one, two)}, three: {a("2", one, two), b}, four: {b}, five: {a("5", five, five), b},
	} {
		page := e.list(store.ListRequest{Prefix: e.root, Revision: rev})
		e.equal("a past listing", page, store.Page{KVs: want, Revision: rev})
	}
}

func listKeysOnly(e *env) {
	rev := e.do(e.bound(e.grant(), "a")...).Revision
	page := e.list(store.ListRequest{Prefix: e.root, KeysOnly: true})
	e.equal("pairs", page.KVs, []store.KV{{Key: e.key("a"), Create: rev, Mod: rev}})
}

func listDefaultPage(e *env) {
	for n := 0; n <= store.DefaultPage; n += e.o.MaxOps {
		e.do(e.puts("k"+number(n), min(e.o.MaxOps, store.DefaultPage+1-n))...)
	}
	page := e.list(store.ListRequest{Prefix: e.root})
	if len(page.KVs) != store.DefaultPage || !page.More {
		e.Errorf("%d keys, more is %t", len(page.KVs), page.More)
	}
}

func listCompacted(e *env) {
	old := e.put("a", "1")
	e.put("gone", "1")
	e.do(store.Delete(e.key("gone")))
	kept := e.put("a", "2")
	now := e.put("a", "3")
	e.compact(kept)
	_, err := e.s.List(e.ctx, store.ListRequest{Prefix: e.root, Revision: old})
	e.is("a compacted revision", err, store.ErrCompacted)
	if ce, ok := errors.AsType[*store.CompactedError](err); !ok {
		e.Errorf("the error is a %T", err)
	} else if ce.Revision != 0 && ce.Revision != kept {
		e.Errorf("the error names revision %d; %d is the oldest one kept", ce.Revision, kept)
	}
	page := e.list(store.ListRequest{Prefix: e.root, Revision: kept})
	e.equal("the oldest revision kept", page.KVs, []store.KV{{Key: e.key("a"), Value: []byte("2"), Create: old, Mod: kept}})
	page = e.list(store.ListRequest{Prefix: e.root})
	e.equal("now", page, store.Page{KVs: []store.KV{{Key: e.key("a"), Value: []byte("3"), Create: old, Mod: now}}, Revision: now})
}

func listTheFuture(e *env) {
	rev := e.put("a", "1")
	_, err := e.s.List(e.ctx, store.ListRequest{Prefix: e.root, Revision: rev + 1000})
	e.is("a revision that is to come", err, grapnel.ErrInvalid)
}
