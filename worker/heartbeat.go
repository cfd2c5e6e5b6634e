package worker

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/workflow"
)

// reportEvery is how often progress is written at most.
const reportEvery = time.Second

// heart hears the heartbeats of an attempt and ends its context when they fail
// to come. It extends the claim's own lease with them, as often as needed.
type heart struct {
	e     *execution
	ctx   context.Context
	log   hclog.Logger
	limit time.Duration // zero: none asked for
	timer *time.Timer   // nil without a limit

	mu       sync.Mutex
	extended time.Time // guarded by mu
	reported time.Time // guarded by mu
	progress []byte    // guarded by mu; what was written last
}

func (e *execution) newHeart(ctx context.Context, cancel context.CancelCauseFunc, log hclog.Logger) *heart {
	n := e.head.Node(e.node)
	h := &heart{e: e, ctx: ctx, log: log, limit: n.Policy.Heartbeat, extended: e.since}
	if h.limit > 0 {
		h.timer = time.AfterFunc(h.limit, func() { cancel(&timeout{workflow.KindHeartbeat, e.head.State.Name(e.node), h.limit}) })
	}
	return h
}

func (h *heart) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// beat is task.Heartbeat.
func (h *heart) beat(ctx context.Context, progress []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return context.Cause(h.ctx)
	}
	if h.timer != nil {
		h.timer.Reset(h.limit)
		if err := h.extend(ctx); err != nil {
			return err
		}
	}
	if progress == nil || bytes.Equal(progress, h.progress) || time.Since(h.reported) < reportEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reportEvery)
	defer cancel()
	if err := h.e.claim.Report(ctx, progress); err != nil {
		return h.trouble("progress not written", err)
	}
	h.reported, h.progress = time.Now(), progress
	return nil
}

// extend extends the lease, unless it was extended so shortly ago that it
// outlasts the time-out that has just begun anew. Called with mu held.
func (h *heart) extend(ctx context.Context) error {
	margin := h.e.s.Margin()
	if time.Since(h.extended) < min(h.limit/4, margin/2) {
		return nil
	}
	sent := time.Now()
	ctx, cancel := context.WithTimeout(ctx, h.limit/2)
	defer cancel()
	if _, err := h.e.claim.Extend(ctx, h.limit+margin); err != nil {
		return h.trouble("lease not extended", err)
	}
	h.extended = sent
	return nil
}

// trouble returns what a task has to know of an error: that its claim is lost.
func (h *heart) trouble(what string, err error) error {
	if h.ctx.Err() != nil {
		return context.Cause(h.ctx)
	}
	if errors.Is(err, claim.ErrLost) {
		return err
	}
	h.log.Warn(what, "error", err)
	return nil
}
