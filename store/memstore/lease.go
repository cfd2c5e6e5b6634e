package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// leased is a lease that is alive.
type leased struct {
	id       store.LeaseID
	ttl      time.Duration
	deadline time.Time
	keys     map[string]struct{}
}

// Grant implements [store.Store]. TTLs are whole seconds, rounded up.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	if ttl <= 0 {
		return store.Lease{}, fmt.Errorf("%w: lease of %v", grapnel.ErrInvalid, ttl)
	}
	if err := s.enter(ctx, true); err != nil {
		return store.Lease{}, err
	}
	defer s.mu.Unlock()
	ttl = max((ttl+time.Second-1)/time.Second*time.Second, s.minTTL)
	s.lastLease++
	l := &leased{id: s.lastLease, ttl: ttl, deadline: time.Now().Add(ttl), keys: map[string]struct{}{}}
	s.leases[l.id] = l
	if s.expiry == nil || l.deadline.Before(s.expiresAt) {
		s.arm(l.deadline)
	}
	return store.Lease{ID: l.id, TTL: ttl}, nil
}

// KeepAlive implements [store.Store].
func (s *Store) KeepAlive(ctx context.Context, id store.LeaseID) (store.Lease, error) {
	if err := s.enter(ctx, false); err != nil {
		return store.Lease{}, err
	}
	defer s.mu.Unlock()
	l := s.leases[id]
	if l == nil {
		return store.Lease{}, fmt.Errorf("keep lease %x alive: %w", int64(id), store.ErrLeaseNotFound)
	}
	l.deadline = time.Now().Add(l.ttl) // expire finds that it is not due
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

// Leases returns the leases that are alive, in the order they were granted.
func (s *Store) Leases() []store.LeaseID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.leases))
}

// end deletes a lease and its keys, all in one revision. Called with mu held.
func (s *Store) end(id store.LeaseID) {
	l := s.leases[id]
	if l == nil {
		return
	}
	delete(s.leases, id)
	if len(l.keys) == 0 {
		return
	}
	first, next := len(s.log), s.rev+1
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		s.write(next, store.Event{Deleted: true, KV: store.KV{Key: key}})
	}
	s.rev = next
	s.notify(s.log[first:])
}

// expire ends the leases that are due, in the order of their deadlines and then
// of their grants: one timer for all of them keeps those of one moment in order.
func (s *Store) expire() {
	defer s.wg.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.disarm() // another one may have been set while this one waited for mu
	now := time.Now()
	byDeadline := slices.SortedFunc(maps.Values(s.leases), func(a, b *leased) int {
		return cmp.Or(a.deadline.Compare(b.deadline), cmp.Compare(a.id, b.id))
	})
	for _, l := range byDeadline {
		if l.deadline.After(now) {
			s.arm(l.deadline)
			return
		}
		s.end(l.id)
	}
}

// arm sets expiry. Called with mu held.
func (s *Store) arm(at time.Time) {
	s.disarm()
	s.wg.Add(1)
	s.expiry, s.expiresAt = time.AfterFunc(time.Until(at), s.expire), at
}

// disarm stops expiry, if it has not fired. Called with mu held.
func (s *Store) disarm() {
	if s.expiry != nil && s.expiry.Stop() {
		s.wg.Done()
	}
	s.expiry = nil
}
