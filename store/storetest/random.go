package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// raceRandom runs random commits on a few keys together and checks that each did
// what it would have done alone, on the state of the revision before its own, or
// of its own if it wrote nothing; and that nothing else happened.
func raceRandom(e *env) {
	names := []string{"a", "b", "d/1", "d/2", "e/f/1", "e/g"}
	prefixes := []string{"d/", "e/", "e/f/"}
	seed := rand.Uint64()
	for round := range 3 * rounds {
		// Few at a time as well as many: see contested.
		n := 2 + round
		start := e.list(store.ListRequest{Prefix: e.root})
		out := e.race(n, func(i int) store.Txn {
			rng := rand.New(rand.NewPCG(seed, uint64(round*1000+i)))
			return e.randomTxn(rng, fmt.Sprintf("marks/%d/%d", round, i), names, prefixes, start.KVs)
		})
		end := e.put("z", "")
		history := map[grapnel.Revision][]store.Event{}
		for _, ev := range e.history("", start.Revision+1, end) {
			history[ev.KV.Mod] = append(history[ev.KV.Mod], ev)
		}
		delete(history, end)
		states := map[grapnel.Revision]model{start.Revision: modelOf(start.KVs)}
		for rev := start.Revision + 1; rev < end; rev++ {
			states[rev] = states[rev-1].after(history[rev])
		}
		for i, o := range out {
			if err := explain(o, states, history); err != nil {
				e.Errorf("commit %d: %v\n%+v\n%+v", i, err, o.txn, o.res)
			}
		}
		for rev, left := range history {
			if len(left) > 0 {
				e.Errorf("changes of revision %d that no commit made: %+v", rev, left)
			}
		}
		if e.Failed() {
			e.Fatalf("the transactions, though not their timing, follow from the seed %d", seed)
		}
	}
}

// randomTxn returns a transaction whose branches either only read, or put mark,
// which no other one does.
func (e *env) randomTxn(rng *rand.Rand, mark string, names, prefixes []string, then []store.KV) store.Txn {
	name := func() string { return e.key(names[rng.IntN(len(names))]) }
	prefix := func() string { return e.key(prefixes[rng.IntN(len(prefixes))]) }
	known := func() (string, store.KV) {
		key := name()
		i := slices.IndexFunc(then, func(kv store.KV) bool { return kv.Key == key })
		if i < 0 {
			return key, store.KV{}
		}
		return key, then[i]
	}
	var t store.Txn
	for range rng.IntN(3) {
		key, kv := known()
		t.If = append(t.If, [...]store.Guard{
			store.Absent(key), store.Exists(key), store.ModIs(key, kv.Mod),
			store.CreateIs(key, kv.Create), store.CreateIsNot(key, kv.Create), store.PrefixEmpty(prefix()),
		}[rng.IntN(6)])
	}
	for _, branch := range []*[]store.Op{&t.Then, &t.Else} {
		for range rng.IntN(4) {
			op := [...]store.Op{
				store.Get(name()), store.GetFirst(prefix()), store.Delete(name()), store.DeletePrefix(prefix()),
				store.Put(name(), []byte(mark), 0), store.Put(name(), []byte(mark), 0),
			}[rng.IntN(6)]
			if (store.Txn{Then: append(slices.Clone(*branch), op)}).Validate() == nil {
				*branch = append(*branch, op)
			}
		}
		if slices.ContainsFunc(*branch, store.Op.Writes) {
			*branch = append(*branch, store.Put(e.key(mark), nil, 0))
		}
	}
	return t
}

// errNoOrder: no order of the commits explains a result.
var errNoOrder = errors.New("its result is that of no order of the commits")

// explain checks the result of a commit against the states before and at its
// revision, and takes its changes out of the history.
func explain(o outcome, states map[grapnel.Revision]model, history map[grapnel.Revision][]store.Event) error {
	ops, rev := o.txn.Else, o.res.Revision
	if o.res.Succeeded {
		ops = o.txn.Then
	}
	before := states[rev]
	if slices.ContainsFunc(ops, store.Op.Writes) {
		before = states[rev-1]
	}
	if before == nil {
		return fmt.Errorf("%w: there is no revision %d", errNoOrder, rev)
	}
	succeeded, reads, events := before.apply(o.txn, rev)
	if succeeded != o.res.Succeeded {
		return fmt.Errorf("%w: its guards held: %v", errNoOrder, succeeded)
	}
	if !slices.EqualFunc(reads, o.res.Reads, func(a, b store.Read) bool { return a.Found == b.Found && same(a.KV, b.KV) }) {
		return fmt.Errorf("%w: it should have read %+v", errNoOrder, reads)
	}
	for _, ev := range events {
		i := slices.IndexFunc(history[rev], func(h store.Event) bool { return h.Deleted == ev.Deleted && same(h.KV, ev.KV) })
		if i < 0 {
			return fmt.Errorf("%w: its change %+v is not in the history", errNoOrder, ev)
		}
		history[rev] = slices.Delete(history[rev], i, i+1)
	}
	return nil
}

func same(a, b store.KV) bool {
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.Create == b.Create && a.Mod == b.Mod && a.Lease == b.Lease
}

// model is the state of some keys at a revision.
type model map[string]store.KV

func modelOf(kvs []store.KV) model {
	m := model{}
	for _, kv := range kvs {
		m[kv.Key] = kv
	}
	return m
}

// after returns the state after the events of one revision.
func (m model) after(events []store.Event) model {
	m = maps.Clone(m)
	for _, ev := range events {
		if delete(m, ev.KV.Key); !ev.Deleted {
			m[ev.KV.Key] = ev.KV
		}
	}
	return m
}

// under returns the keys that begin with prefix, in order.
func (m model) under(prefix string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(m)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

func (m model) holds(g store.Guard) bool {
	kv, found := m[g.Key]
	switch g.Kind {
	case store.GuardAbsent:
		return !found
	case store.GuardExists:
		return found
	case store.GuardModIs:
		return kv.Mod == g.Rev
	case store.GuardCreateIs:
		return kv.Create == g.Rev
	case store.GuardCreateIsNot:
		return kv.Create != g.Rev
	case store.GuardPrefixEmpty:
		return len(m.under(g.Key)) == 0
	}
	return false
}

// apply returns what t does to the state if it is the commit of revision rev.
func (m model) apply(t store.Txn, rev grapnel.Revision) (succeeded bool, reads []store.Read, events []store.Event) {
	m = maps.Clone(m)
	succeeded = !slices.ContainsFunc(t.If, func(g store.Guard) bool { return !m.holds(g) })
	ops := t.Else
	if succeeded {
		ops = t.Then
	}
	reads = make([]store.Read, len(ops))
	remove := func(key string) {
		if _, found := m[key]; found {
			events = append(events, store.Event{Deleted: true, KV: store.KV{Key: key, Mod: rev}})
			delete(m, key)
		}
	}
	for i, o := range ops {
		switch o.Kind {
		case store.OpPut:
			kv := store.KV{Key: o.Key, Value: o.Value, Create: rev, Mod: rev, Lease: o.Lease}
			if old, found := m[o.Key]; found {
				kv.Create = old.Create
			}
			m[o.Key] = kv
			events = append(events, store.Event{KV: kv})
		case store.OpDelete:
			remove(o.Key)
		case store.OpDeletePrefix:
			for _, key := range m.under(o.Key) {
				remove(key)
			}
		case store.OpGet:
			reads[i].KV, reads[i].Found = m[o.Key], m[o.Key].Mod != 0
		case store.OpGetFirst:
			if keys := m.under(o.Key); len(keys) > 0 {
				reads[i] = store.Read{KV: m[keys[0]], Found: true}
			}
		}
	}
	return succeeded, reads, events
}
