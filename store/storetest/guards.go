package storetest

import (
	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

var guardCases = []behaviour{
	{"each kind holds exactly when it says", eachGuardKind},
	{"one that does not hold is enough", oneGuardFails},
	{"none at all hold", noGuards},
	{"they see the state before the commit", guardsSeeTheStateBefore},
	{"a prefix ends where its bytes do", prefixGuardsAreAboutBytes},
}

// landscape is a key in each state that a guard can meet.
type landscape struct {
	fresh            grapnel.Revision // of "fresh", written once
	created, updated grapnel.Revision // of "updated", written twice
	deleted          grapnel.Revision // the last write of "deleted"
	first, again     grapnel.Revision // of "again", deleted in between
}

func (e *env) landscape() landscape {
	e.Helper()
	l := landscape{fresh: e.put("fresh", "1"), created: e.put("updated", "1"), updated: e.put("updated", "2")}
	l.deleted = e.put("deleted", "1")
	l.first = e.put("again", "1")
	e.do(store.Delete(e.key("deleted")), store.Delete(e.key("again")))
	l.again = e.put("again", "2")
	return l
}

func eachGuardKind(e *env) {
	l := e.landscape()
	k := e.key
	for _, c := range []struct {
		name  string
		guard store.Guard
		holds bool
	}{
		{"absent: never was", store.Absent(k("none")), true},
		{"absent: deleted", store.Absent(k("deleted")), true},
		{"absent: there", store.Absent(k("fresh")), false},
		{"absent: there again", store.Absent(k("again")), false},
		{"exists: never was", store.Exists(k("none")), false},
		{"exists: deleted", store.Exists(k("deleted")), false},
		{"exists: there", store.Exists(k("updated")), true},
		{"mod is: the last write", store.ModIs(k("updated"), l.updated), true},
		{"mod is: an earlier write", store.ModIs(k("updated"), l.created), false},
		{"mod is: one to come", store.ModIs(k("updated"), l.again+100), false},
		{"mod is: the write before the deletion", store.ModIs(k("deleted"), l.deleted), false},
		{"mod is zero: never was", store.ModIs(k("none"), 0), true},
		{"mod is zero: deleted", store.ModIs(k("deleted"), 0), true},
		{"mod is zero: there", store.ModIs(k("fresh"), 0), false},
		{"create is: the creation", store.CreateIs(k("updated"), l.created), true},
		{"create is: a later write", store.CreateIs(k("updated"), l.updated), false},
		{"create is: the creation before the deletion", store.CreateIs(k("again"), l.first), false},
		{"create is: the new creation", store.CreateIs(k("again"), l.again), true},
		{"create is zero: never was", store.CreateIs(k("none"), 0), true},
		{"create is zero: deleted", store.CreateIs(k("deleted"), 0), true},
		{"create is zero: there", store.CreateIs(k("fresh"), 0), false},
		{"create is not: the creation", store.CreateIsNot(k("updated"), l.created), false},
		{"create is not: a later write", store.CreateIsNot(k("updated"), l.updated), true},
		{"create is not: the creation before the deletion", store.CreateIsNot(k("again"), l.first), true},
		{"create is not: never was", store.CreateIsNot(k("none"), l.fresh), true},
		{"create is not: deleted", store.CreateIsNot(k("deleted"), l.deleted), true},
		{"prefix empty: nothing below", store.PrefixEmpty(k("none/")), true},
		{"prefix empty: all deleted", store.PrefixEmpty(k("del")), true},
		{"prefix empty: a key below", store.PrefixEmpty(k("fre")), false},
		{"prefix empty: the key itself", store.PrefixEmpty(k("fresh")), false},
	} {
		res := e.commit(store.Txn{
			If:   []store.Guard{c.guard},
			Then: []store.Op{store.Put(k("branch"), []byte("then"), 0)},
			Else: []store.Op{store.Put(k("branch"), []byte("else"), 0)},
		})
		branch := map[bool]string{true: "then", false: "else"}
		if res.Succeeded != c.holds {
			e.Errorf("%s: succeeded is %t, want %t", c.name, res.Succeeded, c.holds)
		}
		if kv, _ := e.get("branch"); string(kv.Value) != branch[c.holds] || kv.Mod != res.Revision {
			e.Errorf("%s: %q was applied at %d; want %q at %d", c.name, kv.Value, kv.Mod, branch[c.holds], res.Revision)
		}
	}
}

func oneGuardFails(e *env) {
	l := e.landscape()
	good := []store.Guard{
		store.Exists(e.key("fresh")), store.ModIs(e.key("updated"), l.updated), store.PrefixEmpty(e.key("none/")),
	}
	ops := []store.Op{store.Put(e.key("x"), nil, 0)}
	if !e.commit(store.Txn{If: good, Then: ops}).Succeeded {
		e.Fatal("three guards that hold did not")
	}
	for i := range len(good) + 1 {
		var with []store.Guard
		with = append(with, good[:i]...)
		with = append(with, store.Absent(e.key("fresh")))
		with = append(with, good[i:]...)
		res := e.commit(store.Txn{If: with, Then: ops, Else: []store.Op{store.Get(e.key("fresh"))}})
		if res.Succeeded || !res.Reads[0].Found {
			e.Errorf("with a failing guard in place %d: %+v", i, res)
		}
	}
}

func noGuards(e *env) {
	res := e.commit(store.Txn{
		Then: []store.Op{store.Put(e.key("then"), nil, 0)},
		Else: []store.Op{store.Put(e.key("else"), nil, 0)},
	})
	if !res.Succeeded {
		e.Error("a commit without guards did not succeed")
	}
	e.equal("keys", e.names(""), []string{"then"})
}

func guardsSeeTheStateBefore(e *env) {
	res := e.commit(store.Txn{
		If:   []store.Guard{store.Absent(e.key("x")), store.PrefixEmpty(e.key("p/"))},
		Then: []store.Op{store.Put(e.key("x"), nil, 0), store.Put(e.key("p/1"), nil, 0)},
	})
	if !res.Succeeded {
		e.Error("the guards of a commit saw its own writes")
	}
}

func prefixGuardsAreAboutBytes(e *env) {
	e.put("ab", "")
	e.put("ac\xff\xff", "")
	for prefix, empty := range map[string]bool{"a": false, "ab": false, "ab/": true, "abc": true, "ac\xff": false, "ac\xff\xff\xff": true, "ad": true} {
		if got := e.commit(store.Txn{If: []store.Guard{store.PrefixEmpty(e.key(prefix))}}).Succeeded; got != empty {
			e.Errorf("prefix %q is empty: %t, want %t", prefix, got, empty)
		}
	}
}
