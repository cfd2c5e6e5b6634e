//go:build unix

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

// unavailable checks what a client is told while there is no store.
func (sp *space) unavailable(run grapnel.RunID) {
	sp.t.Helper()
	ctx, cancel := context.WithTimeout(sp.ctx, time.Second)
	defer cancel()
	for what, do := range map[string]func() error{
		"get":    func() error { _, err := sp.client.Get(ctx, run); return err },
		"list":   func() error { _, err := sp.client.List(ctx, client.Filter{}, "", 10); return err },
		"cancel": func() error { return sp.client.Cancel(ctx, run, "") },
		"start": func() error {
			_, err := client.Start(ctx, sp.client, flowWait, 1, client.WithID("started-in-vain"))
			return err
		},
	} {
		err := do()
		if !errors.Is(err, grapnel.ErrUnavailable) && !errors.Is(err, grapnel.ErrUnknown) && !errors.Is(err, context.DeadlineExceeded) {
			sp.t.Errorf("fail closed: without a store, %s returned %v", what, err)
		}
	}
}

func TestFailClosedWithoutAStoreForLessThanTheTTL(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	long := func(s *roleSettings) { s.TTL = 20 * time.Second }
	sp.owner("c1", long)
	sp.worker("w1", long)
	run := begin(sp, flowFan, "the-run")
	_, fence := sp.begun(run.ID(), 1)
	sp.outage(func() { sp.unavailable(run.ID()) })
	if now := sp.fence(run.ID()); now != fence {
		t.Errorf("one outcome: the claim with fence %d became one with %d", fence, now)
	}
	sp.open(run.ID())
	completes(sp, run, 13)
	if n := sp.get(run.ID()).Nodes[0]; n.Attempt != 1 || n.Losses != 0 {
		t.Errorf("honest count: attempt %d and %d losses, want the first and none", n.Attempt, n.Losses)
	}
	sp.audit()
}

func TestFailClosedWithoutAStoreForLongerThanTheTTL(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1, w1 := sp.owner("c1"), sp.worker("w1")
	run := begin(sp, flowFan, "the-run")
	first, _ := sp.begun(run.ID(), 1)
	sp.outage(func() {
		sp.unavailable(run.ID())
		sp.says(w1, "session lost", 0)
		sp.says(c1, "membership ended", 0)
	})
	second, _ := sp.begun(run.ID(), 2)
	if !isOf(second, w1) || second == first {
		t.Errorf("one outcome: attempts of %s and %s, want two sessions of one worker", first, second)
	}
	sp.open(run.ID())
	completes(sp, run, 13)
	sp.awaitOwner(c1)
	sp.audit()
}

func TestWallsBetweenNamespaces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a, b := s.space("a"), s.space("b")
	for _, sp := range []*space{a, b} {
		sp.owner("c-" + sp.namespace)
	}
	workerA := a.worker("w-a")
	b.worker("w-b")
	for _, sp := range []*space{a, b} {
		completes(sp, begin(sp, flowWhere, "where"), sp.namespace)
	}
	runA, runB := begin(a, flowChain, "same"), begin(b, flowChain, "same")
	a.begun(runA.ID(), 1)
	_, fence := b.begun(runB.ID(), 1)

	// What happens in one is nothing to the other.
	workerA.kill()
	if err := a.client.Cancel(a.ctx, runA.ID(), "enough"); err != nil {
		t.Fatal(err)
	}
	if _, err := runA.Wait(a.ctx); !errors.Is(err, grapnel.ErrCancelled) {
		t.Errorf("walls: the cancelled run ended with %v", err)
	}
	a.open(runA.ID())
	begin(a, flowChain, "only-here")
	if now := b.fence(runB.ID()); now != fence {
		t.Errorf("walls: the claim in the other namespace had fence %d and has %d", fence, now)
	}
	b.open(runB.ID())
	completes(b, runB, 3)
	if _, err := b.client.Get(b.ctx, "only-here"); !errors.Is(err, grapnel.ErrNotFound) {
		t.Errorf("walls: a run of the other namespace: %v", err)
	}
	for sp, want := range map[*space]int{a: 3, b: 2} {
		if page, err := sp.client.List(sp.ctx, client.Filter{}, "", 100); err != nil || len(page.Runs) != want {
			t.Errorf("walls: namespace %s has runs %v, %v; want %d", sp.namespace, page, err, want)
		}
	}
	// Its worker is gone, and no other worker takes the run.
	a.worker("w-a2")
	a.open("only-here")
	if info, err := a.client.WaitEnded(a.ctx, "only-here"); err != nil || info.Status != grapnel.RunCompleted {
		t.Errorf("nothing lost: %v, %v", info, err)
	}
	for _, kv := range a.under("/") {
		if !strings.HasPrefix(kv.Key, a.keys.Root()) && !strings.HasPrefix(kv.Key, b.keys.Root()) && !strings.HasPrefix(kv.Key, "/signs/") {
			t.Errorf("walls: key %q belongs to neither namespace", kv.Key)
		}
	}
	a.audit()
	b.audit()
}

// TestViewsAgreeAfterLoadAndTakeOvers goes by what coordinators themselves find
// out when they compare their view with a listing.
func TestViewsAgreeAfterLoadAndTakeOvers(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	sweeping := func(s *roleSettings) { s.Sweep, s.Debug = 500*time.Millisecond, true }
	c1 := sp.owner("c1", sweeping)
	c2 := sp.coordinator("c2", sweeping)
	sp.awaitMember(c2, "")
	w1 := sp.worker("w1")
	sp.worker("w2")
	const runs = 30
	runID := func(i int) grapnel.RunID { return grapnel.RunID(fmt.Sprintf("run-%d", i)) }
	for i := range runs {
		begin(sp, flowFan, runID(i))
		if i%2 == 0 {
			sp.open(runID(i))
		}
	}
	w1.kill()
	c1.kill()
	c3 := sp.coordinator("c3", sweeping)
	for i := range runs {
		sp.open(runID(i))
	}
	for i := range runs {
		if info, err := sp.client.WaitEnded(sp.ctx, runID(i)); err != nil || info.Status != grapnel.RunCompleted {
			t.Errorf("nothing lost: run %s: %v, %v", runID(i), info, err)
		}
	}
	for _, c := range []*child{c2, c3} {
		before, _ := c.output.count("sweep complete")
		sp.says(c, "sweep complete", before+1) // one may be under way
		if n, _ := c.output.count("differed from what is stored"); n > 0 {
			t.Errorf("views agree: %s found %d differences", c.name, n)
		}
	}
	if r := sp.audit(); r.Completed != 7*runs {
		t.Errorf("nothing lost: %d nodes completed, want %d", r.Completed, 7*runs)
	}
}
