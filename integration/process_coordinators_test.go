//go:build unix

package integration_test

import (
	"errors"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

func TestNoStaleLeaderAfterACoordinatorWasStopped(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1 := sp.owner("c1")
	member := sp.awaitMember(c1, "")
	c2 := sp.standby("c2")
	sp.worker("w1")
	fan, late := begin(sp, flowFan, "fans-out"), begin(sp, flowShort, "times-out")
	sp.begun(fan.ID(), 1)
	sp.begun(late.ID(), 1)
	c1.pause()
	stopped := time.Now()
	sp.awaitOwner(c2)
	took := time.Since(stopped)
	t.Logf("all shards were taken over after %v", took)
	if bound := processTTL + 2*time.Second; took > bound+noise {
		t.Errorf("no stale leader: all shards were taken over after %v, promised are %v", took, bound)
	}
	sp.open(fan.ID())
	completes(sp, fan, 13)
	if _, err := late.Wait(sp.ctx); !errors.Is(err, grapnel.ErrTimedOut) {
		t.Errorf("timers: the run ended with %v", err)
	}
	revs := [2]grapnel.Revision{sp.head(fan.ID()), sp.head(late.ID())}

	// A run's time-out is due by the old owner's clock, too, and it knows
	// nothing of what has happened meanwhile.
	c1.resume()
	sp.awaitMember(c1, member)
	next := begin(sp, flowFan, "the-next-run")
	sp.begun(next.ID(), 1)
	sp.open(next.ID())
	completes(sp, next, 13)
	if now := [2]grapnel.Revision{sp.head(fan.ID()), sp.head(late.ID())}; now != revs {
		t.Errorf("no stale leader: the runs were at revisions %v and are at %v", revs, now)
	}
	sp.awaitOwner(c2) // it still is
	sp.audit()
}

func TestCancelHoldsAlthoughTheCoordinatorDiesBeforeItFoldsIt(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1, w1 := sp.owner("c1"), sp.worker("w1")
	alive, orphan := begin(sp, flowChain, "with-worker"), begin(sp, flowChain, "without-worker")
	w, _ := sp.begun(orphan.ID(), 1)
	sp.begun(alive.ID(), 1)
	c1.pause() // it hears of no event any more, and dies before it could
	for _, id := range []grapnel.RunID{alive.ID(), orphan.ID()} {
		if err := sp.client.Cancel(sp.ctx, id, "enough"); err != nil {
			t.Fatalf("cancel: %v", err)
		}
	}
	c1.kill()
	if !isOf(w, w1) {
		t.Fatalf("the node is held by %s", w)
	}
	sp.owner("c2")
	for _, run := range []*client.Run[int]{alive, orphan} {
		if _, err := run.Wait(sp.ctx); !errors.Is(err, grapnel.ErrCancelled) {
			t.Errorf("cancel holds: run %s ended with %v", run.ID(), err)
		}
		sp.open(run.ID())
	}
	// The worker goes on with other runs.
	next := begin(sp, flowChain, "the-next-run")
	sp.open(next.ID())
	completes(sp, next, 3)
	if r := sp.audit(); r.Completed != 2 {
		t.Errorf("cancel holds: %d nodes completed, want those 2 of the last run", r.Completed)
	}
}

func TestCancelHoldsAlthoughWorkerAndCoordinatorDie(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1, w1 := sp.owner("c1"), sp.worker("w1")
	run := begin(sp, flowChain, "the-run")
	sp.begun(run.ID(), 1)
	c1.pause()
	w1.kill()
	if err := sp.client.Cancel(sp.ctx, run.ID(), "enough"); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	c1.kill()
	sp.open(run.ID())
	sp.owner("c2")
	if _, err := run.Wait(sp.ctx); !errors.Is(err, grapnel.ErrCancelled) {
		t.Errorf("cancel holds: the run ended with %v", err)
	}
	sp.worker("w2")
	if r := sp.audit(); r.Completed != 0 || r.Executions != 1 {
		t.Errorf("cancel holds: %d nodes completed in %d executions, want 0 and 1", r.Completed, r.Executions)
	}
}

func TestTimersSurviveACoordinatorAndAreNeverEarly(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1 := sp.owner("c1")
	sp.worker("w1")
	nobody, short, flaky := begin(sp, flowNobody, "nobody"), begin(sp, flowShort, "short"), begin(sp, flowFlaky, "flaky")
	sp.begun(short.ID(), 1)
	sp.awaitHead(flaky.ID(), func(h *snapshot.Head) bool {
		trouble := h.State.Nodes[0].Trouble
		return trouble != nil && trouble.Failures == 1
	})
	c1.kill()
	sp.owner("c2")
	completes(sp, flaky, 2)
	if _, err := nobody.Wait(sp.ctx); !errors.Is(err, grapnel.ErrTimedOut) {
		t.Errorf("timers: the run whose node nobody takes ended with %v", err)
	}
	if _, err := short.Wait(sp.ctx); !errors.Is(err, grapnel.ErrTimedOut) {
		t.Errorf("timers: the run with a time-out ended with %v", err)
	}
	for id, least := range map[grapnel.RunID]time.Duration{
		nobody.ID(): scheduleToStart, short.ID(): runTimeout, flaky.ID(): retryBackoff,
	} {
		info := sp.get(id)
		took := info.Ended.Sub(info.Started)
		t.Logf("run %s ended after %v", id, took)
		if took < least {
			t.Errorf("timers: run %s ended after %v, its timer was for %v", id, took, least)
		}
		if bound := least + 2*processTTL + 2*time.Second; took > bound+noise {
			t.Errorf("timers: run %s ended after %v, its timer was for %v", id, took, least)
		}
	}
	sp.audit() // which also compares when the second attempt started
}

// awaitHead waits until a run's head is as wanted. The head is not bound to its
// definition.
func (sp *space) awaitHead(id grapnel.RunID, wanted func(*snapshot.Head) bool) {
	sp.t.Helper()
	key := sp.keys.Head(id)
	sp.await("the head of "+string(id)+" is as wanted", key, func(kvs map[string]store.KV) bool {
		h, err := snapshot.DecodeHead(kvs[key])
		return err == nil && wanted(h)
	})
}
