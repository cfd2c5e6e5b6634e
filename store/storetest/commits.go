package storetest

import (
	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

var commitCases = []behaviour{
	{"one that writes raises the revision by one", writesRaiseTheRevision},
	{"one that changes nothing keeps the revision", nothingKeepsTheRevision},
	{"a key keeps its creation until it is deleted", creationSurvivesUpdates},
	{"reads line up with the operations of the branch", readsLineUp},
	{"a get sees the writes before it and not those after it", getsSeeEarlierWrites},
	{"the first of a prefix is the smallest key", getFirstIsTheSmallest},
	{"a prefix delete deletes that prefix and no more", deletePrefixHasWalls},
	{"both branches may write the same key", branchesMayShareKeys},
	{"values are bytes", valuesAreBytes},
	{"a key that is not there is not found", absentIsNotFound},
}

func writesRaiseTheRevision(e *env) {
	before := e.revision()
	res := e.do(store.Put(e.key("a"), []byte("1"), 0), store.Put(e.key("b"), []byte("2"), 0), store.Delete(e.key("c")))
	if res.Revision != before+1 {
		e.Errorf("revision %d after %d", res.Revision, before)
	}
	for _, name := range []string{"a", "b"} {
		if kv, ok := e.get(name); !ok || kv.Create != res.Revision || kv.Mod != res.Revision {
			e.Errorf("%s is %+v after a commit at %d", name, kv, res.Revision)
		}
	}
	if gone := e.do(store.Delete(e.key("a"))); gone.Revision != before+2 {
		e.Errorf("a deletion made revision %d after %d", gone.Revision, before+1)
	}
	if _, ok := e.get("a"); ok {
		e.Error("a is still there")
	}
	if now := e.revision(); now != before+2 {
		e.Errorf("the store is at %d after two commits from %d", now, before)
	}
}

func nothingKeepsTheRevision(e *env) {
	rev := e.put("a", "1")
	for name, t := range map[string]store.Txn{
		"empty":                     {},
		"a get":                     {Then: []store.Op{store.Get(e.key("a"))}},
		"absent key deleted":        {Then: []store.Op{store.Delete(e.key("none"))}},
		"empty prefix deleted":      {Then: []store.Op{store.DeletePrefix(e.key("none/"))}},
		"failed guard without Else": {If: []store.Guard{store.Absent(e.key("a"))}, Then: []store.Op{store.Put(e.key("b"), nil, 0)}},
		"failed guard with a get":   {If: []store.Guard{store.Absent(e.key("a"))}, Then: []store.Op{store.Put(e.key("b"), nil, 0)}, Else: []store.Op{store.Get(e.key("a"))}},
	} {
		if got := e.commit(t).Revision; got != rev {
			e.Errorf("%s: revision %d, want %d as before", name, got, rev)
		}
	}
	e.equal("keys", e.names(""), []string{"a"})
}

func creationSurvivesUpdates(e *env) {
	created := e.put("a", "1")
	updated := e.put("a", "2")
	kv, _ := e.get("a")
	e.equal("an updated key", kv, store.KV{Key: e.key("a"), Value: []byte("2"), Create: created, Mod: updated})
	if same := e.put("a", "2"); same != updated+1 {
		e.Errorf("putting the same value again made revision %d after %d", same, updated)
	}
	e.do(store.Delete(e.key("a")))
	again := e.put("a", "3")
	kv, _ = e.get("a")
	e.equal("a key created again", kv, store.KV{Key: e.key("a"), Value: []byte("3"), Create: again, Mod: again})
}

func readsLineUp(e *env) {
	a, b := e.put("a", "1"), e.put("p/b", "2")
	for _, holds := range []bool{true, false} {
		guard := store.Exists(e.key("a"))
		if !holds {
			guard = store.Absent(e.key("a"))
		}
		branch := []store.Op{
			store.Put(e.key("x"), []byte("x"), 0), store.Get(e.key("a")), store.Delete(e.key("none")),
			store.Get(e.key("none")), store.GetFirst(e.key("p/")), store.DeletePrefix(e.key("q/")), store.Get(e.key("p/b")),
		}
		other := []store.Op{store.Get(e.key("a"))}
		t := store.Txn{If: []store.Guard{guard}, Then: branch, Else: other}
		if !holds {
			t.Then, t.Else = other, branch
		}
		res := e.commit(t)
		if res.Succeeded != holds || len(res.Reads) != len(branch) {
			e.Fatalf("guard %t: %+v", holds, res)
		}
		wantA := store.Read{Found: true, KV: store.KV{Key: e.key("a"), Value: []byte("1"), Create: a, Mod: a}}
		wantB := store.Read{Found: true, KV: store.KV{Key: e.key("p/b"), Value: []byte("2"), Create: b, Mod: b}}
		e.equal("get", res.Reads[1], wantA)
		e.equal("get of an absent key", res.Reads[3], store.Read{})
		e.equal("first of the prefix", res.Reads[4], wantB)
		e.equal("last get", res.Reads[6], wantB)
	}
}

func getsSeeEarlierWrites(e *env) {
	e.put("a", "old")
	created := e.put("b", "old")
	res := e.do(
		store.Get(e.key("b")), store.Put(e.key("b"), []byte("new"), 0), store.Get(e.key("b")),
		store.Get(e.key("a")), store.Delete(e.key("a")), store.Get(e.key("a")),
		store.GetFirst(e.key("c/")), store.Put(e.key("c/1"), []byte("c"), 0), store.GetFirst(e.key("c/")),
	)
	e.equal("before the put", string(res.Reads[0].KV.Value), "old")
	e.equal("after the put", res.Reads[2], store.Read{Found: true, KV: store.KV{
		Key: e.key("b"), Value: []byte("new"), Create: created, Mod: res.Revision,
	}})
	e.equal("before the deletion", res.Reads[3].Found, true)
	e.equal("after the deletion", res.Reads[5], store.Read{})
	e.equal("first before there was one", res.Reads[6], store.Read{})
	e.equal("first after it was put", res.Reads[8], store.Read{Found: true, KV: store.KV{
		Key: e.key("c/1"), Value: []byte("c"), Create: res.Revision, Mod: res.Revision,
	}})
}

func getFirstIsTheSmallest(e *env) {
	first := func(prefix string) string {
		r := e.do(store.GetFirst(e.key(prefix))).Reads[0]
		if !r.Found {
			return ""
		}
		return e.short([]store.KV{r.KV})[0]
	}
	for _, name := range []string{"p/20", "p/10", "p/3", "o", "p", "p0"} {
		e.put(name, name)
	}
	e.equal("first", first("p/"), "p/10")
	e.do(store.Delete(e.key("p/10")))
	e.equal("first after a deletion", first("p/"), "p/20")
	e.equal("first of a prefix that is a key", first("p"), "p")
	e.equal("first of nothing", first("q"), "")
}

func deletePrefixHasWalls(e *env) {
	for _, name := range []string{"a", "a/1", "a/2", "a/2/x", "a0", "a\xff", "b"} {
		e.put(name, "")
	}
	before := e.revision()
	res := e.do(store.DeletePrefix(e.key("a/")), store.Get(e.key("a/2")))
	if res.Revision != before+1 || res.Reads[1].Found {
		e.Errorf("%+v after %d", res, before)
	}
	e.equal("what is left", e.names(""), []string{"a", "a0", "a\xff", "b"})
	e.do(store.DeletePrefix(e.key("a\xff")))
	e.equal("what is left then", e.names(""), []string{"a", "a0", "b"})
}

func branchesMayShareKeys(e *env) {
	for _, want := range []string{"then", "else"} {
		e.commit(store.Txn{
			If:   []store.Guard{store.Absent(e.key("a"))},
			Then: []store.Op{store.Put(e.key("a"), []byte("then"), 0)},
			Else: []store.Op{store.Put(e.key("a"), []byte("else"), 0)},
		})
		kv, _ := e.get("a")
		e.equal("value", string(kv.Value), want)
	}
}

func valuesAreBytes(e *env) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, value := range map[string][]byte{"nil": nil, "empty": {}, "bytes": all, "large": make([]byte, 1<<20)} {
		e.do(store.Put(e.key(name), value, 0))
		if kv, ok := e.get(name); !ok || string(kv.Value) != string(value) {
			e.Errorf("%s: found %t, %d bytes that are not those written", name, ok, len(kv.Value))
		}
	}
}

func absentIsNotFound(e *env) {
	_, err := e.s.Get(e.ctx, e.key("never"))
	e.is("a key that never was", err, grapnel.ErrNotFound)
	e.put("a", "")
	e.do(store.Delete(e.key("a")))
	_, err = e.s.Get(e.ctx, e.key("a"))
	e.is("a deleted key", err, grapnel.ErrNotFound)
}
