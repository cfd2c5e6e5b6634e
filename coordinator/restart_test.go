package coordinator_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestACoordinatorThatStartsHeedsTheClaimsItFinds(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}, {}}, func(d *workflow.Definition) {
			d.Nodes[0].Policy.StartToClose = time.Minute
			d.Nodes[1].Policy.Queue = "elsewhere"
		}), nil)
		w.claim("r", 0)
		e.wait(30 * time.Second)
		e.coordinate(nil)
		equal(t, "offers to a worker whose slot is taken, of a node that is", w.offers(), "")
		e.wait(30*time.Second + coordinator.DefaultGrace)
		h := e.wantStatus("r", grapnel.RunFailed)
		equal(t, "kind of the cause", h.State.Cause.Kind, workflow.KindStartToClose)
	})
}

// restorable is a store that can be put back to another state.
type restorable struct{ atomic.Pointer[memstore.Store] }

func (r *restorable) Get(ctx context.Context, key string) (store.KV, error) {
	return r.Load().Get(ctx, key)
}

func (r *restorable) List(ctx context.Context, q store.ListRequest) (store.Page, error) {
	return r.Load().List(ctx, q)
}

func (r *restorable) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	return r.Load().Commit(ctx, t)
}

func (r *restorable) Watch(ctx context.Context, q store.WatchRequest) <-chan store.Batch {
	return r.Load().Watch(ctx, q)
}

func (r *restorable) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	return r.Load().Grant(ctx, ttl)
}

func (r *restorable) KeepAlive(ctx context.Context, id store.LeaseID) (store.Lease, error) {
	return r.Load().KeepAlive(ctx, id)
}

func (r *restorable) Revoke(ctx context.Context, id store.LeaseID) error {
	return r.Load().Revoke(ctx, id)
}

func TestACoordinatorStartsOverWhenTheStoreWasRestored(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		old := memstore.New()
		t.Cleanup(old.Close)
		for i := range 5000 { // revisions that the restored store does not have
			put := store.Put(fmt.Sprintf("elsewhere/%d", i), nil, 0)
			_, err := old.Commit(t.Context(), store.Txn{Then: []store.Op{put}})
			e.must(err)
		}
		st := &restorable{}
		st.Store(old)
		e.coordinate(func(c *coordinator.Config) { c.Store = st })
		e.wait(time.Minute)
		st.Store(e.st)
		e.start("r", e.define([][]int{{}}, nil), nil)
		e.wait(2 * time.Minute)
		w := e.join("w", 1, nil)
		if got := w.offers(); !strings.Contains(got, "r/0") {
			t.Fatalf("offers %q from a coordinator whose store was restored", got)
		}
	})
}
