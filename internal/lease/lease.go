// Package lease keeps a lease alive and knows for how long it can be trusted.
//
// A process must not act on a lease that may have expired. It cannot ask the
// store, whose answer is old when it arrives, nor compare clocks with it. What
// it does know is that the store counts the TTL from some moment after the
// last acknowledged keepalive was sent. So it trusts the lease until that
// moment plus TTL, less a margin for what it is still doing when it stops, by
// its own monotonic clock. The reasoning is that of client-go's leader election
// and of River's elector.
//
// The margin also covers an etcd whose clock runs a little faster, and must be
// at least its election timeout, 1 s by default: a new leader extends leases
// and never shortens them.
package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/store"
)

// Keeper is a lease that is kept alive. Use [Grant], then [Keeper.Run] or, to
// keep it alive by hand, [Keeper.Keep]; [Keeper.Revoke] or [Keeper.GiveUp] at the
// end.
type Keeper struct {
	st     store.Store
	log    hclog.Logger
	id     store.LeaseID
	ttl    time.Duration
	margin time.Duration
	lost   error

	ctx  context.Context
	stop context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time   // guarded by mu; end of trust
	timer *time.Timer // guarded by mu; ends trust, whatever a request waits for
}

// Grant makes a lease and returns its keeper, whose context is a child of ctx
// and ends with cause lost when the lease can no longer be trusted.
func Grant(ctx context.Context, st store.Store, ttl, margin time.Duration, lost error, log hclog.Logger) (*Keeper, error) {
	return GrantUnder(ctx, ctx, st, ttl, margin, lost, log)
}

// GrantUnder is [Grant] with a context for the request that may end before the
// lease is needed no more: the keeper's context is a child of parent.
func GrantUnder(ctx, parent context.Context, st store.Store, ttl, margin time.Duration, lost error, log hclog.Logger) (*Keeper, error) {
	sent := time.Now()
	l, err := st.Grant(ctx, ttl)
	if err != nil {
		return nil, fmt.Errorf("grant lease: %w", err)
	}
	k := &Keeper{st: st, log: log, id: l.ID, ttl: l.TTL, margin: margin, lost: lost, until: sent.Add(l.TTL - margin)}
	k.ctx, k.stop = context.WithCancelCause(parent)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(time.Until(k.until), k.expire)
	return k, nil
}

// expire ends trust when its time has come.
func (k *Keeper) expire() {
	k.mu.Lock()
	left := time.Until(k.until)
	if left > 0 {
		k.timer.Reset(left)
	}
	k.mu.Unlock()
	if left <= 0 && !mutation.On(mutation.TrustExpiredLease) {
		k.GiveUp()
	}
}

// ID names the lease.
func (k *Keeper) ID() store.LeaseID { return k.id }

// TTL is the TTL that the store granted.
func (k *Keeper) TTL() time.Duration { return k.ttl }

// Margin is how long before its expiry the lease is no longer trusted.
func (k *Keeper) Margin() time.Duration { return k.margin }

// Context ends when the lease can no longer be trusted, or is given up.
func (k *Keeper) Context() context.Context { return k.ctx }

// Until returns the end of trust as known now.
func (k *Keeper) Until() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.until
}

// Trusted reports whether the lease can be relied on now. A process that was
// stopped for long may ask before its timers have fired, so this looks at the
// clock.
func (k *Keeper) Trusted() bool {
	if k.ctx.Err() != nil {
		return false
	}
	return time.Now().Before(k.Until()) || mutation.On(mutation.TrustExpiredLease)
}

// Keep sends one keepalive now and returns the new end of trust. If the lease is
// gone it gives it up.
func (k *Keeper) Keep(ctx context.Context) (time.Time, error) {
	sent := time.Now()
	l, err := k.st.KeepAlive(ctx, k.id)
	if errors.Is(err, store.ErrLeaseNotFound) {
		k.GiveUp()
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("keep lease alive: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if t := sent.Add(l.TTL - k.margin); t.After(k.until) {
		k.until = t
	}
	return k.until, nil
}

// GiveUp ends trust at once.
func (k *Keeper) GiveUp() {
	k.stop(k.lost)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer.Stop()
}

// Run keeps the lease alive until it can no longer be trusted, when it returns
// the error given to [Grant], or until ctx ends, when it ends trust, returns
// ctx's cause and leaves the lease to run out or to be revoked.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.GiveUp()
	every := k.ttl / 3
	// The first one is due since the lease was granted, which may be a while ago.
	timer := time.NewTimer(time.Until(k.Until()) - (k.ttl - k.margin) + every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-k.ctx.Done():
			return context.Cause(k.ctx)
		case <-timer.C:
		}
		if !k.Trusted() {
			return k.lost
		}
		next := every
		if err := k.try(ctx, every); err != nil && ctx.Err() == nil && k.ctx.Err() == nil {
			k.log.Warn("lease not kept alive", "error", err, "trusted_for", time.Until(k.Until()))
			next = every / 4
		}
		timer.Reset(next)
	}
}

// try sends one keepalive and waits for its answer for at most limit, and not
// after the end of trust.
func (k *Keeper) try(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	_, err := k.Keep(ctx)
	return err
}

// Revoke ends trust and revokes the lease.
func (k *Keeper) Revoke(ctx context.Context) error {
	k.GiveUp()
	if err := k.st.Revoke(ctx, k.id); err != nil {
		return fmt.Errorf("revoke lease: %w", err)
	}
	return nil
}
