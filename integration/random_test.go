package integration_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

var (
	turmoilSeed  = flag.Uint64("turmoil.seed", 1, "the first seed of TestTurmoil")
	turmoilSeeds = flag.Uint64("turmoil.seeds", 3, "how many seeds TestTurmoil plays")
)

// dice are random numbers for several goroutines.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

func (d *dice) float() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64()
}

func (d *dice) upTo(most time.Duration) time.Duration {
	return time.Duration(d.float() * float64(most))
}

// peer is a coordinator or worker with a way of its own to the store.
type peer struct {
	name   string
	faults *faultstore.Store
	stop   context.CancelFunc
	done   chan struct{}
	dead   bool
	healed time.Time // until when it is cut off; zero if it is not
}

// turmoil is a cluster whose members come, go and are cut off while a client
// starts, cancels, retries and deletes runs. It lives in a synctest bubble.
type turmoil struct {
	t     *testing.T
	dice  *dice
	keys  store.Keys
	mem   *memstore.Store
	flows []*workflow.Workflow[int, int]

	client       *client.Client
	clientFaults *faultstore.Store

	coordinators, workers, gone []*peer
	born                        int
	ids                         []grapnel.RunID
}

// TestTurmoil plays with everything at once: requests fail in every way, members
// are killed, cut off and stopped, watches break, tasks fail, hang and panic, and
// runs are cancelled, retried, replaced and deleted. Once the turmoil is over all
// runs must end, and the history must keep all promises.
func TestTurmoil(t *testing.T) {
	for seed := *turmoilSeed; seed < *turmoilSeed+*turmoilSeeds; seed++ {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("again: go test ./integration -run '^TestTurmoil$' -turmoil.seed %d -turmoil.seeds 1", seed)
				}
			})
			synctest.Test(t, func(t *testing.T) { newTurmoil(t, seed).play() })
		})
	}
}

func newTurmoil(t *testing.T, seed uint64) *turmoil {
	keys, err := store.NewKeys(client.DefaultNamespace)
	if err != nil {
		t.Fatal(err)
	}
	u := &turmoil{t: t, keys: keys, mem: memstore.New(), dice: &dice{rng: rand.New(rand.NewPCG(seed, 7))}}
	u.clientFaults = faultstore.New(u.mem, u.noise())
	if u.client, err = client.New(client.Config{Store: u.clientFaults}); err != nil {
		t.Fatal(err)
	}
	u.flows = u.workflows()
	return u
}

// noise is how requests fail while nothing worse is the matter.
func (u *turmoil) noise() faultstore.Rule {
	seed := uint64(u.dice.n(1 << 30))
	return faultstore.Random(seed, faultstore.Chances{Refused: 0.02, Before: 0.02, After: 0.03, Late: 0.03, Delay: 30 * time.Millisecond})
}

// act is what tasks do: it is drawn by lot.
func (u *turmoil) act(ctx context.Context, n int) (int, error) {
	switch u.dice.n(10) {
	case 0:
		return 0, errors.New("drawn by lot")
	case 1:
		panic("drawn by lot")
	case 2: // deaf
		faketime.Pass(u.dice.upTo(20 * time.Second))
	case 3, 4:
		for range u.dice.n(8) {
			if err := task.Heartbeat(ctx, n); err != nil {
				return 0, err
			}
			select {
			case <-time.After(u.dice.upTo(4 * time.Second)):
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}
	case 5, 6:
		select {
		case <-time.After(u.dice.upTo(8 * time.Second)):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return n + 1, nil
}

// workflows are what is run.
func (u *turmoil) workflows() []*workflow.Workflow[int, int] {
	retried := workflow.Retry(workflow.RetryPolicy{Attempts: 6, Jitter: 0.5})
	plain := workflow.TaskFunc("plain", u.act, retried, workflow.MaxLosses(4))
	beating := workflow.TaskFunc("beating", u.act, retried, workflow.Heartbeat(3*time.Second))
	timed := workflow.TaskFunc("timed", u.act, retried, workflow.StartToClose(5*time.Second), workflow.ScheduleToClose(5*time.Minute))
	fragile := workflow.TaskFunc("fragile", u.act, workflow.MaxLosses(1), workflow.ScheduleToStart(30*time.Second))
	tasks := []workflow.Task[int, int]{plain, beating, timed, fragile}
	sum := func(ns []int) int {
		total := 0
		for _, n := range ns {
			total += n
		}
		return total
	}
	return []*workflow.Workflow[int, int]{
		workflow.New("row", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			for i := range 6 {
				v = workflow.Do(g, []workflow.Task[int, int]{plain, plain, beating, timed, plain, plain}[i], v, workflow.ID(fmt.Sprintf("n%d", i)))
			}
			return v
		}),
		workflow.New("fan", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			var branches []workflow.Value[int]
			for i := range 8 {
				branches = append(branches, workflow.Do(g, tasks[i%4], v, workflow.ID(fmt.Sprintf("b%d", i))))
			}
			s := workflow.Inline(g, "sum", sum, workflow.Gather(g, "all", branches...))
			return workflow.Do(g, plain, s, workflow.ID("last"))
		}, workflow.RunTimeout(4*time.Minute)),
		workflow.New("mesh", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
			for layer := range 3 {
				var branches []workflow.Value[int]
				for i := range 3 {
					x := workflow.Do(g, plain, v, workflow.ID(fmt.Sprintf("l%d-%d", layer, i)))
					branches = append(branches, workflow.Do(g, plain, x, workflow.ID(fmt.Sprintf("m%d-%d", layer, i))))
				}
				v = workflow.Inline(g, fmt.Sprintf("sum%d", layer), sum, workflow.Gather(g, fmt.Sprintf("all%d", layer), branches...))
			}
			return v
		}),
		u.scopes(u.dice.n(4)),
	}
}

// scopes is a workflow of maps in a map and a switch, of which a number of items,
// zero for all, are under way at a time. Builds of other numbers are the same
// workflow under another policy.
func (u *turmoil) scopes(parallel int) *workflow.Workflow[int, int] {
	type V[T any] = workflow.Value[T]
	retried := workflow.Retry(workflow.RetryPolicy{Attempts: 6, Jitter: 0.5})
	step := workflow.TaskFunc("step", u.act, retried, workflow.MaxLosses(4))
	beating := workflow.TaskFunc("beating-step", u.act, retried, workflow.Heartbeat(3*time.Second))
	timed := workflow.TaskFunc("timed-step", u.act, retried, workflow.StartToClose(5*time.Second))
	upTo := func(most int) func(n int) []int {
		return func(n int) (all []int) {
			for i := range n % (most + 1) {
				all = append(all, i)
			}
			return all
		}
	}
	total := func(lists [][]int) (n int) {
		for _, l := range lists {
			n += len(l)
		}
		return n
	}
	return workflow.New("scopes", func(g *workflow.Graph, v V[int]) V[int] {
		first := workflow.Do(g, step, v, workflow.ID("first"))
		four := workflow.Inline(g, "four", func(n int) []int { return upTo(4)(n + 2) }, first)
		lists := workflow.Map(g, "each", four, func(g *workflow.Graph, n V[int]) V[[]int] {
			key := workflow.Inline(g, "key", func(n int) int { return n % 3 }, n)
			return workflow.Switch(g, "which", key,
				func(g *workflow.Graph) V[[]int] {
					x := workflow.Do(g, beating, workflow.Do(g, step, n))
					list := workflow.Inline(g, "two", upTo(2), x)
					return workflow.Map(g, "inner", list, func(g *workflow.Graph, m V[int]) V[int] {
						return workflow.Do(g, timed, workflow.Do(g, step, m, workflow.ID("a")), workflow.ID("b"))
					}, workflow.Parallel(parallel))
				},
				workflow.Case(1, func(g *workflow.Graph) V[[]int] {
					return workflow.Inline(g, "three", upTo(3), workflow.Do(g, timed, n))
				}))
		}, workflow.Parallel(parallel))
		return workflow.Do(g, step, workflow.Inline(g, "total", total, lists), workflow.ID("last"))
	})
}

func (u *turmoil) add(kind string, run func(p *peer) func(context.Context) error) *peer {
	u.born++
	ctx, stop := context.WithCancel(u.t.Context())
	p := &peer{name: fmt.Sprintf("%s%d", kind, u.born), faults: faultstore.New(u.mem, u.noise()), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for ctx.Err() == nil { // a role whose first requests fail, or whose first lease expires, ends
			err := run(p)(ctx)
			for _, ok := range []error{nil, grapnel.ErrUnavailable, grapnel.ErrUnknown, grapnel.ErrClaimLost} {
				if errors.Is(err, ok) {
					err = nil
				}
			}
			if err != nil && ctx.Err() == nil {
				u.t.Errorf("%s ended: %v", p.name, err)
			}
			faketime.Pass(time.Second)
		}
	}()
	return p
}

func (u *turmoil) coordinator() *peer {
	return u.add("c", func(p *peer) func(context.Context) error {
		co, err := coordinator.New(coordinator.Config{
			Store: p.faults, Name: p.name, Retention: -1, Random: u.dice.float, Sweep: 30 * time.Second,
		})
		if err != nil {
			panic(err)
		}
		return co.Run
	})
}

func (u *turmoil) worker() *peer {
	return u.add("w", func(p *peer) func(context.Context) error {
		w, err := worker.New(worker.Config{Store: p.faults, Name: p.name, Slots: 3, Seek: time.Second, Random: u.dice.float})
		if err != nil {
			panic(err)
		}
		for _, f := range u.flows {
			if f.Name() == "scopes" && u.dice.n(2) == 0 {
				f = u.scopes(u.dice.n(4))
			}
			w.Serve(f)
		}
		return w.Run
	})
}

func cut(faultstore.Info) faultstore.Action { return faultstore.Action{Fault: faultstore.Refused} }

// kill takes a peer's store away for good. What it sent last may still arrive.
func (u *turmoil) kill(p *peer) {
	p.dead = true
	p.faults.SetRule(cut)
	p.faults.CutWatches(fmt.Errorf("%w: killed", grapnel.ErrUnavailable))
	p.stop()
	u.gone = append(u.gone, p)
}

func (u *turmoil) disturb(peers *[]*peer, most int, join func() *peer) {
	if len(*peers) < most && u.dice.n(4) == 0 {
		*peers = append(*peers, join())
	}
	for i, p := range slices.Backward(*peers) {
		if !p.healed.IsZero() && time.Now().After(p.healed) {
			p.healed = time.Time{}
			p.faults.SetRule(u.noise())
		}
		switch u.dice.n(60) {
		case 0:
			u.kill(p)
			*peers = slices.Delete(*peers, i, i+1)
		case 1:
			p.stop()
			u.gone = append(u.gone, p)
			*peers = slices.Delete(*peers, i, i+1)
		case 2:
			p.healed = time.Now().Add(u.dice.upTo(25 * time.Second))
			p.faults.SetRule(cut)
			p.faults.CutWatches(fmt.Errorf("%w: cut off", grapnel.ErrUnavailable))
		case 3, 4:
			p.faults.CutWatches(fmt.Errorf("%w: cut", grapnel.ErrUnavailable))
		case 5, 6:
			p.faults.HoldWatches()
		case 7, 8, 9:
			p.faults.ResumeWatches()
		case 10, 11:
			p.faults.ReleaseLate()
		}
	}
	if leases := u.mortal(); len(leases) > 0 && u.dice.n(80) == 0 {
		u.mem.ExpireLease(leases[u.dice.n(len(leases))])
	}
}

// mortal returns the leases that may expire early. Nobody has to keep those of
// tombstones alive, and starts are recognised only as long as they last.
func (u *turmoil) mortal() []store.LeaseID {
	page, err := u.mem.List(u.t.Context(), store.ListRequest{Prefix: u.keys.Root() + "ended/", Limit: 10_000})
	if err != nil {
		u.t.Fatal(err)
	}
	return slices.DeleteFunc(u.mem.Leases(), func(id store.LeaseID) bool {
		return slices.ContainsFunc(page.KVs, func(kv store.KV) bool { return kv.Lease == id })
	})
}

// demand has the client ask for something.
func (u *turmoil) demand() {
	ctx, cancel := context.WithTimeout(u.t.Context(), 10*time.Second)
	defer cancel()
	id := grapnel.RunID(fmt.Sprintf("r%d", u.dice.n(20)))
	var err error
	switch u.dice.n(8) {
	case 0, 1, 2:
		policy := []client.ConflictPolicy{client.Fail, client.UseExisting, client.UseExisting, client.TerminateExisting}[u.dice.n(4)]
		_, err = client.Start(ctx, u.client, u.flows[u.dice.n(len(u.flows))], 1, client.WithID(id), client.OnConflict(policy))
		if !slices.Contains(u.ids, id) {
			u.ids = append(u.ids, id)
		}
	case 3:
		err = u.client.Cancel(ctx, id, "drawn by lot")
	case 4, 5:
		err = u.client.Retry(ctx, id)
	case 6:
		err = u.client.Delete(ctx, id)
	default:
		_, err = u.client.Get(ctx, id)
	}
	for _, ok := range []error{
		nil, grapnel.ErrUnavailable, grapnel.ErrUnknown, grapnel.ErrNotFound, grapnel.ErrConflict, grapnel.ErrExists,
		grapnel.ErrRunEnded, grapnel.ErrRunGone, grapnel.ErrWrongDefinition, context.DeadlineExceeded,
	} {
		if errors.Is(err, ok) {
			return
		}
	}
	u.t.Errorf("run %s: unexpected error: %v", id, err)
}

func (u *turmoil) play() {
	u.coordinators = append(u.coordinators, u.coordinator())
	u.workers = append(u.workers, u.worker(), u.worker())
	for range 250 {
		u.disturb(&u.coordinators, 2, u.coordinator)
		u.disturb(&u.workers, 4, u.worker)
		u.demand()
		faketime.Pass(u.dice.upTo(1500 * time.Millisecond))
	}
	u.calm()
	u.allEnd()
	u.audit()
	u.close()
}

// calm ends the turmoil and leaves a whole cluster.
func (u *turmoil) calm() {
	u.clientFaults.SetRule(nil)
	u.clientFaults.ReleaseLate()
	for _, p := range slices.Concat(u.coordinators, u.workers, u.gone) {
		if !p.dead {
			p.faults.SetRule(nil)
		}
		p.faults.ResumeWatches()
		p.faults.ReleaseLate()
	}
	if len(u.coordinators) == 0 {
		u.coordinators = append(u.coordinators, u.coordinator())
	}
	for len(u.workers) < 2 {
		u.workers = append(u.workers, u.worker())
	}
	for _, p := range slices.Concat(u.coordinators, u.workers) {
		p.faults.SetRule(nil)
	}
}

func (u *turmoil) allEnd() {
	for _, id := range u.ids {
		ctx, cancel := context.WithTimeout(u.t.Context(), time.Hour)
		defer cancel()
		if _, err := u.client.WaitEnded(ctx, id); err != nil && !errors.Is(err, grapnel.ErrNotFound) && !errors.Is(err, grapnel.ErrRunGone) {
			info, getErr := u.client.Get(u.t.Context(), id)
			u.t.Errorf("run %s is stuck: %v; %+v, %v", id, err, info, getErr)
		}
	}
}

func (u *turmoil) audit() {
	faketime.Pass(time.Minute)
	synctest.Wait()
	report, err := audit.Read(u.t.Context(), u.mem, u.keys)
	if err != nil || !report.Complete {
		u.t.Errorf("audited: complete %v, %v", report.Complete, err)
	}
	for _, v := range report.Violations {
		u.t.Errorf("violation: %v", v)
	}
	report.Violations = nil
	u.t.Logf("%+v", report)
}

func (u *turmoil) close() {
	all := slices.Concat(u.coordinators, u.workers, u.gone)
	for _, p := range all {
		p.stop()
	}
	for _, p := range all {
		<-p.done
		p.faults.ReleaseLate()
	}
	faketime.Pass(10 * time.Minute) // leases of the dead run out
	if leases := u.mem.Leases(); len(leases) > 0 {
		u.t.Errorf("leases left behind: %v", leases)
	}
	u.mem.Close()
	for _, p := range all {
		p.faults.Wait()
	}
	u.clientFaults.Wait()
}
