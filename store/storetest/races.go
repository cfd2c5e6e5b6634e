package storetest

import (
	"fmt"
	"strconv"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// raceCases are commits that run together and have to do with each other: their
// results must be those of some order of them.
var raceCases = []behaviour{
	{"puts of one key all count", racePuts},
	{"one of those that guard a key's absence wins", raceAbsent},
	{"one of those that guard a prefix's emptiness wins", racePrefixEmpty},
	{"an empty prefix is empty at the commit's revision", racePrefixEmptyAndPut},
	{"a key that exists is there at the commit's revision", raceExistsAndDelete},
	{"a key unchanged is so at the commit's revision", raceModIsAndPut},
	{"a creation is the one at the commit's revision", raceCreateIsAndRecreation},
	{"a deletion deletes what its commit read", raceDeleteAndPut},
	{"a deleted prefix is empty at the commit's revision", raceDeletePrefixAndPut},
	{"keys written together are read together", raceTornReads},
	{"counters lose no increment", raceCounters},
	{"random commits have an order", raceRandom},
	{"puts on a lease come before its end or fail", raceRevoke},
}

func racePuts(e *env) {
	for round := range rounds {
		from := e.revision() + 1
		out := e.race(racers, func(i int) store.Txn {
			return store.Txn{Then: []store.Op{store.Put(e.key("a"), fmt.Append(nil, round, i), 0)}}
		})
		events := e.history("a", from, e.put("a", ""))
		if len(events) != racers+1 {
			e.Errorf("%d puts in the history of %d", len(events), racers+1)
		}
		seen := map[grapnel.Revision]string{}
		for _, ev := range events {
			seen[ev.KV.Mod] = string(ev.KV.Value)
		}
		for i, o := range out {
			if got, want := seen[o.res.Revision], fmt.Sprint(round, i); got != want {
				e.Errorf("commit %d put %q at %d; history has %q there", i, want, o.res.Revision, got)
			}
		}
	}
}

// winners returns the indexes of the commits that succeeded.
func winners(out []outcome) (won []int) {
	for i, o := range out {
		if o.res.Succeeded {
			won = append(won, i)
		}
	}
	return won
}

func raceAbsent(e *env) {
	for round := range rounds {
		key := e.key(fmt.Sprintf("a/%d", round))
		out := e.race(racers, func(i int) store.Txn {
			return store.Txn{
				If:   []store.Guard{store.Absent(key)},
				Then: []store.Op{store.Put(key, strconv.AppendInt(nil, int64(i), 10), 0)},
				Else: []store.Op{store.Get(key)},
			}
		})
		won := winners(out)
		if len(won) != 1 {
			e.Fatalf("winners: %v", won)
		}
		winner := out[won[0]].res.Revision
		for i, o := range out {
			if o.res.Succeeded {
				continue
			}
			if r := o.res.Reads[0]; !r.Found || string(r.KV.Value) != strconv.Itoa(won[0]) || r.KV.Mod != winner || o.res.Revision < winner {
				e.Errorf("loser %d read %+v at %d; %d won at %d", i, r, o.res.Revision, won[0], winner)
			}
		}
	}
}

func racePrefixEmpty(e *env) {
	for round := range rounds {
		prefix := e.key(fmt.Sprintf("p/%d/", round))
		out := e.race(racers, func(i int) store.Txn {
			return store.Txn{
				If:   []store.Guard{store.PrefixEmpty(prefix)},
				Then: []store.Op{store.Put(prefix+fmt.Sprint(i), nil, 0)},
			}
		})
		if won := winners(out); len(won) != 1 {
			e.Fatalf("winners: %v", won)
		}
		if page := e.list(store.ListRequest{Prefix: prefix}); len(page.KVs) != 1 {
			e.Errorf("keys: %+v", page.KVs)
		}
	}
}

func racePrefixEmptyAndPut(e *env) {
	for round := range rounds {
		dir := fmt.Sprintf("p/%d/", round)
		out := e.race(racers, func(i int) store.Txn {
			if contested(round, i) {
				return store.Txn{Then: []store.Op{store.Put(e.key(dir+fmt.Sprint(i)), nil, 0)}}
			}
			return store.Txn{
				If:   []store.Guard{store.PrefixEmpty(e.key(dir))},
				Then: []store.Op{store.Put(e.key(fmt.Sprintf("own/%d/%d", round, i)), nil, 0)},
			}
		})
		for i, o := range out {
			if n := len(e.listAt(dir, o.res.Revision)); !contested(round, i) && o.res.Succeeded != (n == 0) {
				e.Errorf("commit %d found the prefix empty: %v; it had %d keys at %d", i, o.res.Succeeded, n, o.res.Revision)
			}
		}
	}
}

func raceExistsAndDelete(e *env) {
	for round := range rounds {
		e.put("a", "")
		out := e.race(racers, func(i int) store.Txn {
			switch {
			case contested(round, i):
				return store.Txn{Then: []store.Op{store.Delete(e.key("a"))}}
			case contested(round, i-1) && round%2 == 1:
				return store.Txn{Then: []store.Op{store.Put(e.key("a"), nil, 0)}}
			}
			return store.Txn{
				If:   []store.Guard{store.Exists(e.key("a"))},
				Then: []store.Op{store.Put(e.key(fmt.Sprintf("own/%d/%d", round, i)), nil, 0)},
			}
		})
		for i, o := range out {
			if len(out[i].txn.If) == 0 {
				continue
			}
			if n := len(e.listAt("a", o.res.Revision)); o.res.Succeeded != (n == 1) {
				e.Errorf("commit %d found the key: %v; there were %d at %d", i, o.res.Succeeded, n, o.res.Revision)
			}
		}
	}
}

// raceModIsAndPut has commits that put under the guard that another key has not
// changed, while others change it.
func raceModIsAndPut(e *env) {
	for round := range rounds {
		rev := e.put("a", "")
		out := e.race(racers, func(i int) store.Txn {
			if contested(round, i) {
				return store.Txn{Then: []store.Op{store.Put(e.key("a"), nil, 0)}}
			}
			return store.Txn{
				If:   []store.Guard{store.ModIs(e.key("a"), rev)},
				Then: []store.Op{store.Put(e.key(fmt.Sprintf("own/%d/%d", round, i)), nil, 0)},
			}
		})
		for i, o := range out {
			if contested(round, i) {
				continue
			}
			if kv := e.listAt("a", o.res.Revision)[0]; o.res.Succeeded != (kv.Mod == rev) {
				e.Errorf("commit %d at %d found the key as of %d: %v; it was as of %d", i, o.res.Revision, rev, o.res.Succeeded, kv.Mod)
			}
		}
	}
}

func raceCreateIsAndRecreation(e *env) {
	for round := range rounds {
		e.do(store.Delete(e.key("a")))
		created := e.put("a", "")
		out := e.race(racers, func(i int) store.Txn {
			switch {
			case contested(round, i):
				return store.Txn{Then: []store.Op{store.Delete(e.key("a"))}}
			case contested(round, i-1) && round%2 == 1:
				return store.Txn{Then: []store.Op{store.Put(e.key("a"), nil, 0)}}
			}
			return store.Txn{
				If:   []store.Guard{store.CreateIs(e.key("a"), created)},
				Then: []store.Op{store.Put(e.key(fmt.Sprintf("own/%d/%d", round, i)), nil, 0)},
			}
		})
		for i, o := range out {
			if len(o.txn.If) == 0 {
				continue
			}
			kvs := e.listAt("a", o.res.Revision)
			if held := len(kvs) == 1 && kvs[0].Create == created; o.res.Succeeded != held {
				e.Errorf("commit %d at %d found the first creation: %v; there was %+v", i, o.res.Revision, o.res.Succeeded, kvs)
			}
		}
	}
}

func raceDeleteAndPut(e *env) {
	for round := range rounds {
		from := e.revision() + 1
		out := e.race(racers, func(i int) store.Txn {
			if contested(round, i) {
				return store.Txn{Then: []store.Op{store.Put(e.key("a"), fmt.Append(nil, round, i), 0)}}
			}
			return store.Txn{Then: []store.Op{store.Get(e.key("a")), store.Delete(e.key("a"))}}
		})
		history := map[grapnel.Revision]store.Event{}
		for _, ev := range e.history("a", from, e.put("a", "")) {
			if _, twice := history[ev.KV.Mod]; twice {
				e.Errorf("two changes of one key at %d", ev.KV.Mod)
			}
			history[ev.KV.Mod] = ev
		}
		for i, o := range out {
			ev := history[o.res.Revision]
			if contested(round, i) {
				if ev.Deleted || string(ev.KV.Value) != fmt.Sprint(round, i) {
					e.Errorf("put %d at %d: history has %+v", i, o.res.Revision, ev)
				}
			} else if r := o.res.Reads[0]; r.Found && (!ev.Deleted || ev.Previous.Mod != r.KV.Mod) {
				e.Errorf("delete %d at %d of %+v: history has %+v", i, o.res.Revision, r.KV, ev)
			}
		}
	}
}

func raceDeletePrefixAndPut(e *env) {
	for round := range rounds {
		out := e.race(racers, func(i int) store.Txn {
			if !contested(round, i) {
				return store.Txn{Then: []store.Op{store.Put(e.key(fmt.Sprintf("d/%d", i)), nil, 0)}}
			}
			return store.Txn{Then: []store.Op{store.DeletePrefix(e.key("d/")), store.Put(e.key(fmt.Sprintf("deleted/%d", i)), nil, 0)}}
		})
		for i, o := range out {
			if contested(round, i) {
				e.equal("keys under a deleted prefix", e.short(e.listAt("d/", o.res.Revision)), []string(nil))
			} else if kvs := e.listAt(fmt.Sprintf("d/%d", i), o.res.Revision); len(kvs) == 0 || kvs[0].Mod != o.res.Revision {
				e.Errorf("put %d at %d: there was %+v", i, o.res.Revision, kvs)
			}
		}
	}
}

// raceTornReads has writers that always put two keys together, and readers that
// read both: some that write nothing, and some that write a key of their own.
func raceTornReads(e *env) {
	both := func(value string) []store.Op {
		return []store.Op{store.Put(e.key("pair/a"), []byte(value), 0), store.Put(e.key("pair/b"), []byte(value), 0)}
	}
	e.do(both("first")...)
	for round := range rounds {
		out := e.race(racers, func(i int) store.Txn {
			t := store.Txn{Then: []store.Op{store.Get(e.key("pair/a")), store.Get(e.key("pair/b"))}}
			switch {
			case contested(round, i):
				t = store.Txn{Then: both(fmt.Sprint(round, i))}
			case i%2 == 0:
				t.Then = append(t.Then, store.Put(e.key(fmt.Sprintf("own/%d/%d", round, i)), nil, 0))
			}
			return t
		})
		for i, o := range out {
			if contested(round, i) {
				continue
			}
			a, b := o.res.Reads[0].KV, o.res.Reads[1].KV
			if a.Mod != b.Mod || string(a.Value) != string(b.Value) {
				e.Errorf("commit %d at %d read %q of %d and %q of %d", i, o.res.Revision, a.Value, a.Mod, b.Value, b.Mod)
			}
			if then := e.listAt("pair/", o.res.Revision); then[0].Mod != a.Mod {
				e.Errorf("commit %d at %d read the pair as of %d; it was as of %d", i, o.res.Revision, a.Mod, then[0].Mod)
			}
		}
	}
}

func raceCounters(e *env) {
	const counters, each = 3, 8
	together(racers, func(i int) {
		key := e.key(fmt.Sprint("counter/", i%counters))
		rev, n := grapnel.Revision(0), 0
		for done := 0; done < each; {
			res, err := e.s.Commit(e.ctx, store.Txn{
				If:   []store.Guard{store.ModIs(key, rev)},
				Then: []store.Op{store.Put(key, fmt.Append(nil, n+1), 0)},
				Else: []store.Op{store.Get(key)},
			})
			if err != nil {
				e.Errorf("commit: %v", err)
				return
			}
			if res.Succeeded {
				done, n, rev = done+1, n+1, res.Revision
				continue
			}
			rev = res.Reads[0].KV.Mod
			if n, err = strconv.Atoi(string(res.Reads[0].KV.Value)); err != nil {
				e.Errorf("counter: %v", err)
				return
			}
		}
	})
	for c := range counters {
		want := 0
		for i := range racers {
			if i%counters == c {
				want += each
			}
		}
		kv, _ := e.get(fmt.Sprint("counter/", c))
		e.equal("a counter", string(kv.Value), strconv.Itoa(want))
	}
}
