package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/taskctx"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// resultKind says what an attempt came to.
type resultKind uint8

const (
	outcomeReady resultKind = iota + 1 // an output or a failure, to be committed
	nothing                            // the claim has ended: nothing counts any more
	giveBack                           // the attempt did not take place, or not to its end
)

type result struct {
	kind    resultKind
	output  []byte
	decided decided // of a switch or map
	failure *workflow.Failure
	why     error // for nothing and giveBack
}

func failed(f *workflow.Failure) result { return result{kind: outcomeReady, failure: f} }

func (e *execution) ended() result {
	cause := context.Cause(e.claim.Context())
	if cause == nil {
		cause = grapnel.ErrClaimLost
	}
	return result{kind: nothing, why: cause}
}

// timeout is the cause that a task's context ends with when a time-out of its
// node has passed.
type timeout struct {
	kind  string
	node  string
	limit time.Duration
}

func (t *timeout) Error() string {
	return fmt.Sprintf("%s: %s is over its limit of %v", t.kind, t.node, t.limit)
}

// Is reports whether target is [grapnel.ErrTimedOut].
func (t *timeout) Is(target error) bool { return target == grapnel.ErrTimedOut }

func (t *timeout) failure() *workflow.Failure {
	return &workflow.Failure{
		Kind: t.kind, Node: -1, Permanent: t.kind == workflow.KindScheduleToClose,
		Message: fmt.Sprintf("%s is over its limit of %v", t.node, t.limit),
	}
}

// attempt executes the node once.
func (e *execution) attempt(log hclog.Logger) result {
	n := e.head.Node(e.node)
	handler, ok := e.s.w.reg.handler(e.head.Def(), e.head.State.NodeOf(e.node))
	if !ok {
		return result{kind: giveBack, why: fmt.Errorf("%w: %v %s is not registered", grapnel.ErrInvalid, n.Kind, n.Task)}
	}
	in, r := e.input()
	if r.kind != 0 {
		return r
	}
	if n.Kind.Holds() {
		d, err := decide(n.Kind, in)
		if err != nil {
			return failed(workflow.FailureOf(err))
		}
		return result{kind: outcomeReady, decided: d}
	}
	ctx, cancel := context.WithCancelCause(e.claim.Context())
	defer cancel(context.Canceled)
	defer context.AfterFunc(e.s.stopping, func() { cancel(context.Cause(e.s.stopping)) })()
	deadline, late := e.deadline()
	if late != nil {
		if !time.Now().Before(deadline) {
			return failed(late.failure())
		}
		var free context.CancelFunc
		ctx, free = context.WithDeadlineCause(ctx, deadline, late)
		defer free()
	}
	beats := e.newHeart(ctx, cancel, log)
	defer beats.stop()
	ctx = taskctx.With(ctx, e.info(deadline, log, beats))
	if !e.trusted() {
		return e.ended()
	}
	return e.wait(ctx, e.call(ctx, handler, in), log)
}

// input evaluates the node's input. The result's kind is zero if that worked.
func (e *execution) input() ([]byte, result) {
	source := e.head.Node(e.node).Input
	ctx := e.claim.Context()
	for pause := (store.Pause{}); ; {
		values, err := e.s.w.runs.InputValues(ctx, e.head, e.node)
		if err == nil {
			in, err := source.Eval(values)
			if err != nil {
				return nil, failed(badInput(err))
			}
			return in, result{}
		}
		if ctx.Err() != nil {
			return nil, e.ended()
		}
		if errors.Is(err, grapnel.ErrRunGone) || e.s.draining.Load() {
			return nil, result{kind: giveBack, why: err}
		}
		if pause.Wait(ctx) != nil {
			return nil, e.ended()
		}
	}
}

// deadline returns when the attempt has to be over, and the time-out that passes
// then; nil if there is none.
func (e *execution) deadline() (time.Time, *timeout) {
	n := e.head.Node(e.node)
	name := e.head.State.Name(e.node)
	var at time.Time
	var which *timeout
	if d := n.Policy.StartToClose; d > 0 {
		at, which = e.since.Add(d), &timeout{workflow.KindStartToClose, name, d}
	}
	// Since is zero if only others' policies admit the node's item.
	if d, since := n.Policy.ScheduleToClose, e.head.State.Nodes[e.node].Since; d > 0 && since != 0 {
		left := since.Add(d).Sub(max(e.started, e.head.State.Clock))
		if t := e.since.Add(left); which == nil || t.Before(at) {
			at, which = t, &timeout{workflow.KindScheduleToClose, name, d}
		}
	}
	return at, which
}

func (e *execution) info(deadline time.Time, log hclog.Logger, beats *heart) *taskctx.Attempt {
	h, n := e.head, e.head.Node(e.node)
	attempt := h.State.Nodes[e.node].Attempt()
	return &taskctx.Attempt{
		Run: h.Run, Instance: h.Instance, Node: e.key(), NodeName: h.State.Name(e.node),
		Workflow: h.Workflow, Task: n.Task, Attempt: attempt, Fence: e.claim.Fence(), Worker: e.s.Worker(),
		Deadline:       deadline,
		IdempotencyKey: fmt.Sprintf("%s/%d/%s", store.Escape(string(h.Run)), h.Instance, e.key()),
		Logger:         log.Named("task").With("attempt", attempt),
		Heartbeat:      beats.beat,
	}
}

// call calls the task's function in a goroutine of its own, which keeps the slot
// until the function returns, and returns where its result comes.
func (e *execution) call(ctx context.Context, h workflow.Handler, in []byte) <-chan result {
	results := make(chan result, 1)
	c := &call{run: e.ref.run, node: e.key(), task: e.head.Node(e.node).Task}
	e.s.w.calls.begin(c)
	e.order.slot.retain()
	go func() { // joined by wait, unless the function does not return
		defer e.order.slot.release()
		defer e.s.w.calls.end(c)
		// What it comes to if the function ends the goroutine.
		r := failed(&workflow.Failure{Kind: workflow.KindPanic, Node: -1, Message: "the task called runtime.Goexit"})
		defer func() { results <- r }()
		r = protect(ctx, h, in)
	}()
	return results
}

// protect calls h and makes a panic a failure.
func protect(ctx context.Context, h workflow.Handler, in []byte) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = failed(workflow.PanicFailure(p))
		}
	}()
	out, err := h(ctx, in)
	if err != nil {
		return failed(workflow.FailureOf(err))
	}
	return checkOutput(out)
}

func checkOutput(out []byte) result {
	if len(out) == 0 {
		out = []byte("null")
	}
	if err := workflow.CheckPayload("output", out); err != nil {
		return failed(&workflow.Failure{Kind: workflow.KindTooLarge, Node: -1, Message: err.Error(), Permanent: true})
	}
	if !json.Valid(out) {
		return failed(&workflow.Failure{Kind: workflow.KindBadOutput, Node: -1, Message: "output is not JSON", Permanent: true})
	}
	return result{kind: outcomeReady, output: out}
}

// wait waits for the function's result, or for the end of the context, which
// ends the attempt whether or not the function returns.
func (e *execution) wait(ctx context.Context, results <-chan result, log hclog.Logger) result {
	select {
	case r := <-results:
		return e.judge(ctx, r)
	case <-ctx.Done():
	}
	select {
	case r := <-results:
		return e.judge(ctx, r)
	default:
	}
	if errors.Is(context.Cause(ctx), grapnel.ErrStopping) {
		patience := time.NewTimer(e.s.w.cfg.StopWait)
		defer patience.Stop()
		select {
		case r := <-results:
			return e.judge(ctx, r)
		case <-e.claim.Context().Done():
		case <-patience.C:
		}
	}
	log.Info("function goes on although its context ended; its result is discarded", "cause", context.Cause(ctx))
	return e.judge(ctx, failed(nil))
}

// judge decides what a result is worth once the context has ended. A success
// counts as long as the claim is there; a failure is put down to what ended the
// context.
func (e *execution) judge(ctx context.Context, r result) result {
	cause := context.Cause(ctx)
	late, isTimeout := errors.AsType[*timeout](cause)
	switch {
	case e.claim.Context().Err() != nil:
		return e.ended()
	case cause == nil, r.output != nil:
		return r
	case isTimeout:
		return failed(late.failure())
	}
	return result{kind: giveBack, why: cause}
}
