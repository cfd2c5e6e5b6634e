package faultstore

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel/store"
)

// Kind is a method of [store.Store].
type Kind uint8

// Kinds of calls.
const (
	Get Kind = iota + 1
	List
	Commit
	Watch
	Grant
	KeepAlive
	Revoke
)

// String returns the method's name.
func (k Kind) String() string {
	if k < Get || k > Revoke {
		return "no call"
	}
	return [...]string{"Get", "List", "Commit", "Watch", "Grant", "KeepAlive", "Revoke"}[k-1]
}

// Writes reports whether calls of this kind can have an unknown outcome. A lease
// that was granted to nobody holds nothing and does not count.
func (k Kind) Writes() bool { return k == Commit || k == Revoke }

// Fault is a way for a call to fail.
type Fault uint8

const (
	// None: the call is passed on.
	None Fault = iota
	// Refused: the call is not made and returns [grapnel.ErrUnavailable].
	Refused
	// Before: the call is not made, but its caller cannot know: a write returns
	// [grapnel.ErrUnknown], a read [grapnel.ErrUnavailable].
	Before
	// After: the call is made and its reply lost; errors as for Before.
	After
	// Late: the call fails as for Before and is made later: a write when
	// [Store.ReleaseLate] is called or as many calls later as the action says; a
	// read never.
	Late
	// Hang: the call is not made and returns when its context ends.
	Hang
)

// String returns the fault's name in lower case.
func (f Fault) String() string {
	if f > Hang {
		return fmt.Sprintf("fault-%d", uint8(f))
	}
	return [...]string{"none", "refused", "before", "after", "late", "hang"}[f]
}

// Info describes a call to a rule.
type Info struct {
	// N numbers the calls of all kinds, but watches, from 1.
	N    int
	Kind Kind
	// Key is the key or prefix of a get, list or watch.
	Key string
	// Txn is the transaction of a commit. Not to be modified.
	Txn *store.Txn
	// Lease is the lease of a keepalive or revocation.
	Lease store.LeaseID
}

// Action is what happens to a call.
type Action struct {
	Fault Fault
	// Delay is waited for before anything else.
	Delay time.Duration
	// Calls is after how many further calls a late one is made by itself; zero
	// means that it waits for [Store.ReleaseLate].
	Calls int
	// Enter and Leave, if set, are called before and after the store is: they
	// are crash points.
	Enter, Leave func()
}

// Rule decides what happens to a call. It is called for one call at a time. A
// nil rule lets all calls pass.
type Rule func(Info) Action

// Plan is one fault at one call.
type Plan struct {
	Call  int
	Fault Fault
}

// String names the plan, for the name of a subtest: running that subtest alone
// repeats it.
func (p Plan) String() string { return fmt.Sprintf("call-%d-%v", p.Call, p.Fault) }

// Rule returns the rule that follows the plan.
func (p Plan) Rule() Rule {
	return func(i Info) Action {
		if i.N != p.Call || i.Kind == Watch {
			return Action{}
		}
		return Action{Fault: p.Fault}
	}
}

// EachCall returns a plan for each of the first calls calls and each of the
// faults [Before], [After] and [Late]. Which calls are reads, for which these are
// about the same, is not known beforehand.
func EachCall(calls int) iter.Seq[Plan] {
	return func(yield func(Plan) bool) {
		for call := 1; call <= calls; call++ {
			for _, f := range []Fault{Before, After, Late} {
				if !yield(Plan{Call: call, Fault: f}) {
					return
				}
			}
		}
	}
}

// Chances are the probabilities, 0 to 1, of the faults of a call.
type Chances struct {
	Refused, Before, After, Late float64
	// Delay is the longest delay of a call; zero means none.
	Delay time.Duration
}

// Random returns a rule that decides by seed. Late calls are made up to 50 calls
// later.
func Random(seed uint64, c Chances) Rule {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	return func(Info) Action {
		mu.Lock()
		defer mu.Unlock()
		var a Action
		if c.Delay > 0 {
			a.Delay = time.Duration(rng.Int64N(int64(c.Delay)))
		}
		x := rng.Float64()
		for _, f := range []struct {
			fault  Fault
			chance float64
		}{{Refused, c.Refused}, {Before, c.Before}, {After, c.After}, {Late, c.Late}} {
			if x < f.chance {
				a.Fault = f.fault
				break
			}
			x -= f.chance
		}
		if a.Fault == Late {
			a.Calls = 1 + rng.IntN(50)
		}
		return a
	}
}
