package wfrun

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// hunt is a scene with a fleet of two workers and a coordinator, and a reaper.
type hunt struct {
	*scene
	fleet *fleet
	reap  *reaper

	end      context.CancelFunc
	worked   chan error
	followed chan struct{}
}

func newHunt(t *testing.T) *hunt {
	t.Helper()
	s := newScene(t)
	f := newFleet(&Config{RoleArgs: []string{childArg, "obedient"}}, cli.Connection{}, func(err error) { t.Errorf("reported: %v", err) })
	t.Cleanup(f.close)
	for _, r := range []role{roleWorker, roleWorker, roleCoordinator} {
		if err := f.add(r); err != nil {
			t.Fatal(err)
		}
	}
	reap := newReaper(s.st, s.view, f, rand.New(rand.NewPCG(1, 0)), &teller{began: time.Now(), w: io.Discard})
	reap.settled = func() {}
	reap.nodeName = func(k grapnel.NodeKey) string { return "node " + string(k) }
	return &hunt{scene: s, fleet: f, reap: reap, worked: make(chan error, 1), followed: make(chan struct{})}
}

// begin follows the run and makes the kills.
func (h *hunt) begin(t *testing.T, strikes ...strike) {
	ctx, cancel := context.WithCancel(t.Context())
	h.end = cancel
	go func() {
		defer close(h.followed)
		_ = h.view.follow(ctx) // ends with the run or the test
	}()
	go func() { h.worked <- h.reap.work(ctx, strikes) }()
}

// report waits until all kills are made and returns what the reaper reports.
func (h *hunt) report(t *testing.T, planned int) *Report {
	t.Helper()
	if err := <-h.worked; err != nil {
		t.Error(err)
	}
	h.end()
	<-h.followed
	r := &Report{}
	h.reap.report(r, planned)
	return r
}

func TestReaperKillsAWorkerThatHoldsAClaimAndReplacesIt(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	h.put(t, h.keys.Claim("r", "0"), &pb.Claim{Worker: "worker-2.x"})
	victim := h.fleet.holder("worker-2.x")
	h.begin(t, strike{role: roleWorker})
	r := h.report(t, 1)
	if !victim.hasEnded() {
		t.Error("the worker was not killed")
	}
	if r.WorkerKills != 1 || r.Kills != 1 || r.MissedKills != 0 || r.KillsLeft != 0 {
		t.Errorf("reported %+v", r)
	}
	if len(r.KillList) != 1 || r.KillList[0].Process != "worker-2" || r.KillList[0].Claims != 1 ||
		!slices.Equal(r.KillList[0].Held, []string{"node 0"}) {
		t.Errorf("reported kills %+v", r.KillList)
	}
	if h.fleet.holder("worker-1") == nil || h.fleet.holder("worker-3") == nil {
		t.Error("the worker was not replaced by another one")
	}
}

func TestReaperWaitsUntilAKillIsDue(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	fence := h.put(t, h.keys.Claim("r", "0"), &pb.Claim{Worker: "worker-1.x"})
	h.begin(t, strike{role: roleWorker, after: 1})
	h.until(t, func(now sight) bool { return now.running == 1 })
	h.complete(t, 0, fence)
	h.put(t, h.keys.Claim("r", "1"), &pb.Claim{Worker: "worker-2.x"})
	if r := h.report(t, 1); len(r.KillList) != 1 || r.KillList[0].Process != "worker-2" || r.KillList[0].After != 1 {
		t.Errorf("reported kills %+v", r.KillList)
	}
	if h.fleet.holder("worker-1") == nil {
		t.Error("a worker was killed before it was due")
	}
}

func TestReaperMakesUpForAKillThatHitNoClaim(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	fence := h.put(t, h.keys.Claim("r", "0"), &pb.Claim{Worker: "worker-1.x"})
	missed := false
	h.reap.settled = func() { // the first victim's commit was on its way
		if !missed {
			missed = true
			h.complete(t, 0, fence)
			h.put(t, h.keys.Claim("r", "1"), &pb.Claim{Worker: "worker-2.x"})
		}
	}
	h.begin(t, strike{role: roleWorker})
	r := h.report(t, 1)
	if r.WorkerKills != 1 || r.MissedKills != 1 || r.KillsLeft != 0 {
		t.Errorf("reported %+v", r)
	}
	if h.fleet.holder("worker-1") != nil || h.fleet.holder("worker-2") != nil {
		t.Error("not both were killed")
	}
}

func TestReaperKillsTheOwnerOfTheRunsShard(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	owner := h.fleet.find(func(p *process) bool { return p.role == roleCoordinator })
	h.put(t, h.keys.ShardOwner(store.ShardOf("r")), &pb.Coordinator{Pid: uint32(owner.pid())})
	h.begin(t, strike{role: roleCoordinator})
	r := h.report(t, 1)
	if r.CoordinatorKills != 1 || r.Kills != 1 || len(r.KillList) != 1 || r.KillList[0].Process != "coordinator-1" {
		t.Errorf("reported %+v", r)
	}
	if h.fleet.find(func(p *process) bool { return p.name == "coordinator-2" }) == nil {
		t.Error("the coordinator was not replaced")
	}
}

func TestReaperReportsKillsThatTheRunsEndLeftNoTimeFor(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	fence := h.put(t, h.keys.Claim("r", "0"), &pb.Claim{Worker: "worker-1.x"})
	h.begin(t, strike{role: roleWorker, after: 1}, strike{role: roleWorker, after: 1})
	h.complete(t, 0, fence) // no claim from here on
	h.complete(t, 1, fence+1)
	<-h.followed
	h.end()
	if r := h.report(t, 2); r.Kills != 0 || r.KillsLeft != 2 {
		t.Errorf("reported %+v", r)
	}
}
