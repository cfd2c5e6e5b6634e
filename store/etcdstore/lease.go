package etcdstore

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Grant makes a lease; see [store.Store]. The TTL is rounded up to whole
// seconds, and etcd lengthens it to at least one and a half election time-outs.
// An error never means an unknown outcome: a lease that was granted unheard has
// no keys and runs out.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	if ttl <= 0 {
		return store.Lease{}, fmt.Errorf("%w: lease of %v", grapnel.ErrInvalid, ttl)
	}
	if err := s.usable(ctx); err != nil {
		return store.Lease{}, err
	}
	limited, cancel := s.limit(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for pause := (store.Pause{}); ; {
		known := s.identity.known()
		resp, err := s.client.Grant(limited, int64((ttl+time.Second-1)/time.Second))
		if err == nil {
			if err := s.identify(resp.ResponseHeader, known); err != nil {
				return store.Lease{}, err
			}
			return store.Lease{ID: store.LeaseID(resp.ID), TTL: time.Duration(resp.TTL) * time.Second}, nil
		}
		if diagnose(err).passing && pause.Wait(limited) == nil {
			continue
		}
		return store.Lease{}, fmt.Errorf("grant lease: %w", readError(ctx, err))
	}
}

// KeepAlive renews a lease once; see [store.Store].
func (s *Store) KeepAlive(ctx context.Context, id store.LeaseID) (store.Lease, error) {
	if err := s.usable(ctx); err != nil {
		return store.Lease{}, err
	}
	// Not with a required leader: the client sends such a request again without
	// a pause as long as there is none. The server waits for one by itself.
	limited, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.KeepAliveOnce(limited, clientv3.LeaseID(id))
	if err != nil {
		return store.Lease{}, fmt.Errorf("keep lease %x alive: %w", id, readError(ctx, err))
	}
	// The leader answers this from memory, by way of any member: its revision
	// proves nothing.
	if err := s.identify(resp.ResponseHeader, 0); err != nil {
		return store.Lease{}, err
	}
	return store.Lease{ID: id, TTL: time.Duration(resp.TTL) * time.Second}, nil
}

// Revoke ends a lease; see [store.Store].
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	limited, cancel := s.limit(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for pause := (store.Pause{}); ; {
		known := s.identity.known()
		attempt, mark := withSentMark(limited)
		resp, err := s.client.Revoke(attempt, clientv3.LeaseID(id))
		if err == nil {
			return s.identify(resp.Header, known)
		}
		f := diagnose(err)
		if f.is(store.ErrLeaseNotFound) {
			return nil
		}
		sent := mark.set.Load()
		if (f.refused || !sent) && f.passing && pause.Wait(limited) == nil {
			continue
		}
		if !sent && ctx.Err() != nil {
			return fmt.Errorf("revoke lease %x: %w", id, contextError(ctx))
		}
		err = writeError(err, sent)
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", err, contextError(ctx))
		}
		return fmt.Errorf("revoke lease %x: %w", id, err)
	}
}
