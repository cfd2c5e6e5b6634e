package wfrun

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// settle is for how long after a worker's death requests of its may still be on
// their way into the store. It is far below any lease's TTL, so claims that were
// lost are still there.
const settle = 100 * time.Millisecond

// reaper makes the planned kills.
type reaper struct {
	st     store.Store
	keys   store.Keys
	run    grapnel.RunID
	view   *view
	fleet  *fleet
	random *rand.Rand // chooses workers, and is used for nothing else meanwhile
	tell   *teller
	// nodeName returns the name of a node in the report.
	nodeName func(grapnel.NodeKey) string
	// settled waits until no request of a dead worker is on its way any more.
	settled func()

	mu     sync.Mutex
	made   []Kill // guarded by mu
	byRole map[role]int
	missed int // guarded by mu
}

func newReaper(st store.Store, v *view, f *fleet, random *rand.Rand, tell *teller) *reaper {
	return &reaper{
		st: st, keys: v.keys, run: v.run, view: v, fleet: f, random: random, tell: tell,
		nodeName: func(k grapnel.NodeKey) string { return string(k) },
		settled:  func() { time.Sleep(settle) }, byRole: map[role]int{},
	}
}

// work makes the kills until all are made or ctx ends, which it does when the run
// does. Those of workers do not wait for those of coordinators, nor the other way
// round: a shard may have no owner for a while.
func (r *reaper) work(ctx context.Context, strikes []strike) error {
	roles := []role{roleWorker, roleCoordinator}
	errs := make([]error, len(roles))
	var wg sync.WaitGroup
	for i, which := range roles {
		wg.Go(func() { errs[i] = r.workOn(ctx, which, strikes) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// workOn makes the kills of one role, one after the other.
func (r *reaper) workOn(ctx context.Context, which role, strikes []strike) error {
	for _, s := range strikes {
		for done := s.role != which; !done; {
			victim, after := r.await(ctx, s)
			if victim == nil {
				return nil
			}
			var err error
			if done, err = r.strike(ctx, s, victim, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// await waits until a strike is due and there is somebody to hit, whom it
// returns with the number of nodes completed by then; nil if ctx ends before.
func (r *reaper) await(ctx context.Context, s strike) (*process, int) {
	for {
		now := r.view.look()
		if now.completed >= s.after && !now.status.Ended() {
			if victim := r.choose(s.role, now); victim != nil {
				return victim, now.completed
			}
		}
		select {
		case <-ctx.Done():
			return nil, 0
		case <-now.changed:
		}
	}
}

// choose returns a worker that holds a claim, or the coordinator that owns the
// run's shard; nil if there is none that lives.
func (r *reaper) choose(which role, now sight) *process {
	if which == roleCoordinator {
		return r.fleet.withPID(now.owner)
	}
	var holders []*process
	for _, w := range now.holders {
		if p := r.fleet.holder(w); p != nil {
			holders = append(holders, p)
		}
	}
	if len(holders) == 0 {
		return nil
	}
	return holders[r.random.IntN(len(holders))]
}

// strike kills a process and starts another one in its place. It reports whether
// the kill counts.
func (r *reaper) strike(ctx context.Context, s strike, victim *process, after int) (bool, error) {
	if ctx.Err() != nil || !victim.kill() {
		return false, nil
	}
	if err := r.fleet.add(s.role); err != nil {
		return false, err
	}
	k := Kill{Process: victim.name, After: after}
	if s.role == roleWorker {
		var err error
		if k.Held, err = r.leftBehind(ctx, victim); err != nil {
			return false, err
		}
		k.Claims = len(k.Held)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.role == roleWorker && k.Claims == 0 {
		r.missed++
		r.tell.say("killed %s, which had just finished what it held", k.Process)
		return false, nil
	}
	r.made = append(r.made, k)
	r.byRole[s.role]++
	if s.role == roleWorker {
		r.tell.say("killed %s, which held %s", k.Process, claims(k.Claims))
	} else {
		r.tell.say("killed %s, which owned the shard", k.Process)
	}
	return true, nil
}

func claims(n int) string {
	if n == 1 {
		return "1 claim"
	}
	return fmt.Sprintf("%d claims", n)
}

// leftBehind returns what the claims were for that a worker that was killed left
// behind, once no request of its is on its way any more. It does so even when
// the run ends meanwhile.
func (r *reaper) leftBehind(ctx context.Context, victim *process) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	r.settled()
	var held []string
	req := store.ListRequest{Prefix: r.keys.Claims(r.run)}
	for {
		page, err := r.st.List(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("look up the claims that %s left behind: %w", victim.name, err)
		}
		for _, kv := range page.KVs {
			m := &pb.Claim{}
			if err := proto.Unmarshal(kv.Value, m); err != nil {
				return nil, fmt.Errorf("%w: key %q: %w", grapnel.ErrCorrupt, kv.Key, err)
			}
			if processName(grapnel.WorkerID(m.Worker)) == victim.name {
				k, _ := r.keys.ParseRun(kv.Key)
				held = append(held, r.nodeName(grapnel.NodeKey(k.ID)))
			}
		}
		if !page.More {
			return held, nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// kills returns how many kills count so far.
func (r *reaper) kills() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.made)
}

// report writes down what was done of what was planned.
func (r *reaper) report(to *Report, planned int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to.KillList = append([]Kill{}, r.made...)
	to.WorkerKills, to.CoordinatorKills = r.byRole[roleWorker], r.byRole[roleCoordinator]
	to.Kills = to.WorkerKills + to.CoordinatorKills
	to.MissedKills, to.KillsLeft = r.missed, planned-to.Kills
}
