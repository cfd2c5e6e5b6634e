package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/lease"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

var (
	// ErrTaken is [grapnel.ErrClaimTaken]. The error is a [TakenError].
	ErrTaken = grapnel.ErrClaimTaken
	// ErrLost is [grapnel.ErrClaimLost].
	ErrLost = grapnel.ErrClaimLost
)

// Defaults of [SessionConfig].
const (
	DefaultTTL    = 10 * time.Second
	DefaultMargin = 1500 * time.Millisecond
)

// SessionConfig configures a [Session].
type SessionConfig struct {
	Store store.Store
	Keys  store.Keys
	// Profile describes the worker, whose id it holds.
	Profile *pb.Worker
	// TTL is how long after its last keepalive the session's lease expires;
	// zero means [DefaultTTL].
	TTL time.Duration
	// Margin is how long before that the session stops trusting it; it must be
	// at least etcd's election timeout. Zero means [DefaultMargin].
	Margin time.Duration
	// Logger may be nil.
	Logger hclog.Logger
}

func (c *SessionConfig) fill() error {
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Margin == 0 {
		c.Margin = DefaultMargin
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	var errs []error
	if c.Store == nil {
		errs = append(errs, fmt.Errorf("%w: session without a store", grapnel.ErrInvalid))
	}
	if c.Profile.GetId() == "" {
		errs = append(errs, fmt.Errorf("%w: session without a worker id", grapnel.ErrInvalid))
	}
	if c.Margin < 0 || c.TTL < 2*c.Margin {
		errs = append(errs, fmt.Errorf("%w: session TTL %v must be at least twice its margin %v", grapnel.ErrInvalid, c.TTL, c.Margin))
	}
	return errors.Join(errs...)
}

// Session is a worker's lease and the key that describes the worker. All
// ordinary claims of the worker are bound to the lease; losing it loses them
// all. A session that was lost stays lost: the worker opens another one, under
// another worker id.
type Session struct {
	st   store.Store
	keys store.Keys
	key  string
	me   grapnel.WorkerID
	log  hclog.Logger
	*lease.Keeper

	mu      lock
	profile *pb.Worker       // guarded by mu
	mod     grapnel.Revision // guarded by mu; the session key's, as last seen
}

// Open grants a lease and writes the session key. The session is kept alive by
// [Session.Run], its context is a child of ctx.
func Open(ctx context.Context, cfg SessionConfig) (*Session, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	me := grapnel.WorkerID(cfg.Profile.GetId())
	k, err := lease.Grant(ctx, cfg.Store, cfg.TTL, cfg.Margin, ErrLost, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("open session of worker %s: %w", me, err)
	}
	s := &Session{mu: make(lock, 1), st: cfg.Store, keys: cfg.Keys, key: cfg.Keys.Worker(me), me: me, log: cfg.Logger, Keeper: k}
	s.profile = proto.CloneOf(cfg.Profile)
	if err := s.write(ctx, func(*pb.Worker) {}); err != nil {
		return nil, errors.Join(fmt.Errorf("open session of worker %s: %w", me, err), revoke(ctx, s.Keeper))
	}
	return s, nil
}

// Worker returns the worker's id.
func (s *Session) Worker() grapnel.WorkerID { return s.me }

// Guard holds while the session is there. Commits that put keys bound to its
// lease include it: a dead lease is then a guard that does not hold, rather
// than an error.
func (s *Session) Guard() store.Guard { return store.Exists(s.key) }

// Describe rewrites the session key with a changed profile. Claims of this
// session that are on their way fail their guard and are tried again.
func (s *Session) Describe(ctx context.Context, change func(p *pb.Worker)) error {
	if err := s.write(ctx, change); err != nil {
		return fmt.Errorf("describe worker %s: %w", s.me, err)
	}
	return nil
}

// write puts the session key. Nobody but this session writes it, so a guard that
// fails means that an earlier sending arrived, or that the session is lost.
func (s *Session) write(ctx context.Context, change func(p *pb.Worker)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.profile)
	for pause := (store.Pause{}); ; {
		res, _, err := s.rewrite(ctx, nil)
		switch {
		case err == nil && res.Succeeded:
			return nil
		case err != nil && !errors.Is(err, grapnel.ErrUnknown):
			return err
		case err != nil:
			if cause := pause.Wait(ctx); cause != nil {
				return errors.Join(err, cause)
			}
		}
	}
}

// rewrite sends one put of the session key on condition that it is as last
// seen, with reads beside it, and takes note of the key's revision. A missing
// key means that the session is lost. Called with mu held.
func (s *Session) rewrite(ctx context.Context, reads []store.Op) (store.Result, []store.Read, error) {
	s.profile.Writes++
	value, err := proto.Marshal(s.profile)
	if err != nil {
		return store.Result{}, nil, fmt.Errorf("encode profile: %w", err)
	}
	res, err := s.st.Commit(ctx, store.Txn{
		If:   []store.Guard{store.ModIs(s.key, s.mod)},
		Then: append([]store.Op{store.Put(s.key, value, s.ID())}, reads...),
		Else: append([]store.Op{store.Get(s.key)}, reads...),
	})
	switch {
	case errors.Is(err, store.ErrLeaseNotFound):
		s.GiveUp()
		return store.Result{}, nil, fmt.Errorf("%w: the session's lease is gone", ErrLost)
	case err != nil:
		return store.Result{}, nil, err
	case res.Succeeded:
		s.mod = res.Revision
	case res.Reads[0].Found:
		s.mod = res.Reads[0].KV.Mod
	default:
		s.GiveUp()
		return store.Result{}, nil, fmt.Errorf("%w: the session key is gone", ErrLost)
	}
	return res, res.Reads[1:], nil
}

// seen takes note of the session key as another transaction read it.
func (s *Session) seen(r store.Read) error {
	if !r.Found {
		s.GiveUp()
		return fmt.Errorf("%w: the session key is gone", ErrLost)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mod = max(s.mod, r.KV.Mod)
	return nil
}

func (s *Session) revision() grapnel.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mod
}

// void makes sure that no request guarded by the session key's revision mod can
// be applied any more, and returns what reads find at that moment or later. It
// keeps trying until the session is lost, when the requests' lease runs out and
// voids them as well: a claim must not stay that nobody knows of.
func (s *Session) void(mod grapnel.Revision, reads ...store.Op) ([]store.Read, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := s.Context()
	for pause := (store.Pause{}); ; {
		res, found, err := s.rewrite(ctx, reads)
		switch {
		case errors.Is(err, ErrLost):
			return nil, err
		case err != nil:
			if pause.Wait(ctx) != nil {
				return nil, fmt.Errorf("%w: %w", ErrLost, err)
			}
		case res.Succeeded || s.mod != mod:
			return found, nil
		}
	}
}

// lock is a mutex that may be held while waiting for the store: unlike on a
// [sync.Mutex], waiting for it does not keep the fake time of testing/synctest
// from passing.
type lock chan struct{}

// Lock takes the lock.
func (l lock) Lock() { l <- struct{}{} }

// Unlock gives it back.
func (l lock) Unlock() { <-l }
