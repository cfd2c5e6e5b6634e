package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// neighbourCases are commits that are refused, or large, or many, together with
// commits that have nothing to do with them.
var neighbourCases = []behaviour{
	{"all of many take effect", neighboursAll},
	{"one with a dead lease fails alone", neighboursOfDeadLease},
	{"one with a dead lease in Else fails alone, if Else is taken", neighboursOfDeadLeaseInElse},
	{"one that is too large fails alone", neighboursOfTooLarge},
	{"large ones that fit no request together all succeed", neighboursOfLarge},
	{"one of as many operations as allowed goes with small ones", neighboursOfManyOps},
	{"one of more operations than allowed fails alone", neighboursOfTooManyOps},
	{"one whose guard does not hold is alone in that", neighboursOfFailedGuard},
	{"an invalid one fails alone", neighboursOfInvalid},
	{"a caller that leaves takes none along", neighboursOfLeaver},
	{"ones that only read read what is theirs", neighboursOfReads},
	{"each keeps its own lease", neighboursKeepLeases},
}

const neighbours = 48

// repeat runs n commits together, several times. Make returns the i-th commit
// and the error it must have, nil for none.
func (e *env) repeat(n int, make func(round, i int) (store.Txn, error)) {
	e.Helper()
	for round := range rounds {
		results := e.raceFor(n, func(i int) (store.Txn, error) { return make(round, i) })
		for i, r := range results {
			if r.err != nil {
				continue
			}
			for j, o := range r.txn.Then {
				if !r.res.Succeeded || o.Kind != store.OpPut {
					continue
				}
				kv, err := e.s.Get(e.ctx, o.Key)
				if err != nil || kv.Mod != r.res.Revision || !bytes.Equal(kv.Value, o.Value) || kv.Lease != o.Lease {
					e.Fatalf("put %d of commit %d at %d: read at %d with %d bytes, %v", j, i, r.res.Revision, kv.Mod, len(kv.Value), err)
				}
			}
		}
	}
}

// raceFor runs n commits together. Make returns the i-th and the error it must
// have, nil for none; what has another one fails the test.
func (e *env) raceFor(n int, txn func(i int) (store.Txn, error)) []outcome {
	e.Helper()
	out := make([]outcome, n)
	together(n, func(i int) {
		t, want := txn(i)
		res, err := e.s.Commit(e.ctx, t)
		out[i] = outcome{t, res, err}
		if !errors.Is(err, want) {
			e.Errorf("commit %d: %v, want %v", i, err, want)
		}
	})
	if e.Failed() {
		e.FailNow()
	}
	return out
}

// small is a commit of one put to a key of its own.
func (e *env) small(round, i int) store.Txn {
	return store.Txn{Then: []store.Op{store.Put(e.key(fmt.Sprintf("small/%d/%d", round, i)), fmt.Append(nil, i), 0)}}
}

func neighboursAll(e *env) {
	e.repeat(4*neighbours, func(round, i int) (store.Txn, error) { return e.small(round, i), nil })
}

func neighboursOfDeadLease(e *env) {
	dead := e.deadLease()
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		t := e.small(round, i)
		if i%5 != 0 {
			return t, nil
		}
		t.Then = append(t.Then, store.Put(e.key(fmt.Sprintf("dead/%d", i)), nil, dead))
		return t, store.ErrLeaseNotFound
	})
	e.equal("keys", e.short(e.listAt("dead/", 0)), []string(nil))
	e.equal("keys", e.short(e.listAt("small/0/0", 0)), []string(nil))
}

func neighboursOfDeadLeaseInElse(e *env) {
	dead := e.deadLease()
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		t := e.small(round, i)
		if i%5 != 0 {
			return t, nil
		}
		t.Else = []store.Op{store.Put(e.key("dead"), nil, dead)}
		if i%10 != 0 {
			return t, nil
		}
		t.If = []store.Guard{store.Exists(e.key("none"))}
		return t, store.ErrLeaseNotFound
	})
	e.mustNotBeThere("dead")
}

func neighboursOfTooLarge(e *env) {
	value := make([]byte, e.o.OversizedValue)
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		t := e.small(round, i)
		if i%16 != 0 {
			return t, nil
		}
		t.Then = append(t.Then, store.Put(e.key("large"), value, 0))
		return t, grapnel.ErrTooLarge
	})
	e.mustNotBeThere("large")
}

// neighboursOfLarge has commits that are allowed and together more than a
// request may hold.
func neighboursOfLarge(e *env) {
	value := make([]byte, e.o.OversizedValue/8)
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		t := e.small(round, i)
		if i%3 == 0 {
			t.Then = append(t.Then, store.Put(e.key(fmt.Sprintf("large/%d", i)), value, 0))
		}
		return t, nil
	})
}

// neighboursOfManyOps has commits with about as many operations as etcd allows
// in one request, 128, by itself.
func neighboursOfManyOps(e *env) {
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		t := e.small(round, i)
		n := 0
		switch i % 12 {
		case 3:
			n = 126
		case 5, 7:
			n = 64
		case 9:
			n = 128
		}
		for op := len(t.Then); op < n; op++ {
			t.Then = append(t.Then, store.Put(e.key(fmt.Sprintf("many/%d/%d/%d", round, i, op)), nil, 0))
		}
		return t, nil
	})
}

func neighboursOfTooManyOps(e *env) {
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		if i%16 != 0 {
			return e.small(round, i), nil
		}
		return store.Txn{Then: e.puts("over", e.o.MaxOps+1)}, grapnel.ErrTooLarge
	})
	e.equal("keys", e.names("over"), []string(nil))
}

func neighboursOfFailedGuard(e *env) {
	e.put("there", "")
	for round := range rounds {
		out := e.raceFor(neighbours, func(i int) (store.Txn, error) {
			t := e.small(round, i)
			t.Else = []store.Op{store.Get(e.key("there")), store.Put(e.key(fmt.Sprintf("else/%d/%d", round, i)), nil, 0)}
			if i%2 == 0 {
				t.If = []store.Guard{store.Absent(e.key("there"))}
			}
			return t, nil
		})
		for i, o := range out {
			name, other := fmt.Sprintf("small/%d/%d", round, i), fmt.Sprintf("else/%d/%d", round, i)
			if i%2 == 0 {
				name, other = other, name
				if len(o.res.Reads) != 2 || !o.res.Reads[0].Found {
					e.Errorf("commit %d reads %+v", i, o.res.Reads)
				}
			}
			if o.res.Succeeded != (i%2 != 0) {
				e.Errorf("commit %d succeeded: %v", i, o.res.Succeeded)
			}
			e.mustBeThere(name)
			e.mustNotBeThere(other)
		}
	}
}

func neighboursOfInvalid(e *env) {
	e.repeat(neighbours, func(round, i int) (store.Txn, error) {
		t := e.small(round, i)
		switch i % 12 {
		case 0:
			t.Then = append(t.Then, t.Then[0])
		case 3:
			t.Then = append(t.Then, store.Put("", nil, 0))
		case 6:
			t.Then = append(t.Then, store.DeletePrefix(e.root))
		case 9:
			t.If = []store.Guard{store.Absent("")}
		default:
			return t, nil
		}
		return t, grapnel.ErrInvalid
	})
	for i := 0; i < neighbours; i += 3 {
		e.mustNotBeThere(fmt.Sprintf("small/0/%d", i))
	}
}

// neighboursOfReads has commits that only read among others that write.
func neighboursOfReads(e *env) {
	rev := e.put("fixed", "1")
	for round := range rounds {
		out := e.raceFor(neighbours, func(i int) (store.Txn, error) {
			if i%3 != 0 {
				return e.small(round, i), nil
			}
			return store.Txn{
				If:   []store.Guard{store.ModIs(e.key("fixed"), rev)},
				Then: []store.Op{store.Get(e.key("none")), store.Get(e.key("fixed")), store.GetFirst(e.key("fix"))},
			}, nil
		})
		for i := 0; i < len(out); i += 3 {
			r := out[i].res
			if !r.Succeeded || len(r.Reads) != 3 || r.Reads[0].Found || r.Reads[1].KV.Mod != rev || r.Reads[2].KV.Mod != rev {
				e.Errorf("reads of commit %d: %+v", i, r)
			}
		}
	}
}

func neighboursKeepLeases(e *env) {
	leases := make([]store.LeaseID, 4)
	for i := range leases {
		leases[i] = e.grant()
	}
	e.repeat(neighbours, func(_, i int) (store.Txn, error) {
		op := store.Put(e.key(fmt.Sprintf("leased/%d", i)), nil, leases[i%len(leases)])
		return store.Txn{Then: []store.Op{op}}, nil
	})
	for i, id := range leases {
		e.revoke(id)
		for n := range neighbours {
			if name := fmt.Sprintf("leased/%d", n); e.there(name) != (n%len(leases) > i) {
				e.Errorf("after revoking %d leases, %s exists: %v", i+1, name, e.there(name))
			}
		}
	}
}

// neighboursOfLeaver has callers that give up while their commits are queued or
// under way. Whatever they are told must be true, and nobody else may notice.
func neighboursOfLeaver(e *env) {
	for round := range rounds {
		ctx, cancel := context.WithCancel(e.ctx)
		errs := make([]error, neighbours)
		together(neighbours+1, func(i int) {
			if i == neighbours {
				cancel()
				return
			}
			own := e.ctx
			if i%2 == 0 {
				own = ctx
			}
			_, errs[i] = e.s.Commit(own, e.small(round, i))
		})
		for i, err := range errs {
			found := e.there(fmt.Sprintf("small/%d/%d", round, i))
			switch {
			case err == nil && !found:
				e.Errorf("commit %d succeeded and left nothing", i)
			case err == nil:
			case i%2 != 0:
				e.Errorf("commit %d, whose caller stayed: %v", i, err)
			case !errors.Is(err, context.Canceled) && !errors.Is(err, grapnel.ErrUnknown):
				e.Errorf("commit %d, whose caller left: %v", i, err)
			case found && !errors.Is(err, grapnel.ErrUnknown):
				e.Errorf("commit %d was applied and returned %v", i, err)
			}
		}
	}
}

// there reports whether there is a key of the name.
func (e *env) there(name string) bool {
	e.Helper()
	_, ok := e.get(name)
	return ok
}

func (e *env) mustBeThere(name string) {
	e.Helper()
	if !e.there(name) {
		e.Errorf("there is no %s", name)
	}
}

func (e *env) mustNotBeThere(name string) {
	e.Helper()
	if e.there(name) {
		e.Errorf("there is a %s", name)
	}
}
