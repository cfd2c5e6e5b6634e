package etcdstore

import (
	"hash/maphash"
	"strings"

	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/store"
)

// access is what a transaction does at a place of the key space.
type access uint8

const (
	reads  access = 1 << iota // a get or a guard
	writes                    // a put or a delete, in whichever branch
)

// clash reports whether two transactions with these accesses to one place must
// not share a request.
func clash(a, b access) bool { return a != 0 && b != 0 && (a|b)&writes != 0 }

// touch is what a transaction, or all of a request, does at one place: a string
// that is a key, a prefix, or both.
type touch struct {
	point  access // to the key of this name
	prefix access // to all keys that begin with it
	under  access // to some keys or prefixes that begin with it
}

func (t *touch) add(o touch) {
	t.point |= o.point
	t.prefix |= o.prefix
	t.under |= o.under
}

func (t *touch) clashes(o touch) bool {
	return clash(t.point, o.point) || clash(t.prefix, o.under) || clash(t.under, o.prefix)
}

// footprint is everything that a transaction touches. Places are hashed: that
// two fall together costs a shared request and nothing else.
//
// A prefix counts as reaching back to its last slash, and one without a slash
// as everything there is. So all prefixes that a key is under are found among
// the key's own segments, and isolation is a few lookups per key however many
// transactions share the request.
type footprint []place

type place struct {
	hash uint64
	touch
}

var placeSeed = maphash.MakeSeed()

// footprintOf collects what t touches, in either branch.
func footprintOf(t store.Txn) footprint {
	f := make(footprint, 0, 4*(len(t.If)+len(t.Then)+len(t.Else)))
	for _, g := range t.If {
		f.mark(g.Key, g.Kind == store.GuardPrefixEmpty, reads)
	}
	for _, ops := range [2][]store.Op{t.Then, t.Else} {
		for _, o := range ops {
			a := reads
			if o.Writes() {
				a = writes
			}
			f.mark(o.Key, o.Kind == store.OpDeletePrefix || o.Kind == store.OpGetFirst, a)
		}
	}
	return f
}

// mark adds one key or prefix.
func (f *footprint) mark(key string, isPrefix bool, a access) {
	if isPrefix {
		key = key[:strings.LastIndexByte(key, '/')+1]
		f.at(key).prefix |= a
	} else {
		f.at(key).point |= a
	}
	f.at("").under |= a
	for i := range len(key) {
		if key[i] == '/' {
			f.at(key[:i+1]).under |= a
		}
	}
}

// at returns the entry of a place. Transactions are small: looking through all
// of them is quicker than a map.
func (f *footprint) at(name string) *touch {
	h := maphash.String(placeSeed, name)
	for i := range *f {
		if (*f)[i].hash == h {
			return &(*f)[i].touch
		}
	}
	*f = append(*f, place{hash: h})
	return &(*f)[len(*f)-1].touch
}

// territory is what the transactions of one request touch together.
type territory map[uint64]touch

// admits reports whether a transaction with this footprint may join: nothing
// that one writes is read, compared or written by the other.
func (t territory) admits(f footprint) bool {
	if mutation.On(mutation.GroupCommitMixes) {
		return true
	}
	for i := range f {
		if known, ok := t[f[i].hash]; ok && known.clashes(f[i].touch) {
			return false
		}
	}
	return true
}

// annex adds a transaction's footprint.
func (t territory) annex(f footprint) {
	for i := range f {
		known := t[f[i].hash]
		known.add(f[i].touch)
		t[f[i].hash] = known
	}
}
