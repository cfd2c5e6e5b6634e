package integration_test

import (
	"context"
	"errors"
	"fmt"
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
	base   int // calls made before the scenario

	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newCluster(t *testing.T, workers int, flows ...workflow.Any) *cluster {
	t.Helper()
	keys, err := store.NewKeys(client.DefaultNamespace)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &cluster{t: t, keys: keys, mem: memstore.New(), stop: stop}
	c.faults = faultstore.New(c.mem, nil)
	if c.client, err = client.New(client.Config{Store: c.faults}); err != nil {
		t.Fatal(err)
	}
	co, err := coordinator.New(coordinator.Config{Store: c.faults, Retention: -1, Random: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	c.run(func() error { return co.Run(ctx) })
	for i := range workers {
		w, err := worker.New(worker.Config{Store: c.faults, Name: fmt.Sprintf("w%d", i), Slots: 2, Random: func() float64 { return 0 }})
		if err != nil {
			t.Fatal(err)
		}
		w.Serve(flows...)
		c.run(func() error { return w.Run(ctx) })
	}
	c.settled(workers)
	c.base = c.faults.Calls()
	return c
}

func (c *cluster) run(f func() error) {
	c.wg.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			c.t.Errorf("role ended: %v", err)
		}
	})
}

// settled waits until all roles are at work.
func (c *cluster) settled(workers int) {
	c.t.Helper()
	for range 1000 {
		synctest.Wait()
		if len(c.under(c.keys.ShardOwners())) == store.Shards && len(c.under(c.keys.Workers())) == workers {
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
	if leases := c.mem.Leases(); len(leases) > 0 {
		c.t.Errorf("leases left behind: %v", leases)
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
