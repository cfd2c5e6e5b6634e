package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// session is a worker between the opening and the end of one claim session.
type session struct {
	*claim.Session
	w       *Worker
	log     hclog.Logger
	profile *snapshot.Profile // not modified
	clock   clock
	end     context.CancelCauseFunc // ends the session's context

	offers   chan offer
	taken    chan string // keys of messages to be deleted
	alone    gate        // open while there is no coordinator, as far as known
	draining atomic.Bool
	stopping context.Context // ends when the grace is over
	stop     context.CancelCauseFunc

	work sync.WaitGroup // executions and commits

	mu         sync.Mutex
	queued     map[nodeRef]struct{}    // guarded by mu; offers not yet claimed
	active     map[claimRef]*execution // guarded by mu
	committers map[runRef]*committer   // guarded by mu
}

// runRef, nodeRef and claimRef name a run, a node and a claim. Two claims may
// have the same fence, hence the node.
type (
	runRef struct {
		run      grapnel.RunID
		instance grapnel.Instance
	}
	nodeRef struct {
		runRef
		node grapnel.NodeKey
	}
	claimRef struct {
		run   grapnel.RunID
		node  grapnel.NodeKey
		fence grapnel.Fence
	}
)

// open announces what the worker serves and opens a session. The session's
// context does not end with ctx: it has to last while the worker drains.
func (w *Worker) open(ctx context.Context) (*session, error) {
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	timer := time.AfterFunc(w.cfg.TTL, func() {
		end(fmt.Errorf("%w: no session within %v", grapnel.ErrUnavailable, w.cfg.TTL))
	})
	s, err := w.openUnder(base, end)
	inTime, wanted := timer.Stop(), unhook()
	if err == nil && (!inTime || !wanted) {
		// Too late to be of use: the session's context has ended or is about to.
		s.revoke()
		<-base.Done()
		err = context.Cause(base)
	}
	if err != nil {
		end(err)
		return nil, err
	}
	return s, nil
}

func (w *Worker) openUnder(base context.Context, end context.CancelCauseFunc) (*session, error) {
	served, err := w.announce(base)
	if err != nil {
		return nil, err
	}
	profile := w.profile(served)
	log := w.log.With("worker", profile.Worker)
	cs, err := claim.Open(base, claim.SessionConfig{
		Store: w.cfg.Store, Keys: w.keys, Profile: profile.Message(), TTL: w.cfg.TTL, Margin: w.cfg.Margin, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	s := &session{
		Session: cs, w: w, log: log, profile: profile, end: end,
		offers: make(chan offer, w.cfg.Slots), taken: make(chan string, deleteBatch),
		queued: map[nodeRef]struct{}{}, active: map[claimRef]*execution{}, committers: map[runRef]*committer{},
	}
	s.stopping, s.stop = context.WithCancelCause(context.WithoutCancel(base))
	log.Info("session opened", "ttl", cs.TTL(), "slots", w.cfg.Slots)
	return s, nil
}

func (w *Worker) profile(served []string) *snapshot.Profile {
	host, err := os.Hostname()
	if err != nil {
		w.log.Warn("host name unknown", "error", err)
	}
	return &snapshot.Profile{
		Worker: grapnel.NewWorkerID(w.cfg.Name), Host: host, PID: os.Getpid(), Started: workflow.MomentOf(time.Now()),
		Queues: w.cfg.Queues, Tags: w.cfg.Tags, Slots: w.cfg.Slots, Tasks: w.reg.versions(), Definitions: served,
		Languages: w.reg.languages(),
	}
}

// announce stores the definitions of the workflows served, and returns the
// hashes of all stored ones whose inline functions are here: those of other
// builds, too.
func (w *Worker) announce(ctx context.Context) ([]string, error) {
	if len(w.reg.workflows) == 0 {
		return nil, nil
	}
	for _, wf := range w.reg.workflows {
		def, err := wf.Definition()
		if err != nil {
			return nil, err
		}
		if err := w.runs.Definitions().Ensure(ctx, def); err != nil {
			return nil, err
		}
	}
	var served []string
	err := list(ctx, w.cfg.Store, w.keys.Definitions(), func(kv store.KV) {
		def, err := snapshot.DecodeDefinition(kv.Value)
		switch {
		case err != nil:
			w.log.Warn("stored definition not understood", "key", kv.Key, "error", err)
		case w.reg.serves(def):
			served = append(served, def.Hash())
		}
	}, nil)
	return served, err
}

// run does the session's work until the session is lost, or, when ctx ends,
// until it is drained.
func (s *session) run(ctx context.Context) {
	taking, stopTaking := context.WithCancel(s.Context())
	defer stopTaking()
	var loops, takers sync.WaitGroup
	loops.Go(func() {
		//nolint:staticcheck // beside run, a bare Run would not say whose it is
		if err := s.Keeper.Run(s.Context()); err != nil {
			s.log.Debug("lease no longer kept alive", "error", err)
		}
	})
	loops.Go(s.followInbox)
	loops.Go(s.deleteMessages)
	loops.Go(s.followCoordinators)
	takers.Go(func() { s.dispatch(taking) })
	takers.Go(func() { s.seek(taking) })
	select {
	case <-s.Context().Done():
	case <-ctx.Done():
		s.draining.Store(true)
	}
	stopTaking()
	takers.Wait()
	if s.draining.Load() {
		s.drain()
	}
	s.end(errSessionOver)
	s.work.Wait()
	loops.Wait()
	if !errors.Is(context.Cause(s.Context()), claim.ErrLost) {
		s.revoke()
	}
}

// revoke ends the lease, so that others need not wait for it to run out.
func (s *session) revoke() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), s.w.cfg.Margin)
	defer cancel()
	if err := s.Revoke(ctx); err != nil {
		s.log.Warn("session not revoked; its lease runs out", "error", err)
		return
	}
	s.log.Info("session closed")
}

// describeDraining says in the session key that the worker takes no more nodes.
func (s *session) describeDraining() {
	ctx, cancel := context.WithTimeout(s.Context(), s.w.cfg.Margin)
	defer cancel()
	if err := s.Describe(ctx, func(p *pb.Worker) { p.Draining = true }); err != nil {
		s.log.Warn("not announced that the worker is draining", "error", err)
	}
}
