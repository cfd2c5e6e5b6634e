package memstore

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
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
	rev       grapnel.Revision          // guarded by mu, like all below
	compacted grapnel.Revision          // the oldest revision that can be read
	keys      []string                  // all keys that ever were and may be read, sorted
	pairs     map[string][]version      // by key, ascending revisions
	log       []store.Event             // all changes since compacted, in order
	leases    map[store.LeaseID]*leased //
	lastLease store.LeaseID             //
	watchers  map[*watcher]struct{}     //
	failure   func(write bool) error    // what every call is refused with, or nil
	closed    bool
	wg        sync.WaitGroup
}

// version is a key at and after a revision; deleted if kv.Create is zero.
type version struct{ kv store.KV }

type leased struct {
	ttl   time.Duration
	timer *time.Timer
	keys  map[string]struct{}
}

var _ store.Store = (*Store)(nil)

// New returns an empty store, at revision 1 as an empty etcd is.
func New(opts ...Option) *Store {
	s := &Store{
		minTTL: defaultMinTTL, maxRequest: defaultMaxRequest, maxOps: defaultMaxOps, rev: 1, compacted: 1,
		pairs: map[string][]version{}, leases: map[store.LeaseID]*leased{}, watchers: map[*watcher]struct{}{},
	}
	for _, o := range opts {
		o(s)
	}
	return s
}

// Close ends all watches and timers and waits for them. Calls that follow
// return [grapnel.ErrUnavailable].
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.leases {
		l.timer.Stop()
	}
	for w := range s.watchers {
		w.fail(fmt.Errorf("%w: the store is closed", grapnel.ErrUnavailable))
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// enter locks the store for a call, unless it is to be refused.
func (s *Store) enter(ctx context.Context, write bool) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	var err error
	switch {
	case s.closed:
		err = fmt.Errorf("%w: the store is closed", grapnel.ErrUnavailable)
	case s.failure != nil:
		err = s.failure(write)
	}
	if err != nil {
		s.mu.Unlock()
	}
	return err
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.KV, error) {
	if err := s.enter(ctx, false); err != nil {
		return store.KV{}, err
	}
	defer s.mu.Unlock()
	if kv, ok := s.current(key); ok {
		return kv, nil
	}
	return store.KV{}, fmt.Errorf("key %q: %w", key, grapnel.ErrNotFound)
}

// List implements [store.Store].
func (s *Store) List(ctx context.Context, r store.ListRequest) (store.Page, error) {
	if err := s.enter(ctx, false); err != nil {
		return store.Page{}, err
	}
	defer s.mu.Unlock()
	at := r.Revision
	switch {
	case at == 0:
		at = s.rev
	case at < s.compacted:
		return store.Page{}, &store.CompactedError{Revision: s.compacted}
	case at > s.rev:
		return store.Page{}, fmt.Errorf("%w: list at revision %d, which is to come", grapnel.ErrInvalid, at)
	}
	page := store.Page{Revision: at}
	if r.Revision == 0 {
		page.Revision = s.rev
	}
	limit := r.Limit
	if limit <= 0 {
		limit = store.DefaultPage
	}
	from := r.Prefix
	if r.After >= from {
		from = r.After + "\x00"
	}
	for i := sort.SearchStrings(s.keys, from); i < len(s.keys) && strings.HasPrefix(s.keys[i], r.Prefix); i++ {
		kv, ok := s.at(s.keys[i], at)
		if !ok {
			continue
		}
		if len(page.KVs) == limit {
			page.More = true
			break
		}
		if r.KeysOnly {
			kv.Value = nil
		}
		page.KVs = append(page.KVs, kv)
	}
	return page, nil
}

// current returns the pair of a key as it is now. Called with mu held.
func (s *Store) current(key string) (store.KV, bool) {
	v := s.pairs[key]
	if len(v) == 0 || v[len(v)-1].kv.Create == 0 {
		return store.KV{}, false
	}
	return v[len(v)-1].kv, true
}

// at returns the pair of a key as of a revision. Called with mu held.
func (s *Store) at(key string, rev grapnel.Revision) (store.KV, bool) {
	v := s.pairs[key]
	for i := len(v) - 1; i >= 0; i-- {
		if v[i].kv.Mod <= rev {
			return v[i].kv, v[i].kv.Create != 0
		}
	}
	return store.KV{}, false
}

// under returns the keys that begin with prefix and exist. Called with mu held.
func (s *Store) under(prefix string, most int) []string {
	var found []string
	for i := sort.SearchStrings(s.keys, prefix); i < len(s.keys) && strings.HasPrefix(s.keys[i], prefix) && len(found) < most; i++ {
		if _, ok := s.current(s.keys[i]); ok {
			found = append(found, s.keys[i])
		}
	}
	return found
}

// write records a change at revision rev. Called with mu held.
func (s *Store) write(rev grapnel.Revision, ev store.Event) {
	key := ev.KV.Key
	before, existed := s.current(key)
	if existed {
		ev.Previous = before
		if l := s.leases[before.Lease]; l != nil && before.Lease != ev.KV.Lease {
			delete(l.keys, key)
		}
	}
	if !ev.Deleted {
		ev.KV.Create = rev
		if existed {
			ev.KV.Create = before.Create
		}
		if l := s.leases[ev.KV.Lease]; l != nil {
			l.keys[key] = struct{}{}
		}
	}
	ev.KV.Mod = rev
	if _, known := s.pairs[key]; !known {
		i, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, i, key)
	}
	s.pairs[key] = append(s.pairs[key], version{kv: ev.KV})
	s.log = append(s.log, ev)
}

// Revision returns the store's current revision.
func (s *Store) Revision() grapnel.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev
}

// Compact forgets what is needed only to read or watch revisions before rev. It
// returns [grapnel.ErrInvalid] for a revision that is to come and a
// [store.CompactedError] for one that was compacted.
func (s *Store) Compact(rev grapnel.Revision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rev > s.rev {
		return fmt.Errorf("%w: compact revision %d, which is to come", grapnel.ErrInvalid, rev)
	}
	if rev <= s.compacted {
		return &store.CompactedError{Revision: s.compacted}
	}
	s.compacted = rev
	i := sort.Search(len(s.log), func(i int) bool { return s.log[i].KV.Mod >= rev })
	s.log = slices.Clone(s.log[i:])
	s.keys = slices.DeleteFunc(s.keys, func(key string) bool {
		v := s.pairs[key]
		keep := 0
		for j := range v {
			if v[j].kv.Mod <= rev {
				keep = j
			}
		}
		if v = slices.Clone(v[keep:]); len(v) == 1 && v[0].kv.Create == 0 {
			delete(s.pairs, key)
			return true
		}
		s.pairs[key] = v
		return false
	})
	return nil
}

// Fail makes the store answer every call with what refuse returns, until it is
// called with nil. Refuse learns whether the call writes, and may return nil to
// let it pass. Watches go on.
func (s *Store) Fail(refuse func(write bool) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = refuse
}
