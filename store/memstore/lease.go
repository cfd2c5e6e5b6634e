package memstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel/store"
)

// Grant implements [store.Store]. TTLs are whole seconds, rounded up.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	if err := s.enter(ctx, true); err != nil {
		return store.Lease{}, err
	}
	defer s.mu.Unlock()
	ttl = max((ttl+time.Second-1)/time.Second*time.Second, s.minTTL)
	s.lastLease++
	id := s.lastLease
	s.leases[id] = &leased{ttl: ttl, keys: map[string]struct{}{}, timer: time.AfterFunc(ttl, func() { s.ExpireLease(id) })}
	return store.Lease{ID: id, TTL: ttl}, nil
}

// KeepAlive implements [store.Store].
func (s *Store) KeepAlive(ctx context.Context, id store.LeaseID) (store.Lease, error) {
	if err := s.enter(ctx, false); err != nil {
		return store.Lease{}, err
	}
	defer s.mu.Unlock()
	l := s.leases[id]
	if l == nil {
		return store.Lease{}, fmt.Errorf("lease %x: %w", int64(id), store.ErrLeaseNotFound)
	}
	l.timer.Reset(l.ttl)
	return store.Lease{ID: id, TTL: l.ttl}, nil
}

// Revoke implements [store.Store].
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	if err := s.enter(ctx, true); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.end(id)
	return nil
}

// ExpireLease makes a lease expire now, as if it had not been kept alive.
func (s *Store) ExpireLease(id store.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.end(id)
	}
}

// end deletes a lease and its keys, all in one revision. Called with mu held.
func (s *Store) end(id store.LeaseID) {
	l := s.leases[id]
	if l == nil {
		return
	}
	l.timer.Stop()
	delete(s.leases, id)
	if len(l.keys) == 0 {
		return
	}
	first := len(s.log)
	s.rev++
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		s.write(s.rev, store.Event{Deleted: true, KV: store.KV{Key: key}})
	}
	s.notify(s.log[first:])
}

// Leases returns the leases that are alive, in the order they were granted.
func (s *Store) Leases() []store.LeaseID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.leases))
}
