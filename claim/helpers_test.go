package claim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ttl    = 10 * time.Second
	margin = 1500 * time.Millisecond
	run    = grapnel.RunID("r")
)

// world is a store in memory with one run in it, seen through a store that can
// fail, in a bubble of fake time.
type world struct {
	*testing.T
	mem      *memstore.Store
	st       *faultstore.Store
	keys     store.Keys
	instance grapnel.Instance
}

func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		keys, err := store.NewKeys("test")
		if err != nil {
			t.Fatal(err)
		}
		mem := memstore.New()
		defer mem.Close()
		w := &world{T: t, mem: mem, st: faultstore.New(mem, nil), keys: keys}
		w.instance = w.commit(store.Put(keys.Head(run), []byte("head"), 0))
		test(w)
	})
}

// commit applies operations, past all faults, and returns their revision.
func (w *world) commit(ops ...store.Op) grapnel.Revision {
	w.Helper()
	res, err := w.mem.Commit(context.WithoutCancel(w.Context()), store.Txn{Then: ops})
	if err != nil {
		w.Fatal(err)
	}
	return res.Revision
}

func (w *world) found(key string) (store.KV, bool) {
	w.Helper()
	kv, err := w.mem.Get(context.WithoutCancel(w.Context()), key)
	if err != nil && !errors.Is(err, grapnel.ErrNotFound) {
		w.Fatal(err)
	}
	return kv, err == nil
}

// open opens a session, past all faults, that nobody keeps alive yet.
func (w *world) open(id grapnel.WorkerID) *claim.Session {
	w.Helper()
	s, err := claim.Open(w.Context(), claim.SessionConfig{Store: w.st, Keys: w.keys, Profile: &pb.Worker{Id: string(id)}, TTL: ttl, Margin: margin})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(s.GiveUp)
	return s
}

// keep keeps a session alive until the function returned is called.
func (w *world) keep(s *claim.Session) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // joined by stop
		defer close(done)
		_ = s.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

func (w *world) target(node grapnel.NodeKey) claim.Target {
	return claim.Target{Run: run, Instance: w.instance, Node: node, Attempt: 1, Started: 1}
}

func (w *world) acquire(s *claim.Session, node grapnel.NodeKey, own time.Duration) *claim.Claim {
	w.Helper()
	for {
		c, _, err := s.Acquire(w.Context(), w.target(node), own)
		switch {
		case err == nil:
			return c
		case !errors.Is(err, grapnel.ErrUnavailable):
			w.Fatal(err)
		}
	}
}

// release gives a claim back, as often as it takes.
func (w *world) release(c *claim.Claim) {
	w.Helper()
	for {
		err := c.Release(w.Context())
		switch {
		case err == nil:
			return
		case !errors.Is(err, grapnel.ErrUnavailable):
			w.Fatal(err)
		}
	}
}

// held fails the test unless the claim's key is the claim's, with a lease that
// is alive and that its value names.
func (w *world) held(c *claim.Claim) store.KV {
	w.Helper()
	kv, found := w.found(c.Key())
	v := &pb.Claim{}
	if err := proto.Unmarshal(kv.Value, v); err != nil {
		w.Fatal(err)
	}
	switch {
	case !found:
		w.Fatalf("the claim on node %s is not there", c.Node())
	case grapnel.Fence(kv.Create) != c.Fence():
		w.Fatalf("the claim on node %s has fence %d, want %d", c.Node(), kv.Create, c.Fence())
	case !slices.Contains(w.mem.Leases(), kv.Lease), v.Lease != int64(kv.Lease):
		w.Fatalf("the claim on node %s has lease %x and names lease %x; alive are %x", c.Node(), kv.Lease, v.Lease, w.mem.Leases())
	}
	return kv
}

// noClaims fails the test if a claim is there.
func (w *world) noClaims() {
	w.Helper()
	page, err := w.mem.List(context.WithoutCancel(w.Context()), store.ListRequest{Prefix: w.keys.Claims(run)})
	if err != nil {
		w.Fatal(err)
	}
	for _, kv := range page.KVs {
		w.Errorf("nobody has the claim %s of revision %d", kv.Key, kv.Create)
	}
}

// leases fails the test unless these sessions' leases are all there are.
func (w *world) leases(sessions ...*claim.Session) {
	w.Helper()
	var want []store.LeaseID
	for _, s := range sessions {
		want = append(want, s.ID())
	}
	if got := w.mem.Leases(); !slices.Equal(got, want) {
		w.Errorf("leases %x are alive, want %x", got, want)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want one that is %v", err, want)
	}
}

// onPut is a rule for the nth commit that puts a key.
func onPut(key string, nth int, f faultstore.Fault) faultstore.Rule {
	return func(i faultstore.Info) faultstore.Action {
		if i.Kind != faultstore.Commit || !slices.ContainsFunc(i.Txn.Then, func(o store.Op) bool { return o.Kind == store.OpPut && o.Key == key }) {
			return faultstore.Action{}
		}
		if nth--; nth != 0 {
			return faultstore.Action{}
		}
		return faultstore.Action{Fault: f}
	}
}
