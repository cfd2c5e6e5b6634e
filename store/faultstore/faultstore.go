package faultstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Store is a store that fails by rule. Use [New]. It is safe for concurrent use.
type Store struct {
	inner store.Store

	mu    sync.Mutex
	rule  Rule      // guarded by mu
	calls int       // guarded by mu
	late  []lateOne // guarded by mu

	watches watches
}

// lateOne is a call that is still on its way.
type lateOne struct {
	due   int // the number of the call before which it is made; zero: when released
	apply func()
}

var _ store.Store = (*Store)(nil)

// New wraps inner. A nil rule lets all calls pass.
func New(inner store.Store, rule Rule) *Store { return &Store{inner: inner, rule: rule} }

// SetRule replaces the rule.
func (s *Store) SetRule(rule Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule = rule
}

// Calls returns how many calls were made, watches not counted.
func (s *Store) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// ReleaseLate makes all calls that are still on their way, in the order in which
// they were sent, and returns how many they were.
func (s *Store) ReleaseLate() int {
	s.mu.Lock()
	late := s.late
	s.late = nil
	s.mu.Unlock()
	for _, l := range late {
		l.apply()
	}
	return len(late)
}

// decide numbers a call, makes the late ones that are due before it, and asks
// the rule.
func (s *Store) decide(i Info) Action {
	s.mu.Lock()
	if i.Kind != Watch {
		s.calls++
	}
	i.N = s.calls
	var due []lateOne
	kept := s.late[:0]
	for _, l := range s.late {
		if l.due != 0 && l.due <= i.N {
			due = append(due, l)
		} else {
			kept = append(kept, l)
		}
	}
	s.late = kept
	var a Action
	if s.rule != nil {
		a = s.rule(i)
	}
	if a.Calls > 0 {
		a.Calls += i.N
	}
	s.mu.Unlock()
	for _, l := range due {
		l.apply()
	}
	return a
}

func (s *Store) postpone(due int, apply func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = append(s.late, lateOne{due: due, apply: apply})
}

// perform makes a call as its action says.
func perform[T any](ctx context.Context, s *Store, i Info, do func(context.Context) (T, error)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, contextError(ctx)
	}
	a := s.decide(i)
	if err := wait(ctx, a.Delay); err != nil {
		return zero, err
	}
	if a.Enter != nil {
		a.Enter()
	}
	if a.Leave != nil {
		defer a.Leave()
	}
	failed := fmt.Errorf("%w: injected: reply lost", grapnel.ErrUnknown)
	if !i.Kind.Writes() {
		failed = fmt.Errorf("%w: injected: no answer", grapnel.ErrUnavailable)
	}
	switch a.Fault {
	case Refused:
		return zero, fmt.Errorf("%w: injected: refused", grapnel.ErrUnavailable)
	case Before:
		return zero, failed
	case After:
		_, _ = do(context.WithoutCancel(ctx)) // whatever it says is lost
		return zero, failed
	case Late:
		if i.Kind.Writes() {
			ctx = context.WithoutCancel(ctx)
			s.postpone(a.Calls, func() { _, _ = do(ctx) })
		}
		return zero, failed
	case Hang:
		<-ctx.Done()
		if i.Kind.Writes() {
			return zero, fmt.Errorf("%w: %w", grapnel.ErrUnknown, contextError(ctx))
		}
		return zero, contextError(ctx)
	}
	return do(ctx)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// contextError is the error of a call whose context has ended: the context's
// error and, if it is another, its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.KV, error) {
	return perform(ctx, s, Info{Kind: Get, Key: key}, func(ctx context.Context) (store.KV, error) { return s.inner.Get(ctx, key) })
}

// List implements [store.Store].
func (s *Store) List(ctx context.Context, r store.ListRequest) (store.Page, error) {
	return perform(ctx, s, Info{Kind: List, Key: r.Prefix}, func(ctx context.Context) (store.Page, error) { return s.inner.List(ctx, r) })
}

// Commit implements [store.Store].
func (s *Store) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	return perform(ctx, s, Info{Kind: Commit, Txn: &t}, func(ctx context.Context) (store.Result, error) { return s.inner.Commit(ctx, t) })
}

// Grant implements [store.Store].
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	return perform(ctx, s, Info{Kind: Grant}, func(ctx context.Context) (store.Lease, error) { return s.inner.Grant(ctx, ttl) })
}

// KeepAlive implements [store.Store].
func (s *Store) KeepAlive(ctx context.Context, id store.LeaseID) (store.Lease, error) {
	return perform(ctx, s, Info{Kind: KeepAlive, Lease: id}, func(ctx context.Context) (store.Lease, error) { return s.inner.KeepAlive(ctx, id) })
}

// Revoke implements [store.Store].
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	_, err := perform(ctx, s, Info{Kind: Revoke, Lease: id}, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.inner.Revoke(ctx, id) })
	return err
}
