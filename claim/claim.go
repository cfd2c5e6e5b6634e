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
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// TakenError says who holds a node. It is [ErrTaken].
type TakenError struct {
	Run    grapnel.RunID
	Node   grapnel.NodeKey
	Worker grapnel.WorkerID // empty if another node's claim covers the node
}

func (e *TakenError) Error() string {
	by := "another node's claim"
	if e.Worker != "" {
		by = "worker " + string(e.Worker)
	}
	return fmt.Sprintf("node %s of run %q: %v by %s", e.Node, e.Run, ErrTaken, by)
}

// Is reports whether target is [ErrTaken].
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// Target says what to claim.
type Target struct {
	Run      grapnel.RunID
	Instance grapnel.Instance
	Node     grapnel.NodeKey
	// CoverNode and CoverFence name the claim that last covered the node, if it
	// was chained to another: it must be gone. CoverFence is zero if there was
	// none.
	CoverNode  grapnel.NodeKey
	CoverFence grapnel.Fence
	// Attempt and Started are written into the claim: the number of the attempt
	// and the time, Unix milliseconds on the shard's clock.
	Attempt int
	Started int64
}

// Claim is the right to execute a node. It is safe for concurrent use.
type Claim struct {
	s      *Session
	run    grapnel.RunID
	node   grapnel.NodeKey
	key    string
	fence  grapnel.Fence
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool

	mu    lock
	value *pb.Claim        // guarded by mu
	mod   grapnel.Revision // guarded by mu; the key's, as this process knows it
	own   *lease.Keeper    // guarded by mu; nil while the session's lease is used
}

// Acquire claims a node under the session's lease, or, with a ttl, under a lease
// of its own, which only [Claim.Extend] keeps alive. With the claim it returns
// the run's head as of the claim's revision; the caller has to look into it and
// to [Claim.Release] the claim if the node is not to be executed after all.
//
// Errors: a [TakenError] if the node is claimed or covered, [grapnel.ErrRunGone]
// if the run is not the one the target names, [ErrLost] if the session is lost,
// or those of the store. With an error the node is not claimed. A claim whose
// outcome is unknown is looked after even when ctx has ended, for as long as the
// session lasts, so Acquire may return a claim after ctx's end.
func (s *Session) Acquire(ctx context.Context, t Target, ttl time.Duration) (*Claim, store.KV, error) {
	c := s.claimOf(t, s.ID())
	if ttl > 0 {
		own, err := lease.GrantUnder(ctx, s.Context(), s.st, ttl, min(s.Margin(), ttl/4), ErrLost, s.log)
		if err != nil {
			return nil, store.KV{}, fmt.Errorf("claim node %s of run %q: %w", t.Node, t.Run, err)
		}
		c.own, c.value.Lease = own, int64(own.ID())
	}
	head, err := c.acquire(ctx, t)
	if err != nil {
		err = fmt.Errorf("claim node %s of run %q: %w", t.Node, t.Run, err)
		return nil, store.KV{}, errors.Join(err, c.revoke(ctx))
	}
	c.begin()
	return c, head, nil
}

// claimOf returns the claim of a node under a lease, as it will be once it is
// acquired.
func (s *Session) claimOf(t Target, id store.LeaseID) *Claim {
	return &Claim{
		mu: make(lock, 1), s: s, run: t.Run, node: t.Node, key: s.keys.Claim(t.Run, t.Node),
		value: &pb.Claim{
			Worker: string(s.me), Lease: int64(id), Attempt: uint32(t.Attempt), Started: t.Started, Instance: int64(t.Instance),
		},
	}
}

// begin begins the life of a claim that was acquired.
func (c *Claim) begin() {
	c.mod = grapnel.Revision(c.fence)
	c.ctx, c.cancel = context.WithCancelCause(c.s.Context())
	c.hook()
}

func (c *Claim) acquire(ctx context.Context, t Target) (store.KV, error) {
	s := c.s
	for {
		if !s.Trusted() {
			return store.KV{}, errNotTrusted
		}
		mod := s.revision()
		txn, err := c.txn(t)
		if err != nil {
			return store.KV{}, err
		}
		txn.If = append(txn.If, s.unchanged(mod)...)
		txn.Else = []store.Op{store.Get(c.key), store.Get(s.keys.Head(t.Run)), store.Get(s.key)}
		res, err := store.Attempt(ctx, s.st, txn)
		if errors.Is(err, grapnel.ErrUnknown) {
			got, head, err := c.resolve(ctx, txn, mod)
			if err != nil || got {
				return head, err
			}
			continue
		}
		if err != nil {
			return store.KV{}, err
		}
		if res.Succeeded {
			c.fence = grapnel.Fence(res.Revision)
			return res.Reads[1].KV, nil
		}
		if err := c.refused(res.Reads, t, mod); err != nil {
			return store.KV{}, err
		}
	}
}

var errNotTrusted = fmt.Errorf("%w: the session is not to be trusted any more", ErrLost)

// txn puts the claim and gets the head. What it lacks is the guard on the
// session, which several claims can share.
func (c *Claim) txn(t Target) (store.Txn, error) {
	// Each sending is an operation of its own, so that a claim found later is
	// known to be this one.
	c.value.Operation = string(grapnel.NewOperationID())
	value, err := proto.Marshal(c.value)
	if err != nil {
		return store.Txn{}, fmt.Errorf("encode claim: %w", err)
	}
	head := c.s.keys.Head(t.Run)
	txn := store.Txn{
		If:   make([]store.Guard, 0, 4),
		Then: []store.Op{store.Put(c.key, value, store.LeaseID(c.value.Lease)), store.Get(head)},
	}
	if !mutation.On(mutation.ClaimWithoutAbsent) {
		txn.If = append(txn.If, store.Absent(c.key))
	}
	if !mutation.On(mutation.ClaimWithoutInstance) {
		txn.If = append(txn.If, store.CreateIs(head, t.Instance))
	}
	if t.CoverFence != 0 && !mutation.On(mutation.ClaimWithoutCover) {
		txn.If = append(txn.If, store.CreateIsNot(c.s.keys.Claim(t.Run, t.CoverNode), grapnel.Revision(t.CoverFence)))
	}
	return txn, nil
}

// unchanged holds while the session key is as it was at revision mod.
func (s *Session) unchanged(mod grapnel.Revision) []store.Guard {
	if mutation.On(mutation.ClaimWithoutSession) {
		return nil
	}
	return []store.Guard{store.ModIs(s.key, mod)}
}

// resolve finds out what became of a claim of unknown outcome, whose guard was
// the session key's revision mod: it voids it and looks.
func (c *Claim) resolve(ctx context.Context, sent store.Txn, mod grapnel.Revision) (bool, store.KV, error) {
	if mutation.On(mutation.ClaimResendAbsent) {
		res, err := c.s.st.Commit(ctx, sent)
		if err != nil || !res.Succeeded {
			return false, store.KV{}, err
		}
		c.fence = grapnel.Fence(res.Revision)
		return true, res.Reads[1].KV, nil
	}
	reads, err := c.s.void(mod, store.Get(c.key), store.Get(c.s.keys.Head(c.run)))
	if err != nil {
		return false, store.KV{}, err
	}
	return c.found(reads[0]), reads[1].KV, nil
}

// found takes in what was read once the claim was void, if it had not been
// applied before: it reports whether it was.
func (c *Claim) found(r store.Read) bool {
	if !r.Found || !c.isMine(r.KV) {
		return false
	}
	c.fence = grapnel.Fence(r.KV.Create)
	return true
}

func (c *Claim) isMine(kv store.KV) bool {
	v := &pb.Claim{}
	return proto.Unmarshal(kv.Value, v) == nil && v.Operation == c.value.Operation
}

// refused says why a claim was refused, or returns nil if it is worth another
// try. Reads are of the claim, the head and the session key.
func (c *Claim) refused(reads []store.Read, t Target, mod grapnel.Revision) error {
	claim, head, session := reads[0], reads[1], reads[2]
	if err := c.s.seen(session); err != nil {
		return err
	}
	switch {
	case !head.Found || head.KV.Create != t.Instance:
		return grapnel.ErrRunGone
	case claim.Found:
		v := &pb.Claim{}
		if err := proto.Unmarshal(claim.KV.Value, v); err != nil {
			return fmt.Errorf("%w: key %q: %w", grapnel.ErrCorrupt, claim.KV.Key, err)
		}
		return &TakenError{Run: t.Run, Node: t.Node, Worker: grapnel.WorkerID(v.Worker)}
	case session.KV.Mod != mod:
		return nil
	}
	return &TakenError{Run: t.Run, Node: t.Node}
}

// Fence returns the claim's fence.
func (c *Claim) Fence() grapnel.Fence { return c.fence }

// Key returns the claim's key.
func (c *Claim) Key() string { return c.key }

// Node returns the node that was claimed. The claim of a chain covers another
// one by and by.
func (c *Claim) Node() grapnel.NodeKey { return c.node }

// Run returns the run whose node was claimed.
func (c *Claim) Run() grapnel.RunID { return c.run }

// Guard holds while this claim is there. It goes into every commit that the
// claim is the right to.
func (c *Claim) Guard() store.Guard { return store.CreateIs(c.key, grapnel.Revision(c.fence)) }

// Delete deletes the claim's key. It belongs into commits that write the head.
func (c *Claim) Delete() store.Op { return store.Delete(c.key) }

// Context ends when the claim is lost, with cause [ErrLost]; when [Claim.Stop]
// is called, with the cause given; or when the session's context does.
func (c *Claim) Context() context.Context { return c.ctx }

// Stop ends the claim's context, whose cause becomes the one given.
func (c *Claim) Stop(cause error) { c.cancel(cause) }
