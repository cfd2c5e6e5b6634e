package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// callKind is what a random call does.
type callKind uint8

const (
	callCommit callKind = iota
	callGet
	callList
	callHistory
	callGrant
	callKeepAlive
	callRevoke
	callCompact
)

// call is a random call in terms that are the same for both stores: keys without
// their root, revisions as distances, leases as numbers of grants.
type call struct {
	kind  callKind
	txn   store.Txn
	key   string
	after string
	limit int
	rev   grapnel.Revision
	flag  bool // keys only, or previous pairs
	lease int
}

func (c call) String() string {
	switch c.kind {
	case callCommit:
		return fmt.Sprintf("commit if %v then %v else %v", showGuards(c.txn.If), showOps(c.txn.Then), showOps(c.txn.Else))
	case callGet:
		return fmt.Sprintf("get %q", c.key)
	case callList:
		return fmt.Sprintf("list %q after %q, limit %d, revision %d, keys only %t", c.key, c.after, c.limit, c.rev, c.flag)
	case callHistory:
		return fmt.Sprintf("watch %q from %d, previous %t", c.key, c.rev, c.flag)
	case callGrant:
		return "grant"
	case callKeepAlive:
		return fmt.Sprintf("keep lease %d alive", c.lease)
	case callRevoke:
		return fmt.Sprintf("revoke lease %d", c.lease)
	}
	return fmt.Sprintf("compact %d", c.rev)
}

func showGuards(guards []store.Guard) string {
	names := [...]string{"none", "absent", "exists", "mod-is", "create-is", "create-is-not", "prefix-empty"}
	out := make([]string, len(guards))
	for i, g := range guards {
		out[i] = fmt.Sprintf("%s %q %d", names[g.Kind], g.Key, g.Rev)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func showOps(ops []store.Op) string {
	names := [...]string{"none", "put", "delete", "delete-prefix", "get", "get-first"}
	out := make([]string, len(ops))
	for i, o := range ops {
		out[i] = fmt.Sprintf("%s %q", names[o.Kind], o.Key)
		if o.Lease != 0 {
			out[i] += fmt.Sprintf(" lease %d", o.Lease)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// make makes the call on a side.
func (c call) make(ctx context.Context, s *side, a *answer) error {
	switch c.kind {
	case callCommit:
		res, err := s.Store.Commit(ctx, s.txn(c.txn))
		if err != nil {
			return err
		}
		a.Result = store.Result{Succeeded: res.Succeeded, Revision: s.relative(res.Revision)}
		for _, r := range res.Reads {
			a.Result.Reads = append(a.Result.Reads, store.Read{KV: s.kv(r.KV), Found: r.Found})
		}
	case callGet:
		kv, err := s.Store.Get(ctx, s.key(c.key))
		if err != nil {
			return err
		}
		a.KVs = s.kvs([]store.KV{kv})
	case callList:
		page, err := s.Store.List(ctx, store.ListRequest{
			Prefix: s.prefix(c.key), After: s.key(c.after), Limit: c.limit, Revision: s.absolute(c.rev), KeysOnly: c.flag,
		})
		if err != nil {
			return err
		}
		a.KVs, a.More, a.Revision = s.kvs(page.KVs), page.More, s.relative(page.Revision)
	case callHistory:
		return s.history(ctx, c, a)
	case callGrant:
		l, err := s.Store.Grant(ctx, time.Hour)
		if err != nil {
			return err
		}
		s.leases = append(s.leases, l.ID)
		a.TTL = l.TTL
	case callKeepAlive:
		l, err := s.Store.KeepAlive(ctx, s.lease(c.lease))
		a.TTL = l.TTL
		return err
	case callRevoke:
		return s.Store.Revoke(ctx, s.lease(c.lease))
	case callCompact:
		return s.Compact(ctx, s.absolute(c.rev))
	}
	return nil
}

// kindOf names the sentinels that an error wraps, so that errors of different
// stores can be compared.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	var kinds []string
	for _, s := range []error{
		grapnel.ErrInvalid, grapnel.ErrNotFound, grapnel.ErrUnavailable, grapnel.ErrUnknown, grapnel.ErrTooLarge,
		grapnel.ErrOverCapacity, store.ErrLeaseNotFound, store.ErrCompacted, store.ErrDenied,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, s) {
			kinds = append(kinds, s.Error())
		}
	}
	if kinds == nil {
		return "another error: " + err.Error()
	}
	return strings.Join(kinds, ", ")
}

// generator makes random calls out of few keys, so that they meet. Few calls
// are invalid, most revisions are those of something.
type generator struct {
	rng       *rand.Rand
	compacts  bool
	now       grapnel.Revision
	compacted grapnel.Revision
	grants    int
	revs      []grapnel.Revision // of pairs that were seen
}

func newGenerator(seed uint64, compacts bool) *generator {
	return &generator{rng: rand.New(rand.NewPCG(seed, 0)), compacts: compacts}
}

var (
	someKeys     = []string{"a", "a/1", "a/2", "a/2/x", "a0", "b", "b/1", "c\xff", "c\xff\xff"}
	somePrefixes = []string{"a", "a/", "a/2", "b", "c\xff", "none/"}
)

// learn remembers revisions that an answer had.
func (g *generator) learn(a answer) {
	g.now = a.Now
	kvs := a.KVs
	for _, r := range a.Result.Reads {
		kvs = append(kvs, r.KV)
	}
	for _, kv := range kvs {
		if kv.Mod != 0 {
			g.revs = append(g.revs, kv.Create, kv.Mod)
		}
	}
	g.revs = g.revs[max(0, len(g.revs)-12):]
}

func pick[T any](g *generator, from []T) T { return from[g.rng.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.rng.IntN(100) < percent }

// call returns the next call.
func (g *generator) call() call {
	switch n := g.rng.IntN(100); {
	case n < 55:
		return call{kind: callCommit, txn: g.txn()}
	case n < 65:
		return call{kind: callGet, key: pick(g, someKeys)}
	case n < 77:
		return g.listing()
	case n < 83:
		return call{kind: callHistory, key: pick(g, somePrefixes), rev: g.past(), flag: g.chance(50)}
	case n < 88:
		g.grants++
		return call{kind: callGrant}
	case n < 92:
		return call{kind: callKeepAlive, lease: g.lease()}
	case n < 98 || !g.compacts || g.now <= g.compacted:
		return call{kind: callRevoke, lease: g.lease()}
	}
	g.compacted += 1 + grapnel.Revision(g.rng.Int64N(int64(g.now-g.compacted)))
	return call{kind: callCompact, rev: g.compacted}
}

func (g *generator) listing() call {
	c := call{kind: callList, limit: g.rng.IntN(5), flag: g.chance(20)}
	if g.chance(80) {
		c.key = pick(g, somePrefixes)
	}
	if g.chance(40) {
		c.after = pick(g, someKeys)
	}
	if g.chance(60) {
		c.rev = g.past()
	}
	return c
}

// past returns a revision to read from: mostly one that is kept, sometimes one
// that was compacted.
func (g *generator) past() grapnel.Revision {
	oldest := max(g.compacted, 1)
	if g.chance(10) {
		oldest = 1
	}
	if g.now <= oldest {
		return max(g.now, 1)
	}
	return oldest + grapnel.Revision(g.rng.Int64N(int64(g.now-oldest)+1))
}

// lease returns the number of a grant, or of none.
func (g *generator) lease() int {
	if g.grants == 0 || g.chance(5) {
		return g.grants + 1
	}
	return max(1, g.grants-g.rng.IntN(6))
}

func (g *generator) txn() store.Txn {
	var t store.Txn
	for range g.rng.IntN(3) {
		t.If = append(t.If, g.guard())
	}
	t.Then, t.Else = g.branch(), g.branch()
	return t
}

func (g *generator) guard() store.Guard {
	rev := grapnel.Revision(0)
	if len(g.revs) > 0 && g.chance(80) {
		rev = pick(g, g.revs)
	}
	key := pick(g, someKeys)
	switch g.rng.IntN(6) {
	case 0:
		return store.Absent(key)
	case 1:
		return store.Exists(key)
	case 2:
		return store.ModIs(key, rev)
	case 3:
		return store.CreateIs(key, rev)
	case 4:
		return store.CreateIsNot(key, rev)
	}
	return store.PrefixEmpty(pick(g, somePrefixes))
}

func (g *generator) branch() []store.Op {
	var ops []store.Op
	for range g.rng.IntN(5) {
		o := g.op()
		if (store.Txn{Then: append(slices.Clip(ops), o)}).Validate() == nil || g.chance(3) {
			ops = append(ops, o)
		}
	}
	return ops
}

func (g *generator) op() store.Op {
	key := pick(g, someKeys)
	switch g.rng.IntN(10) {
	case 0, 1, 2, 3:
		lease := 0
		if g.chance(35) {
			lease = g.lease()
		}
		return store.Put(key, fmt.Append(nil, g.rng.IntN(1000)), store.LeaseID(lease))
	case 4, 5:
		return store.Delete(key)
	case 6:
		return store.DeletePrefix(pick(g, somePrefixes))
	case 7:
		return store.GetFirst(pick(g, somePrefixes))
	}
	return store.Get(key)
}

// wholeListing reads all keys as they are.
func (g *generator) wholeListing() call { return call{kind: callList, limit: store.DefaultPage} }

// wholeHistory reads all changes that are kept.
func (g *generator) wholeHistory() call {
	return call{kind: callHistory, rev: max(g.compacted, 1), flag: true}
}
