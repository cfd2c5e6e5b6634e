package etcdstore

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel/store"
)

// Store is a [store.Store] in etcd. Use [Open] or [New], and [Store.Close].
type Store struct {
	cfg    Config
	client *clientv3.Client
	owned  bool // the client is closed with the store
	marks  bool // the client tells whether a request was sent; see sentMark

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

// New returns a store on a client that exists, an embedded server's for
// instance. The client is not closed with the store; its limit for received
// messages must not have been lowered. No request is made: version and cluster
// are not checked. The error wraps [grapnel.ErrInvalid].
//
// With an embedded server's own client, which has no connection, use it only for
// a few watches: when many end at once that client and the server wait for each
// other for ever. [Open] on the server's endpoint has no such limit.
func New(client *clientv3.Client, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newStore(client, cfg), nil
}

func newStore(client *clientv3.Client, cfg Config) *Store {
	s := &Store{cfg: cfg, client: client}
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
	if s.owned && first {
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
