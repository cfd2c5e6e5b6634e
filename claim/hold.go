package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/lease"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/store"
)

// hook ends the claim's context when its own lease cannot be trusted any more.
// Called before the claim is shared, or with mu held.
func (c *Claim) hook() {
	if c.unhook != nil {
		c.unhook()
		c.unhook = nil
	}
	if c.own == nil {
		return
	}
	own := c.own
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(own.Until()), func() {
		if left := time.Until(own.Until()); left > 0 {
			timer.Reset(left)
			return
		}
		own.GiveUp()
	})
	stop := context.AfterFunc(own.Context(), func() { c.cancel(ErrLost) })
	c.unhook = func() bool { timer.Stop(); return stop() }
}

// Until returns until when the claim can be trusted, as known now.
func (c *Claim) Until() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keeper().Until()
}

func (c *Claim) keeper() *lease.Keeper {
	if c.own != nil {
		return c.own
	}
	return c.s.Keeper
}

// Extend makes the claim valid until at least d from now and returns until when
// it is. While d is at most the TTL of the claim's lease, that takes a
// keepalive; otherwise the claim is bound to a new and longer lease of its own.
// Errors: [ErrLost], [grapnel.ErrInvalid] for a d that is not positive,
// [grapnel.ErrUnknown] if ctx ended first, or those of the store.
func (c *Claim) Extend(ctx context.Context, d time.Duration) (time.Time, error) {
	if d <= 0 {
		return time.Time{}, fmt.Errorf("%w: claim extended by %v", grapnel.ErrInvalid, d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keeper()
	if c.ctx.Err() != nil || !k.Trusted() {
		return time.Time{}, c.lostErr("extend")
	}
	if d <= k.TTL()-k.Margin() {
		until, err := k.Keep(ctx)
		if errors.Is(err, store.ErrLeaseNotFound) {
			return time.Time{}, c.lostErr("extend")
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("extend claim on node %s of run %q: %w", c.node, c.run, err)
		}
		return until, nil
	}
	longer, err := lease.Grant(context.WithoutCancel(ctx), c.s.st, d+k.Margin(), k.Margin(), ErrLost, c.s.log)
	if err != nil {
		return time.Time{}, fmt.Errorf("extend claim on node %s of run %q: %w", c.node, c.run, err)
	}
	if err := c.put(ctx, longer.ID()); err != nil {
		return time.Time{}, errors.Join(err, longer.Revoke(context.WithoutCancel(ctx)))
	}
	old := c.own
	c.own = longer
	c.hook()
	if old != nil {
		if err := old.Revoke(context.WithoutCancel(ctx)); err != nil {
			c.s.log.Warn("lease of an extended claim not revoked; it runs out", "run", c.run, "node", c.node, "error", err)
		}
	}
	return longer.Until(), nil
}

// Report writes progress, which is JSON, into the claim, where it outlives the
// attempt. Errors: [ErrLost], or those of the store.
func (c *Claim) Report(ctx context.Context, progress []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value.Progress = progress
	id := c.keeper().ID()
	return c.put(ctx, id)
}

// put rewrites the claim under lease id. It names the lease, for a plain put
// would detach it, and guards on the fence, for a late one must not bring a
// claim back. Called with mu held.
func (c *Claim) put(ctx context.Context, id store.LeaseID) error {
	c.value.Lease = int64(id)
	value, err := proto.Marshal(c.value)
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	if mutation.On(mutation.PlainPutOnClaim) {
		id = 0
	}
	t := store.Txn{
		If:   []store.Guard{c.s.Guard()},
		Then: []store.Op{store.Put(c.key, value, id)},
	}
	if !mutation.On(mutation.HeartbeatWithoutFence) {
		t.If = append(t.If, c.Guard())
	}
	res, err := store.Settle(ctx, c.s.st, t)
	switch {
	case errors.Is(err, store.ErrLeaseNotFound), err == nil && !res.Succeeded:
		c.cancel(ErrLost)
		return c.lostErr("write")
	case err != nil:
		return fmt.Errorf("write claim on node %s of run %q: %w", c.node, c.run, err)
	}
	return nil
}

// Release gives the node back unexecuted. It writes the head in the same commit,
// unchanged, so that the release is not taken for a loss. Releasing a claim that
// is gone is no error. Errors wrap [grapnel.ErrUnknown] if ctx ended first, or
// are those of the store; the claim then goes with its lease.
func (c *Claim) Release(ctx context.Context) error {
	defer c.cancel(context.Canceled)
	head := c.s.keys.Head(c.run)
	read := store.Txn{Then: []store.Op{store.Get(head), store.Get(c.key)}}
	res, err := store.Settle(ctx, c.s.st, read)
	for err == nil {
		found, claim := res.Reads[0], res.Reads[1]
		if !claim.Found || claim.KV.Create != grapnel.Revision(c.fence) {
			break
		}
		t := store.Txn{
			If:   []store.Guard{c.Guard(), store.ModIs(head, found.KV.Mod)},
			Then: []store.Op{c.Delete()},
			Else: read.Then,
		}
		if found.Found && !mutation.On(mutation.ReleaseWithoutHead) {
			t.Then = append(t.Then, store.Put(head, found.KV.Value, 0))
		}
		if res, err = store.Settle(ctx, c.s.st, t); err == nil && res.Succeeded {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("release claim on node %s of run %q: %w", c.node, c.run, err)
	}
	return c.Close(ctx)
}

// Close ends the claim's context and revokes its own lease, if it has one. It is
// for claims whose key a commit has deleted. It does not delete the key itself.
func (c *Claim) Close(ctx context.Context) error {
	c.cancel(context.Canceled)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revoke(ctx)
}

func (c *Claim) revoke(ctx context.Context) error {
	if c.unhook != nil {
		c.unhook()
		c.unhook = nil
	}
	if c.own == nil {
		return nil
	}
	own := c.own
	c.own = nil
	return own.Revoke(ctx)
}

func (c *Claim) lostErr(verb string) error {
	return fmt.Errorf("%s claim on node %s of run %q: %w", verb, c.node, c.run, ErrLost)
}
