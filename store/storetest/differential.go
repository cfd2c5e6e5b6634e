package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Side is one of two stores that are compared. Nobody else may write to it.
type Side struct {
	// Name stands for the store in failures.
	Name  string
	Store store.Store
	// Compact forgets the history before rev, which is not yet compacted and not
	// to come. There is no compaction unless both sides have it.
	Compact func(ctx context.Context, rev grapnel.Revision) error
}

// SeedVariable names the environment variable that overrides the seed of
// [Differential].
const SeedVariable = "GRAPNEL_STORETEST_SEED"

// DifferentialOptions say how long two stores are compared.
type DifferentialOptions struct {
	// Seed decides all calls; zero means a random one. A failure tells it, with
	// the command that repeats the calls.
	Seed uint64
	// Calls is how many are made; zero means 500.
	Calls int
	// Timeout bounds each call, and what a watch has to tell; zero means 30 s.
	Timeout time.Duration
}

// Differential makes the same random calls on two stores, one at a time, and
// fails at the first one that they answer differently: in the result, in the
// kind of error, or in what a listing or a watch tells afterwards. Revisions are
// compared as distances from where each store was in the beginning, leases by
// the order in which they were granted. Leases end by revocation only.
func Differential(t *testing.T, a, b Side, o DifferentialOptions) {
	t.Helper()
	if text := os.Getenv(SeedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", SeedVariable, err)
		}
		o.Seed = seed
	}
	for o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.Calls == 0 {
		o.Calls = 500
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	d := &differential{
		T: t, o: o, gen: newGenerator(o.Seed, a.Compact != nil && b.Compact != nil),
		sides: [2]*side{newSide(t, a), newSide(t, b)},
	}
	for range o.Calls {
		d.step(d.gen.call())
	}
	d.step(d.gen.wholeListing())
	d.step(d.gen.wholeHistory())
}

// differential is a comparison on its way.
type differential struct {
	*testing.T
	o     DifferentialOptions
	gen   *generator
	sides [2]*side
	calls []string // so far
}

// step makes a call on both sides and compares.
func (d *differential) step(c call) {
	d.Helper()
	d.calls = append(d.calls, c.String())
	var answers [2]answer
	for i, s := range d.sides {
		answers[i] = s.make(c, d.o.Timeout)
	}
	diff := cmp.Diff(answers[0], answers[1], cmpopts.EquateEmpty())
	if diff == "" {
		d.gen.learn(answers[0])
		return
	}
	recent := d.calls[max(0, len(d.calls)-15):]
	d.Fatalf("call %d: %v is answered differently (-%s +%s):\n%s\nThe calls up to it, revisions relative to %d and %d:\n  %s\nTo repeat: %s=%d go test -run '^%s$' ./...",
		len(d.calls), c, d.sides[0].Name, d.sides[1].Name, diff, d.sides[0].base, d.sides[1].base,
		strings.Join(recent, "\n  "), SeedVariable, d.o.Seed, d.Name())
}

// answer is what a call returned, with revisions relative to the store's and
// leases as numbers of grants.
type answer struct {
	Err      string // the sentinels that the error wraps; empty if there is none
	KVs      []store.KV
	More     bool
	Revision grapnel.Revision
	Result   store.Result
	Events   []store.Event
	TTL      time.Duration
	Now      grapnel.Revision // the store's revision after the call
}

// side makes calls on one store.
type side struct {
	Side
	t      *testing.T
	base   grapnel.Revision
	root   string
	leases []store.LeaseID // by number of the grant, from 1
}

func newSide(t *testing.T, s Side) *side {
	t.Helper()
	page, err := s.Store.List(t.Context(), store.ListRequest{Prefix: "/", Limit: 1})
	if err != nil {
		t.Fatalf("%s: list: %v", s.Name, err)
	}
	return &side{
		Side: s, t: t, base: page.Revision, leases: []store.LeaseID{0},
		root: "/storetest/" + string(grapnel.NewRunID()) + "/",
	}
}

// make makes a call and translates its answer.
func (s *side) make(c call, timeout time.Duration) answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), timeout)
	defer cancel()
	var a answer
	err := c.make(ctx, s, &a)
	a.Err = kindOf(err)
	page, listErr := s.Store.List(s.t.Context(), store.ListRequest{Prefix: s.root, Limit: 1})
	if listErr != nil {
		s.t.Fatalf("%s: list after %v: %v", s.Name, c, listErr)
	}
	a.Now = s.relative(page.Revision)
	return a
}

// absolute turns a distance into a revision of this store. Zero stays what it
// is: it means "absent", or "now".
func (s *side) absolute(rev grapnel.Revision) grapnel.Revision {
	if rev == 0 {
		return 0
	}
	return s.base + rev
}

// relative is the inverse of absolute. No key that is compared has a revision
// of base or before.
func (s *side) relative(rev grapnel.Revision) grapnel.Revision {
	if rev == 0 {
		return 0
	}
	return rev - s.base
}

// lease returns the lease of a grant. Numbers beyond the last are leases that
// never were.
func (s *side) lease(number int) store.LeaseID {
	if number < len(s.leases) {
		return s.leases[number]
	}
	return 1 << 40
}

func (s *side) kv(kv store.KV) store.KV {
	kv.Key = strings.TrimPrefix(kv.Key, s.root)
	kv.Create, kv.Mod = s.relative(kv.Create), s.relative(kv.Mod)
	for number, id := range s.leases {
		if id == kv.Lease {
			kv.Lease = store.LeaseID(number)
			return kv
		}
	}
	s.t.Fatalf("%s: %s has lease %x, which was never granted", s.Name, kv.Key, kv.Lease)
	return kv
}

func (s *side) kvs(kvs []store.KV) []store.KV {
	out := make([]store.KV, len(kvs))
	for i, kv := range kvs {
		out[i] = s.kv(kv)
	}
	return out
}

// txn translates a transaction of distances and numbers.
func (s *side) txn(t store.Txn) store.Txn {
	out := store.Txn{Then: s.ops(t.Then), Else: s.ops(t.Else)}
	for _, g := range t.If {
		g.Key, g.Rev = s.key(g.Key), s.absolute(g.Rev)
		out.If = append(out.If, g)
	}
	return out
}

func (s *side) ops(ops []store.Op) []store.Op {
	var out []store.Op
	for _, o := range ops {
		o.Key, o.Lease = s.key(o.Key), s.lease(int(o.Lease))
		out = append(out, o)
	}
	return out
}

// key returns a key of this comparison; that without a name stays empty, which
// is invalid.
func (s *side) key(name string) string {
	if name == "" {
		return ""
	}
	return s.root + name
}

// prefix returns a prefix of keys of this comparison; that without a name is all
// of them.
func (s *side) prefix(name string) string { return s.root + name }

// history watches what happened under a prefix, from a distance on up to now.
func (s *side) history(ctx context.Context, c call, a *answer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Its revision is the last one that is waited for.
	end, err := s.Store.Commit(ctx, store.Txn{Then: []store.Op{store.Put(s.prefix(c.key+"end"), nil, 0)}})
	if err != nil {
		return fmt.Errorf("put the end: %w", err)
	}
	for b := range s.Store.Watch(ctx, store.WatchRequest{Prefix: s.prefix(c.key), From: s.absolute(c.rev), Previous: c.flag}) {
		if b.Err != nil {
			return b.Err
		}
		for _, ev := range b.Events {
			ev.KV, ev.Previous = s.kv(ev.KV), s.kv(ev.Previous)
			a.Events = append(a.Events, ev)
		}
		if b.Revision >= end.Revision {
			return nil
		}
	}
	return fmt.Errorf("the watch from %d to %d was closed", s.absolute(c.rev), end.Revision)
}
