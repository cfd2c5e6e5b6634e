package etcdstore

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel/store"
)

// Store is a [store.Store] in etcd. Use [Open] and [Store.Close].
type Store struct {
	cfg    Config
	client *clientv3.Client
	kv     pb.KVClient // of the client

	// ctx ends when the store is closed or its cluster changed, with the error
	// that calls return from then on as its cause.
	ctx context.Context
	end context.CancelCauseFunc

	identity identity
	quota    quota
	batch    *batcher

	mu      sync.Mutex
	closed  bool           // guarded by mu; no watch starts any more
	watches sync.WaitGroup // the watches' goroutines
}

var _ store.Store = (*Store)(nil)

func newStore(client *clientv3.Client, cfg Config) *Store {
	s := &Store{cfg: cfg, client: client, kv: clientv3.RetryKVClient(client)}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.batch = newBatcher(s, cfg.InFlight, cfg.MaxOps, cfg.MaxBytes, cfg.RequestTimeout)
	return s
}

// Close ends all watches and waits for the requests under way, which it cuts
// short. Calls from then on return an error that wraps
// [grapnel.ErrUnavailable]. It may be called more than once.
func (s *Store) Close() error {
	s.end(errClosed)
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.batch.close(context.Cause(s.ctx))
	s.watches.Wait()
	if first {
		return s.client.Close()
	}
	return nil
}

// usable returns why no request can be made, if so.
func (s *Store) usable(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	return nil
}

// identify checks that an answer comes from the cluster that all earlier ones
// came from. Known is as for identity.check. If not, the store ends.
func (s *Store) identify(h *pb.ResponseHeader, known int64) error {
	if err := s.identity.check(h, known); err != nil {
		s.cfg.Logger.Error("etcd is not the one it was", "error", err)
		s.end(err)
		return err
	}
	if known != 0 {
		s.identity.saw(h)
	}
	return nil
}

// goFollow runs a watch in a goroutine that Close waits for.
func (s *Store) goFollow(follow func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return context.Cause(s.ctx)
	}
	s.watches.Go(follow)
	return nil
}
