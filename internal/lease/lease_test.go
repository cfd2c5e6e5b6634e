package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/internal/lease"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("lost")

func inBubble(t *testing.T, rule faultstore.Rule, test func(t *testing.T, mem *memstore.Store, k *lease.Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mem := memstore.New()
		defer mem.Close()
		k, err := lease.Grant(t.Context(), faultstore.New(mem, rule), 10*time.Second, time.Second, errLost, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		defer k.GiveUp()
		test(t, mem, k)
	})
}

// Nobody calls Run: trust ends all the same, and a keepalive moves its end.
func TestTrustEndsByItselfUnlessKept(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, _ *memstore.Store, k *lease.Keeper) {
		began := time.Now()
		faketime.Pass(6 * time.Second)
		if until, err := k.Keep(t.Context()); err != nil || until.Sub(began) != 15*time.Second {
			t.Fatalf("trusted until %v, %v", until.Sub(began), err)
		}
		<-k.Context().Done()
		if after := time.Since(began); after != 15*time.Second || !errors.Is(context.Cause(k.Context()), errLost) || k.Trusted() {
			t.Errorf("trust ended after %v by %v", after, context.Cause(k.Context()))
		}
	})
}

// Trust counts from the sending of a keepalive, not from its answer.
func TestTrustCountsFromTheSending(t *testing.T) {
	t.Parallel()
	slow := func(i faultstore.Info) faultstore.Action {
		if i.Kind == faultstore.KeepAlive {
			return faultstore.Action{Delay: 2 * time.Second}
		}
		return faultstore.Action{}
	}
	inBubble(t, slow, func(t *testing.T, _ *memstore.Store, k *lease.Keeper) {
		sent := time.Now()
		if until, err := k.Keep(t.Context()); err != nil || until.Sub(sent) != 9*time.Second {
			t.Errorf("trusted for %v from the sending, %v", until.Sub(sent), err)
		}
	})
}

func TestRunEndsWithItsContextOrTheLease(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, mem *memstore.Store, k *lease.Keeper) {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		faketime.Pass(time.Minute)
		if !k.Trusted() || len(mem.Leases()) != 1 {
			t.Fatal("the lease was not kept alive")
		}
		mem.ExpireLease(k.ID())
		if err := <-done; !errors.Is(err, errLost) {
			t.Errorf("Run returned %v", err)
		}
		if _, err := k.Keep(t.Context()); !errors.Is(err, store.ErrLeaseNotFound) {
			t.Errorf("a lease that is gone is kept: %v", err)
		}
		cancel(nil)
	})
	inBubble(t, nil, func(t *testing.T, mem *memstore.Store, k *lease.Keeper) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("over")
		cancel(why)
		if err := k.Run(ctx); !errors.Is(err, why) || k.Trusted() {
			t.Errorf("Run returned %v, trusted %v", err, k.Trusted())
		}
		if err := k.Revoke(t.Context()); err != nil || len(mem.Leases()) != 0 {
			t.Errorf("leases %x, %v", mem.Leases(), err)
		}
	})
}
