//go:build unix

package integration_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/workflow"
)

// noise is what the bounds of section 6 are exceeded by in tests at most: they
// hold for machines that have nothing else to do.
const noise = 3 * time.Second

func TestLeasedClaimsAreOfferedAgainWithinTTLPlus2s(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	sp.owner("c1")
	w1 := sp.worker("w1")
	run := begin(sp, flowWait, "the-run")
	_, fence := sp.begun(run.ID(), 1)
	w2 := sp.worker("w2")
	w1.kill()
	killed := time.Now()
	w, later := sp.begun(run.ID(), 2)
	took := time.Since(killed)
	if !isOf(w, w2) || later <= fence {
		t.Errorf("one outcome: attempt of %s with fence %d after one with fence %d", w, later, fence)
	}
	t.Logf("executed again %v after the kill", took)
	if bound := processTTL + 2*time.Second; took > bound+noise {
		t.Errorf("leased: executed again after %v, promised are %v", took, bound)
	}
	sp.open(run.ID())
	completes(sp, run, 2)
	if n := sp.get(run.ID()).Nodes[0]; n.Losses != 1 || n.Attempt != 2 {
		t.Errorf("honest count: %d losses, attempt %d; want 1 and 2", n.Losses, n.Attempt)
	}
	sp.audit()
}

// Workers die while they hold nodes of a map's items, some of them in the middle
// of a chain; and the coordinator with one of them.
func TestNothingLostWhenWorkersDieDuringAMap(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1 := sp.owner("c1")
	w1, w2 := sp.worker("w1"), sp.worker("w2")
	run := begin(sp, flowItems, "the-run")
	sp.begun(run.ID(), 2) // of the first 25 items, two wait
	w1.kill()
	w3 := sp.worker("w3")
	w2.kill()
	c1.kill()
	sp.owner("c2")
	sp.begun(run.ID(), 4) // each of them once more
	sp.open(run.ID())
	w3.kill()
	sp.worker("w4")
	completes(sp, run, itemsTotal)

	info := sp.get(run.ID())
	states := map[client.NodeState]int{}
	for _, n := range info.Nodes {
		if strings.HasPrefix(n.Name, "each[") {
			states[n.State]++
		}
	}
	// Six nodes per item: in a tenth of them one is skipped, in others two.
	if states[client.NodeSkipped] != items/10+2*(items-items/10) || states[client.NodeSkipped]+states[client.NodeCompleted] != 6*items {
		t.Errorf("states of the nodes of items: %v", states)
	}
	if n := info.Nodes[1]; n.Name != "each" || n.Items == nil || *n.Items != items {
		t.Errorf("the map is shown as %+v", n)
	}
	sp.audit()
}

func TestHonestCountOfReleases(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	sp.owner("c1")
	run := begin(sp, flowTwice, "the-run")
	const releases = 5
	var fence grapnel.Fence
	for i := range releases {
		w := sp.worker(fmt.Sprintf("w%d", i))
		holder, now := sp.begun(run.ID(), i+1)
		if !isOf(holder, w) || now <= fence {
			t.Fatalf("attempt %d is one of %s with fence %d after %d", i+1, holder, now, fence)
		}
		fence = now
		w.stop()
		if left := sp.fence(run.ID()); left != 0 {
			t.Fatalf("no ghost: the claim with fence %d is there although its worker has stopped", left)
		}
	}
	sp.worker("last")
	sp.begun(run.ID(), releases+1)
	sp.open(run.ID())
	completes(sp, run, 2)
	if n := sp.get(run.ID()).Nodes[0]; n.Losses != 0 || n.Failures != 0 || n.Attempt != 1 {
		t.Errorf("honest count: %d losses and %d failures, attempt %d; want none, and the first attempt", n.Losses, n.Failures, n.Attempt)
	}
	if r := sp.audit(); r.Losses != 0 || r.Releases != releases {
		t.Errorf("honest count: %d losses and %d releases, want 0 and %d", r.Losses, r.Releases, releases)
	}
}

func TestHonestCountOfLosses(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	sp.owner("c1")
	run := begin(sp, flowWait, "the-run")
	const most = workflow.DefaultMaxLosses
	var holders []string
	for i := range most {
		w := sp.worker(fmt.Sprintf("w%d", i))
		holder, _ := sp.begun(run.ID(), i+1)
		holders = append(holders, string(holder))
		w.kill()
	}
	_, err := run.Wait(sp.ctx)
	failed, ok := errors.AsType[*client.RunFailedError](err)
	if !ok || failed.Cause == nil || failed.Cause.Kind != workflow.KindLost {
		t.Fatalf("honest count: a node that was lost too often ended its run with %v", err)
	}
	if n := sp.get(run.ID()).Nodes[0]; n.Losses != most || !slices.Equal(n.LostBy, holders) {
		t.Errorf("honest count: %d losses of %v, want %d of %v", n.Losses, n.LostBy, most, holders)
	}
	if r := sp.audit(); r.Losses != most || r.Completed != 0 {
		t.Errorf("honest count: %d losses and %d completed nodes, want %d and 0", r.Losses, r.Completed, most)
	}
}

func TestNothingLostWhenWorkerAndCoordinatorDieTogether(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1, w1 := sp.owner("c1"), sp.worker("w1")
	run := begin(sp, flowFan, "the-run")
	sp.begun(run.ID(), 1)
	w1.kill()
	c1.kill()
	sp.owner("c2")
	w2 := sp.worker("w2")
	if w, _ := sp.begun(run.ID(), 2); !isOf(w, w2) {
		t.Errorf("the node went to %s", w)
	}
	sp.open(run.ID())
	completes(sp, run, 13) // four branches of 3, and one more
	// Nobody was there when the claim ran out: the loss is read from history.
	if n := sp.get(run.ID()).Nodes[0]; n.Losses != 1 || n.Attempt != 2 {
		t.Errorf("honest count: %d losses, attempt %d; want 1 and 2", n.Losses, n.Attempt)
	}
	sp.audit()
}
