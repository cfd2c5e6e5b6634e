package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// offer is a hint that a node is available.
type offer struct {
	nodeRef
	definition string
	attempt    int
	coverNode  grapnel.NodeKey
	coverFence grapnel.Fence // zero for a node that no claim covered last
}

// enqueue keeps an offer until a slot is free. It drops what there is no room
// for, and what waits already: offers are hints and are made again.
func (s *session) enqueue(o offer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.queued[o.nodeRef]; ok || s.draining.Load() {
		return false
	}
	select {
	case s.offers <- o:
		s.queued[o.nodeRef] = struct{}{}
		return true
	default:
		return false
	}
}

func (s *session) unqueue(o offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queued, o.nodeRef)
}

// order is an offer and the slot that it was given.
type order struct {
	offer
	slot *slot
}

// dispatch gives each offer a slot, until ctx ends. Offers that wait at the same
// time are claimed together.
func (s *session) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-s.offers:
			select {
			case <-ctx.Done():
				return
			case s.w.slots <- struct{}{}:
				orders := s.gather(order{o, &slot{w: s.w, users: 1}})
				s.work.Go(func() { s.executeAll(orders) })
			}
		}
	}
}

// gather returns an order and those that can be had without waiting for an offer
// or a slot.
func (s *session) gather(first order) []order {
	orders := []order{first}
	for len(orders) < claim.MostTogether {
		select {
		case s.w.slots <- struct{}{}:
		default:
			return orders
		}
		select {
		case o := <-s.offers:
			orders = append(orders, order{o, &slot{w: s.w, users: 1}})
		default:
			<-s.w.slots
			return orders
		}
	}
	return orders
}

// execution is a claim and the node that is being executed under it: the one
// claimed, then, in a chain, the ones that follow it.
type execution struct {
	s     *session
	order order // what it began with
	ref   runRef
	claim *claim.Claim
	by    int          // the slot of the node whose claim it is
	apart bool         // the claim has a lease of its own
	log   hclog.Logger // with the run and the fence
	with  *committer

	node    int             // the slot of the one that is being executed
	head    *snapshot.Head  // as it was when the node was claimed or covered; not modified
	started workflow.Moment // when that was, on the shard's clock
	since   time.Time       // and on the monotonic one
}

// executeAll claims what is offered, all at once if that is possible, and has
// each node executed.
func (s *session) executeAll(orders []order) {
	var together []*execution
	var targets []claim.Target
	for _, o := range orders {
		e, t, ttl := s.prepare(o)
		switch {
		case e == nil:
			s.done(o)
		case len(orders) == 1:
			s.execute(e, t, ttl)
		case ttl == 0:
			together, targets = append(together, e), append(targets, t)
		default:
			s.work.Go(func() { s.execute(e, t, ttl) })
		}
	}
	acquired := make([]claim.Acquired, len(targets))
	if len(targets) > 1 {
		all, err := s.AcquireAll(s.Context(), targets)
		if err == nil {
			acquired = all
		} else {
			s.log.Debug("offered nodes not claimed together", "error", err)
		}
	}
	for i, e := range together {
		s.work.Go(func() {
			if got := acquired[i]; got.Claim != nil {
				s.begin(e, got.Claim, got.Head)
			} else {
				s.execute(e, targets[i], 0)
			}
		})
	}
}

// done ends an order.
func (s *session) done(o order) {
	s.unqueue(o.offer)
	o.slot.release()
}

// prepare returns the execution that an order calls for, how to claim its node,
// and the TTL of the lease that the claim is to have for itself, or zero. The
// execution is nil if the node cannot be executed here.
func (s *session) prepare(o order) (*execution, claim.Target, time.Duration) {
	log := s.log.With("run", o.run)
	def, err := s.w.runs.Definitions().Get(s.Context(), o.definition)
	if err != nil {
		log.Warn("offered node not claimed", "node", o.node, "error", err)
		return nil, claim.Target{}, 0
	}
	node, _, ok := workflow.ParseKey(o.node)
	if !ok || node >= len(def.Nodes) || !s.canRun(def, node) {
		log.Debug("offered node cannot be executed here", "node", o.node)
		return nil, claim.Target{}, 0
	}
	e := &execution{s: s, order: o, ref: o.runRef, log: log, started: s.clock.now(), since: time.Now()}
	t := claim.Target{
		Run: o.run, Instance: o.instance, Node: o.node, Attempt: o.attempt, Started: int64(e.started),
	}
	if o.coverFence != 0 {
		t.CoverNode, t.CoverFence = o.coverNode, o.coverFence
	}
	return e, t, s.leaseFor(&def.Nodes[node].Policy)
}

// execute claims what is offered and executes it, and what follows it.
func (s *session) execute(e *execution, t claim.Target, ttl time.Duration) {
	e.apart = ttl > 0
	c, head, err := s.Acquire(s.Context(), t, ttl)
	switch {
	case err == nil:
		s.begin(e, c, head)
		return
	case errors.Is(err, claim.ErrTaken), errors.Is(err, grapnel.ErrRunGone), errors.Is(err, claim.ErrLost):
		e.log.Debug("offered node not claimed", "node", e.order.node, "error", err)
	default:
		e.log.Warn("offered node not claimed", "node", e.order.node, "error", err)
	}
	s.done(e.order)
}

// begin executes a node that was claimed, and what follows it.
func (s *session) begin(e *execution, c *claim.Claim, head store.KV) {
	defer e.order.slot.release()
	var err error
	e.claim, e.log = c, e.log.With("fence", c.Fence())
	if e.head, err = s.w.runs.Decode(s.Context(), head); err == nil {
		var ok bool
		if e.node, ok = e.head.State.Slot(e.order.node); !ok {
			err = fmt.Errorf("%w: the run has no such node", grapnel.ErrInvalid)
		}
	}
	if err != nil {
		s.unqueue(e.order.offer)
		e.log.Error("claimed node given back: the run cannot be read", "node", e.order.node, "error", err)
		e.release()
		e.close()
		return
	}
	e.by = e.node
	// The head is younger than the claim if that was of unknown outcome for long.
	e.started = max(e.started, e.head.State.Clock)
	s.remember(e)
	s.unqueue(e.order.offer)
	defer s.forget(e)
	if why := s.unfit(e, e.order.offer); why != "" {
		e.log.Debug("claimed node is not to be executed", "node", e.order.node, "reason", why)
		e.release()
		return
	}
	for e.step() {
		if s.draining.Load() {
			e.release()
			return
		}
	}
}

// key returns the key of the node that is being executed.
func (e *execution) key() grapnel.NodeKey { return e.head.State.Key(e.node) }

// canRun reports whether the worker can execute node i of def.
func (s *session) canRun(def *workflow.Definition, i int) bool {
	_, ok := s.w.reg.handler(def, i)
	return ok && s.profile.Lacks(def, i) == ""
}

// leaseFor returns the TTL of the lease that the claim of a node with this policy
// has to itself, or zero for the session's. Its trusted part outlasts the
// heartbeat time-out by a margin, in which the time-out is committed.
func (s *session) leaseFor(p *workflow.Policy) time.Duration {
	if p.Heartbeat == 0 {
		return 0
	}
	return p.Heartbeat + 2*s.Margin()
}

// unfit says why the node that was claimed must not be executed, or "". What was
// offered may be long past; what counts is the head as of the claim.
func (s *session) unfit(e *execution, o offer) string {
	h := e.head
	switch {
	case h.Instance != o.instance || h.Definition != o.definition:
		return "it is another run"
	case s.draining.Load():
		return "the worker is draining"
	case !h.State.Startable(e.node) && (!mutation.On(mutation.CancelStillStarts) || h.State.Status != grapnel.RunCancelling):
		return "it is not ready"
	}
	n := &h.State.Nodes[e.node]
	if n.Available > e.started {
		return "its time has not come"
	}
	cover := h.State.Key(n.Cover.Node)
	if n.Cover.Fence == 0 || n.Cover.Fence == o.coverFence && cover == o.coverNode {
		return ""
	}
	// Covered since it was offered. A claim that is gone by now is gone for good.
	kv, err := s.w.cfg.Store.Get(s.Context(), s.w.keys.Claim(h.Run, cover))
	switch {
	case errors.Is(err, grapnel.ErrNotFound):
		return ""
	case err != nil:
		return fmt.Sprintf("the claim that may cover it is not known: %v", err)
	case kv.Create == grapnel.Revision(n.Cover.Fence):
		return "another claim covers it"
	}
	return ""
}

func (s *session) remember(e *execution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active[e.claimRef()] = e
	e.with = s.committers[e.ref]
	if e.with == nil {
		e.with = &committer{s: s}
		s.committers[e.ref] = e.with
	}
	e.with.users++
}

func (s *session) forget(e *execution) {
	s.mu.Lock()
	delete(s.active, e.claimRef())
	if e.with.users--; e.with.users == 0 {
		delete(s.committers, e.ref)
	}
	s.mu.Unlock()
	e.close()
}

func (e *execution) claimRef() claimRef { return claimRef{e.ref.run, e.claim.Node(), e.claim.Fence()} }

// trusted reports whether the claim can be relied on now. A process that was
// stopped may ask before its timers have fired.
func (e *execution) trusted() bool {
	if e.claim.Context().Err() != nil || !e.s.Trusted() {
		return false
	}
	return time.Now().Before(e.claim.Until()) || mutation.On(mutation.TrustExpiredLease)
}

// step executes the node and commits its outcome. It reports whether the head
// has another node for the execution to go on with.
func (e *execution) step() bool {
	log := e.log.With("node", e.key())
	r := e.attempt(log)
	switch r.kind {
	case nothing:
		log.Info("execution ended without an outcome", "reason", r.why)
		return false
	case giveBack:
		log.Info("node given back", "reason", r.why)
		e.release()
		return false
	}
	v := e.with.submit(&outcome{
		e: e, node: e.node, by: e.by, started: e.started, now: max(e.s.clock.now(), e.started),
		output: r.output, decided: r.decided, failure: r.failure, random: e.s.w.cfg.Random(), done: make(chan verdict, 1),
	})
	switch v.kind {
	case committed:
		log.Debug("outcome committed", "failed", r.failure != nil)
	case discarded:
		log.Log(discardLevel(v.why), "outcome discarded", "reason", v.why)
	case undone:
		log.Error("outcome cannot be committed; node given back", "error", v.why)
		e.release()
	}
	if v.next < 0 {
		return false
	}
	e.node, e.head, e.started, e.since = v.next, v.head, v.started, v.since
	return true
}

// release gives the node back. It tries for as long as the session lasts, for a
// claim must not stay that nobody executes.
func (e *execution) release() {
	ctx := e.s.Context()
	for pause := (store.Pause{}); ; {
		err := e.claim.Release(ctx)
		if err == nil {
			return
		}
		if pause.Wait(ctx) != nil {
			return
		}
		e.log.Warn("claim not released; trying again", "error", err)
	}
}

// close ends the claim's context and its own lease, if it has one. By then the
// claim's key is deleted or lost.
func (e *execution) close() {
	if !e.apart {
		e.claim.Stop(context.Canceled)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.s.Context()), e.s.Margin())
	defer cancel()
	if err := e.claim.Close(ctx); err != nil {
		e.log.Warn("lease of a claim not revoked; it runs out", "error", err)
	}
}

// discardLevel is the level at which a discarded outcome is logged. That nobody
// wants the outcomes of a run that has ended is no reason to warn.
func discardLevel(why error) hclog.Level {
	if errors.Is(why, grapnel.ErrCancelled) || errors.Is(why, grapnel.ErrTimedOut) {
		return hclog.Info
	}
	return hclog.Warn
}
