package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Defaults of the options.
const (
	defaultMinTTL     = time.Second
	defaultMaxRequest = 3 << 19 // 1.5 MiB, as etcd's
	defaultMaxOps     = 128     // as etcd's
)

// Option changes how a store behaves.
type Option func(*Store)

// MinTTL sets the shortest TTL that the store grants; shorter ones are
// lengthened to it. The default is 1 s.
func MinTTL(d time.Duration) Option { return func(s *Store) { s.minTTL = d } }

// MaxRequest sets how many bytes of keys and values a commit may carry before
// it is refused with [grapnel.ErrTooLarge]. The default is 1.5 MiB.
func MaxRequest(bytes int) Option { return func(s *Store) { s.maxRequest = bytes } }

// MaxOps sets how many guards, and how many operations in either branch, a
// commit may have before it is refused with [grapnel.ErrTooLarge]. The default
// is 128.
func MaxOps(n int) Option { return func(s *Store) { s.maxOps = n } }

// Store is a store in memory. Use [New].
type Store struct {
	minTTL     time.Duration
	maxRequest int
	maxOps     int

	mu        sync.Mutex
	rev       grapnel.Revision      // guarded by mu, like all below
	compacted grapnel.Revision      // the oldest revision that can be read
	keys      index                 // all keys in pairs
	live      index                 // those that exist now
	pairs     map[string][]store.KV // by key, ascending; a deletion has no Create
	log       []store.Event         // all changes since compacted, in order
	leases    map[store.LeaseID]*leased
	lastLease store.LeaseID
	expiry    *time.Timer // nil if no lease is due
	expiresAt time.Time   // when expiry fires
	watchers  map[*watcher]struct{}
	failure   func(write bool) error // what every call is refused with, or nil
	closed    bool
	wg        sync.WaitGroup // watches, and expiry if it is set
}

var _ store.Store = (*Store)(nil)

// New returns an empty store, at revision 1 as an empty etcd is.
func New(opts ...Option) *Store {
	s := &Store{
		minTTL: defaultMinTTL, maxRequest: defaultMaxRequest, maxOps: defaultMaxOps, rev: 1, compacted: 1,
		pairs: map[string][]store.KV{}, leases: map[store.LeaseID]*leased{}, watchers: map[*watcher]struct{}{},
	}
	for _, o := range opts {
		o(s)
	}
	return s
}

// errClosed is what calls return after Close.
var errClosed = fmt.Errorf("%w: the store is closed", grapnel.ErrUnavailable)

// Close ends all watches and timers and waits for them. A watch that nobody
// receives from holds nothing up. Calls that follow return
// [grapnel.ErrUnavailable]. It may be called more than once.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.disarm()
	for w := range s.watchers {
		w.stop(errClosed)
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// enter locks the store for a call, unless it is to be refused.
func (s *Store) enter(ctx context.Context, write bool) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	s.mu.Lock()
	var err error
	switch {
	case s.closed:
		err = errClosed
	case s.failure != nil:
		err = s.failure(write)
	}
	if err != nil {
		s.mu.Unlock()
	}
	return err
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

// Revision returns the store's current revision.
func (s *Store) Revision() grapnel.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev
}

// Fail makes the store answer every call with what refuse returns, until it is
// called with nil. Refuse learns whether the call writes, and may return nil to
// let it pass. Watches go on.
func (s *Store) Fail(refuse func(write bool) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = refuse
}
