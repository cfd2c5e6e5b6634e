package claim_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
)

var seedFlag = flag.Uint64("seed", 0, "the only seed of tests under random faults; 0: several, one of them fresh")

// op is what a worker did to the one node, or to the resource beside it that
// only the node's claim is the right to write.
type op struct {
	kind  string // "acquire", "release", "write" or "read"
	fence grapnel.Fence
	value int
}

// result is what it was told.
type result struct {
	ok      bool // acquired, released, written
	unknown bool
	fence   grapnel.Fence
	value   int
}

// lock is what claims promise: one holder at a time, fences that grow, and
// writes by the holder alone.
type lock struct {
	holder, last grapnel.Fence
	value        int
}

var lockModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{lock{}} },
	Step: func(state, input, output any) []any {
		s, in, out := state.(lock), input.(op), output.(result)
		switch in.kind {
		case "acquire":
			switch {
			case !out.ok && s.holder != 0:
				return []any{s}
			case out.ok && s.holder == 0 && out.fence > s.last:
				return []any{lock{holder: out.fence, last: out.fence, value: s.value}}
			}
			return nil
		case "release":
			released := s
			if s.holder == in.fence {
				released.holder = 0
			}
			if out.unknown {
				return []any{s, released}
			}
			return []any{released}
		case "write":
			written := s
			written.value = in.value
			switch {
			case out.unknown && s.holder == in.fence:
				return []any{s, written}
			case out.unknown, !out.ok && s.holder != in.fence:
				return []any{s}
			case out.ok && s.holder == in.fence:
				return []any{written}
			}
			return nil
		}
		if out.value != s.value {
			return nil
		}
		return []any{s}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// history records operations with logical times.
type history struct {
	now atomic.Int64

	mu  sync.Mutex
	ops []porcupine.Operation // guarded by mu
}

// add does an operation and records it. One whose outcome is unknown may take
// effect at any later time.
func (h *history) add(client int, in op, do func() (result, bool)) {
	call := h.now.Add(1)
	out, known := do()
	if !known {
		return // it had no effect and told nothing
	}
	o := porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: h.now.Add(1)}
	if out.unknown {
		o.Return = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// Three workers claim one node, write under their claims and under those they
// had, and release, while the store fails at random.
func TestOneOutcomeUnderRandomFaults(t *testing.T) {
	t.Parallel()
	seeds := []uint64{*seedFlag}
	if *seedFlag == 0 {
		seeds = []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, rand.Uint64()}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			t.Parallel()
			h := &history{}
			inWorld(t, func(w *world) { contend(w, h, seed) })
			info := "repeat with: go test ./claim -run '^TestOneOutcomeUnderRandomFaults$' -seed=%d"
			switch porcupine.CheckOperationsTimeout(lockModel.ToModel(), h.ops, 20*time.Second) {
			case porcupine.Illegal:
				t.Errorf("claims are no lock over these %d operations: %v; "+info, len(h.ops), h.ops, seed)
			case porcupine.Unknown:
				t.Errorf("not decided in time; "+info, seed)
			}
			if t.Failed() {
				t.Logf(info, seed)
			}
		})
	}
}

const workers, turns = 3, 12

func contend(w *world, h *history, seed uint64) {
	const resource = "/resource"
	w.commit(store.Put(resource, []byte{0}, 0))
	sessions := make([]*claim.Session, workers)
	for i := range sessions {
		sessions[i] = w.open(grapnel.WorkerID(fmt.Sprint("w", i)))
		defer w.keep(sessions[i])()
	}
	w.st.SetRule(faultstore.Random(seed, faultstore.Chances{Refused: 0.05, Before: 0.08, After: 0.08, Late: 0.08, Delay: 20 * time.Millisecond}))
	var values atomic.Int64
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			c := &contender{w: w, h: h, s: s, client: i, resource: resource, rng: rand.New(rand.NewPCG(seed, uint64(i))), values: &values}
			for range turns {
				c.turn()
			}
		})
	}
	wg.Wait()
	w.st.SetRule(nil)
	w.st.ReleaseLate()
	w.noClaims()
	for i, s := range sessions {
		if s.Context().Err() != nil {
			w.Errorf("session %d was lost: %v", i, context.Cause(s.Context()))
		}
	}
}

type contender struct {
	w        *world
	h        *history
	s        *claim.Session
	client   int
	resource string
	rng      *rand.Rand
	values   *atomic.Int64
	had      []*claim.Claim
}

// turn tries to claim the node, writes under the claim and, with claims it had
// before, without one, and releases it.
func (c *contender) turn() {
	own := time.Duration(c.rng.IntN(2)) * time.Hour
	var held *claim.Claim
	c.h.add(c.client, op{kind: "acquire"}, func() (result, bool) {
		if c.rng.IntN(2) == 0 {
			if held = c.together(); held == nil {
				return result{}, false // it does not say why
			}
			return result{ok: true, fence: held.Fence()}, true
		}
		got, _, err := c.s.Acquire(c.w.Context(), c.w.target("0"), own)
		switch {
		case err == nil:
			held = got
			return result{ok: true, fence: got.Fence()}, true
		case errors.Is(err, claim.ErrTaken):
			return result{}, true
		case !errors.Is(err, grapnel.ErrUnavailable):
			c.w.Errorf("acquire: %v", err)
		}
		return result{}, false
	})
	if len(c.had) > 0 {
		c.write(c.had[c.rng.IntN(len(c.had))])
	}
	if held == nil {
		c.read()
		return
	}
	c.write(held)
	if c.rng.IntN(2) == 0 {
		if err := held.Report(c.w.Context(), []byte("1")); err != nil && !errors.Is(err, grapnel.ErrUnavailable) {
			c.w.Errorf("report: %v", err)
		}
	}
	if c.rng.IntN(3) == 0 {
		if _, err := held.Extend(c.w.Context(), 2*time.Hour); err != nil && !errors.Is(err, grapnel.ErrUnavailable) {
			c.w.Errorf("extend: %v", err)
		}
	}
	c.write(held)
	for released := false; !released; {
		c.h.add(c.client, op{kind: "release", fence: held.Fence()}, func() (result, bool) {
			err := held.Release(c.w.Context())
			released = err == nil
			return result{ok: released, unknown: !released}, true
		})
	}
	c.had = append(c.had, held)
}

// together tries to claim the node with one that nobody else wants, which it
// gives back. It returns nil if the node is not to be had.
func (c *contender) together() *claim.Claim {
	targets := []claim.Target{c.w.target(grapnel.NodeKey(fmt.Sprint(100 + c.client))), c.w.target("0")}
	acquired, err := c.s.AcquireAll(c.w.Context(), targets)
	if err != nil {
		if !errors.Is(err, grapnel.ErrUnavailable) {
			c.w.Errorf("acquire together: %v", err)
		}
		return nil
	}
	if private := acquired[0].Claim; private != nil {
		c.w.release(private)
	}
	return acquired[1].Claim
}

// write writes the resource once, whatever comes of it.
func (c *contender) write(by *claim.Claim) {
	in := op{kind: "write", fence: by.Fence(), value: int(c.values.Add(1))}
	c.h.add(c.client, in, func() (result, bool) {
		res, err := c.w.st.Commit(c.w.Context(), store.Txn{
			If:   []store.Guard{by.Guard()},
			Then: []store.Op{store.Put(c.resource, fmt.Append(nil, in.value), 0)},
		})
		switch {
		case err == nil:
			return result{ok: res.Succeeded}, true
		case errors.Is(err, grapnel.ErrUnknown):
			return result{unknown: true}, true
		}
		return result{}, false
	})
}

func (c *contender) read() {
	c.h.add(c.client, op{kind: "read"}, func() (result, bool) {
		kv, err := c.w.st.Get(c.w.Context(), c.resource)
		value := 0
		if err == nil && kv.Mod != kv.Create {
			_, err = fmt.Sscan(string(kv.Value), &value)
		}
		return result{value: value}, err == nil
	})
}
