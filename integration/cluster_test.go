package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// cluster is a coordinator, workers and a client on a store in memory, whose
// calls can be made to fail. It lives in a synctest bubble.
type cluster struct {
	t      *testing.T
	keys   store.Keys
	mem    *memstore.Store
	faults *faultstore.Store
	client *client.Client
	flows  []workflow.Any
	base   int // calls made before the scenario
	deaths int // members that were cut off or died

	coordinators, workers []*member // that were there from the start
	members               []*member // all that ever were

	ctx  context.Context // ends when the cluster is closed
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// newCluster starts coordinators and workers and waits until they are at work.
func newCluster(t *testing.T, coordinators, workers int, flows ...workflow.Any) *cluster {
	t.Helper()
	keys, err := store.NewKeys(client.DefaultNamespace)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &cluster{t: t, ctx: ctx, stop: stop, keys: keys, mem: memstore.New(), flows: flows}
	c.faults = faultstore.New(c.mem, nil)
	if c.client, err = client.New(client.Config{Store: c.faults}); err != nil {
		t.Fatal(err)
	}
	for i := range coordinators {
		c.coordinators = append(c.coordinators, c.coordinator(fmt.Sprintf("c%d", i)))
	}
	for i := range workers {
		c.workers = append(c.workers, c.worker(fmt.Sprintf("w%d", i)))
	}
	c.settled(coordinators, workers)
	c.base = c.faults.Calls()
	return c
}

// member is a coordinator or worker, with a network of its own.
type member struct {
	c       *cluster
	name    string
	network *faultstore.Store
	stop    context.CancelFunc
	ended   chan struct{} // closed when its Run has returned
}

// cut keeps the member from reaching the store, and from hearing of it, until
// heal.
func (m *member) cut() {
	m.c.deaths++
	m.network.SetRule(func(faultstore.Info) faultstore.Action { return faultstore.Action{Fault: faultstore.Hang} })
	m.network.HoldWatches()
}

func (m *member) heal() {
	m.network.SetRule(nil)
	m.network.ResumeWatches()
}

// die ends the member without a word to the store.
func (m *member) die() {
	m.cut()
	m.stop()
}

// drain stops the member as a process is stopped that may clean up.
func (m *member) drain() {
	m.stop()
	<-m.ended
}

func (c *cluster) coordinator(name string) *member {
	c.t.Helper()
	return c.start(name, func(st store.Store) (func(context.Context) error, error) {
		co, err := coordinator.New(coordinator.Config{Store: st, Name: name, Retention: -1, Random: func() float64 { return 0 }})
		if err != nil {
			return nil, err
		}
		return co.Run, nil
	})
}

func (c *cluster) worker(name string) *member {
	c.t.Helper()
	return c.start(name, func(st store.Store) (func(context.Context) error, error) {
		w, err := worker.New(worker.Config{Store: st, Name: name, Slots: 2, Random: func() float64 { return 0 }})
		if err != nil {
			return nil, err
		}
		w.Serve(c.flows...)
		return w.Run, nil
	})
}

func (c *cluster) start(name string, role func(store.Store) (func(context.Context) error, error)) *member {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.ctx)
	m := &member{c: c, name: name, network: faultstore.New(c.faults, nil), stop: stop, ended: make(chan struct{})}
	c.members = append(c.members, m)
	c.wg.Go(func() {
		defer close(m.ended)
		// What cannot reach the store at its start ends, and is started again.
		for pause := (store.Pause{}); ; {
			run, err := role(m.network)
			if err == nil {
				err = run(ctx)
			}
			if err == nil || errors.Is(err, context.Canceled) {
				return
			}
			if !errors.Is(err, grapnel.ErrUnavailable) {
				c.t.Errorf("%s ended: %v", m.name, err)
				return
			}
			if pause.Wait(ctx) != nil {
				return
			}
		}
	})
	return m
}

// settled waits until all roles are at work.
func (c *cluster) settled(coordinators, workers int) {
	c.t.Helper()
	for range 1000 {
		synctest.Wait()
		if len(c.under(c.keys.ShardOwners())) == store.Shards && len(c.under(c.keys.Workers())) == workers &&
			len(c.under(c.keys.Coordinators())) == coordinators {
			return
		}
		faketime.Pass(10 * time.Millisecond) // lets retries of the roles come
	}
	c.t.Fatal("the cluster does not settle")
}

func (c *cluster) under(prefix string) []store.KV {
	c.t.Helper()
	page, err := c.mem.List(c.t.Context(), store.ListRequest{Prefix: prefix})
	if err != nil {
		c.t.Fatal(err)
	}
	return page.KVs
}

// close stops all roles, applies what is still on its way, and audits the
// history.
func (c *cluster) close() {
	c.t.Helper()
	c.faults.SetRule(nil)
	c.faults.ReleaseLate()
	synctest.Wait()
	report, err := audit.Read(c.t.Context(), c.mem, c.keys)
	if err != nil {
		c.t.Error(err)
	}
	if !report.Complete {
		c.t.Error("the audit has not seen all of the history")
	}
	for _, v := range report.Violations {
		c.t.Errorf("violation: %v", v)
	}
	for _, kv := range c.under(c.keys.Runs()) {
		if k, ok := c.keys.ParseRun(kv.Key); ok && k.Kind == "claim" {
			c.t.Errorf("no ghost: %s is left", kv.Key)
		}
	}
	c.stop()
	c.wg.Wait()
	c.faults.ReleaseLate()
	for _, m := range c.members {
		m.network.Wait()
	}
	if c.deaths > 0 {
		faketime.Pass(time.Minute) // the dead have not revoked their leases
		synctest.Wait()
	}
	// A lease whose grant nobody heard of holds nothing and runs out, and those
	// of tombstones last for some minutes.
	for _, kv := range c.under(c.keys.Root()) {
		if kv.Lease != 0 && !strings.HasPrefix(kv.Key, c.keys.Root()+"ended/") {
			c.t.Errorf("no ghost: the leased key %s is left", kv.Key)
		}
	}
	c.mem.Close()
	c.faults.Wait()
}

// ended waits until the run has ended and returns its status.
func (c *cluster) ended(id grapnel.RunID) grapnel.RunStatus {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Minute)
	defer cancel()
	info, err := c.client.WaitEnded(ctx, id)
	if err != nil {
		c.t.Fatalf("wait for run %s: %v", id, err)
	}
	return info.Status
}
