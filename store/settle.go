package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
)

// Attempt commits t as [Store.Commit] does, except that what Else reads is read
// after a guard was found not to hold, all of it at one revision, which may be a
// later one: by then the guards may hold again. Most commits succeed, and are
// spared the reads that etcd would decode twice and never do. An Else that
// writes stays in the transaction.
//
// If the reading fails the error wraps [grapnel.ErrUnavailable], or is that of
// ctx's end: t was not applied.
func Attempt(ctx context.Context, s Store, t Txn) (Result, error) {
	reads := t.Else
	if len(reads) == 0 || slices.ContainsFunc(reads, Op.Writes) || !slices.ContainsFunc(t.Then, Op.Writes) {
		return s.Commit(ctx, t)
	}
	t.Else = nil
	res, err := s.Commit(ctx, t)
	if err != nil || res.Succeeded {
		return res, err
	}
	found, err := s.Commit(ctx, Txn{Then: reads})
	switch {
	case err == nil:
		return Result{Revision: found.Revision, Reads: found.Reads}, nil
	case errors.Is(err, grapnel.ErrUnknown):
		// Of reads there is nothing to be known but that they failed.
		return Result{}, fmt.Errorf("%w: a guard did not hold, and the reading of why failed: %v", grapnel.ErrUnavailable, err) //nolint:errorlint // not to be taken for an unknown outcome of t
	}
	return Result{}, fmt.Errorf("a guard did not hold, and the reading of why failed: %w", err)
}

// Settle makes an [Attempt] at t and, once an outcome was unknown, sends it
// again until it is known or ctx ends; then the error wraps [ErrUnknown]. Its guards must be safe
// to repeat: see [Absent]. If it puts under a lease they must also not hold again
// once t was applied: [ErrLeaseNotFound] is then taken for proof that it never
// was. Other errors are those of [Store.Commit], and mean that t was never
// applied.
func Settle(ctx context.Context, s Store, t Txn) (Result, error) {
	res, _, err := SettleLate(ctx, s, t)
	return res, err
}

// SettleLate is [Settle] that also tells whether a sending of t may still be on
// its way. If the guards did not hold it can be applied later, should they come
// to hold again.
func SettleLate(ctx context.Context, s Store, t Txn) (_ Result, late bool, _ error) {
	var unknown error
	for pause := (Pause{}); ; {
		res, err := Attempt(ctx, s, t)
		switch {
		case err == nil:
			return res, unknown != nil, nil
		case errors.Is(err, grapnel.ErrUnknown) && !mutation.On(mutation.UnknownMeansFailed):
			unknown = err
		case unknown == nil, errors.Is(err, ErrLeaseNotFound):
			// A lease that is gone stays gone. The guards held just now, so no
			// sending was applied before, and none can be any more.
			return Result{}, false, err
		}
		// Whatever this sending was told, an earlier one may have been applied
		// or may still be: only an answer settles that.
		if ended := pause.Wait(ctx); ended != nil {
			return Result{}, true, errors.Join(unknown, ended)
		}
	}
}

// Pause is the delay between attempts at something that a store in trouble
// refuses: 1 ms at first, doubled each time, at most 250 ms. The zero value is
// ready for use.
type Pause struct{ next time.Duration }

// Wait waits for the next delay, or returns ctx's cause when ctx ends first.
func (p *Pause) Wait(ctx context.Context) error {
	p.next = min(max(2*p.next, time.Millisecond), 250*time.Millisecond)
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
