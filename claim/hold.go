package claim

import (
	"bytes"
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

// requestTimeout is for how long a request is waited for that only tidies up.
const requestTimeout = 5 * time.Second

// hook ends the claim's context when its own lease cannot be trusted any more.
// Called before the claim is shared, or with mu held.
func (c *Claim) hook() {
	if c.unhook != nil {
		c.unhook()
		c.unhook = nil
	}
	if own := c.own; own != nil {
		c.unhook = context.AfterFunc(own.Context(), func() { c.cancel(context.Cause(own.Context())) })
	}
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
// keepalive; otherwise the claim is bound to a new and longer lease of its own,
// which is seen through even when ctx has ended, for as long as the claim is
// trusted. Errors: [ErrLost], [grapnel.ErrInvalid] for a d that is not positive,
// or those of the store.
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
	return c.lengthen(ctx, d, k)
}

// lengthen binds the claim to a new lease that lasts for d. Called with mu held.
func (c *Claim) lengthen(ctx context.Context, d time.Duration, k *lease.Keeper) (time.Time, error) {
	longer, err := lease.GrantUnder(ctx, c.s.Context(), c.s.st, d+k.Margin(), k.Margin(), ErrLost, c.s.log)
	if err != nil {
		return time.Time{}, fmt.Errorf("extend claim on node %s of run %q: %w", c.node, c.run, err)
	}
	// Not under ctx: were it given up with its outcome unknown, nobody would know
	// which lease the claim depends on.
	if err := c.put(c.ctx, longer.ID()); err != nil {
		return time.Time{}, errors.Join(err, revoke(ctx, longer))
	}
	old := c.own
	c.own = longer
	c.hook()
	if old != nil {
		if err := revoke(ctx, old); err != nil {
			c.s.log.Warn("lease of an extended claim not revoked; it runs out", "run", c.run, "node", c.node, "error", err)
		}
	}
	return longer.Until(), nil
}

// revoke revokes a lease even if ctx has ended, which is harmless to repeat. A
// lease that is still there afterwards runs out, for nobody keeps it alive.
func revoke(ctx context.Context, k *lease.Keeper) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	for pause := (store.Pause{}); ; {
		err := k.Revoke(ctx)
		if err == nil {
			return nil
		}
		if cause := pause.Wait(ctx); cause != nil {
			return errors.Join(err, cause)
		}
	}
}

// Report writes progress, which is JSON, into the claim, where it outlives the
// attempt. Errors: [ErrLost], [grapnel.ErrUnknown] if ctx ended first, or those
// of the store.
func (c *Claim) Report(ctx context.Context, progress []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return c.lostErr("write")
	}
	c.value.Progress = progress
	return c.put(ctx, c.keeper().ID())
}

// put rewrites the claim under lease id. It names the lease, for a plain put
// would detach it, and guards on the claim as this process wrote it last: a late
// one must neither bring a claim back nor undo what was put since, the lease
// above all. Called with mu held.
func (c *Claim) put(ctx context.Context, id store.LeaseID) error {
	c.value.Lease = int64(id)
	value, err := proto.Marshal(c.value)
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	if mutation.On(mutation.PlainPutOnClaim) {
		id = 0
	}
	for {
		t := store.Txn{
			If:   []store.Guard{c.s.Guard()},
			Then: []store.Op{store.Put(c.key, value, id)},
			Else: []store.Op{store.Get(c.key), store.Get(c.s.key)},
		}
		if !mutation.On(mutation.HeartbeatWithoutFence) {
			t.If = append(t.If, c.Guard(), store.ModIs(c.key, c.mod))
		}
		res, err := store.Settle(ctx, c.s.st, t)
		switch {
		case err != nil:
			return fmt.Errorf("write claim on node %s of run %q: %w", c.node, c.run, err)
		case res.Succeeded:
			c.mod = res.Revision
			return nil
		}
		now, session := res.Reads[0], res.Reads[1]
		if !session.Found || !now.Found || now.KV.Create != grapnel.Revision(c.fence) {
			c.cancel(ErrLost)
			return c.lostErr("write")
		}
		// A put of unknown outcome arrived: this one, or one that was given up.
		c.mod = now.KV.Mod
		if bytes.Equal(now.KV.Value, value) && now.KV.Lease == id {
			return nil
		}
	}
}

// Release gives the node back unexecuted. It writes the head in the same commit,
// unchanged, so that the release is not taken for a loss. Releasing a claim that
// is gone is no error. Errors wrap [grapnel.ErrUnknown] if ctx ended first, or
// are those of the store; the claim may then still be there, and stays until its
// lease ends unless Release is called again.
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
	if err := c.Close(ctx); err != nil {
		c.s.log.Warn("lease of a released claim not revoked; it runs out", "run", c.run, "node", c.node, "error", err)
	}
	return nil
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
	return revoke(ctx, own)
}

func (c *Claim) lostErr(verb string) error {
	return fmt.Errorf("%s claim on node %s of run %q: %w", verb, c.node, c.run, ErrLost)
}
