package coordinator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/execution"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// Defaults of [Config].
const (
	DefaultNamespace            = "default"
	DefaultTTL                  = 10 * time.Second
	DefaultMargin               = 1500 * time.Millisecond
	DefaultSweep                = 30 * time.Second
	DefaultOfferTTL             = 2 * time.Second
	DefaultAgeing               = time.Minute
	DefaultGrace                = 2 * time.Second
	DefaultProcessed            = 10 * time.Second
	DefaultRetention            = 24 * time.Hour
	DefaultMaxConcurrentCommits = 64
)

// Config configures a [Coordinator].
type Config struct {
	// Store is where all state is. Required.
	Store store.Store
	// Namespace is whose runs are looked after; empty means [DefaultNamespace].
	Namespace string
	// Name is what the ids of the coordinator's memberships begin with, for
	// people to recognise; it need not be unique and may be empty.
	Name string

	// TTL is how long after the last sign of life of a coordinator its shards
	// go to another one; zero means [DefaultTTL].
	TTL time.Duration
	// Margin is how long before that the coordinator itself stops acting; zero
	// means [DefaultMargin]. It must be at least etcd's election timeout, and at
	// most half of TTL.
	Margin time.Duration
	// Sweep is how often memory is compared with a listing; zero means
	// [DefaultSweep].
	Sweep time.Duration
	// OfferTTL is how long an offer that nobody takes keeps its node from being
	// offered to somebody else; zero means [DefaultOfferTTL].
	OfferTTL time.Duration
	// Ageing is the waiting time that counts as much as one step of priority:
	// a node of priority 3 is offered before one of priority 2 that became
	// available that much later. Zero means [DefaultAgeing].
	Ageing time.Duration
	// Grace is for how long after a node's start-to-close time-out the owner
	// leaves it to the worker to report it; zero means [DefaultGrace], negative
	// no time.
	Grace time.Duration
	// Processed is how often the revision is recorded up to which a shard's
	// losses have been counted; zero means [DefaultProcessed]. A shard in which
	// nothing happens is recorded 30 times less often.
	Processed time.Duration
	// Retention is how long after its end a run is archived: its record is
	// written to Sink and it is deleted from the store. Zero means
	// [DefaultRetention], negative never.
	Retention time.Duration
	// MaxConcurrentCommits is how many runs are committed at a time; zero means
	// [DefaultMaxConcurrentCommits].
	MaxConcurrentCommits int

	// Sink takes the records of archived runs; nil means that they are
	// discarded.
	Sink execution.Sink
	// Definitions may be shared with other parts of the process; nil means the
	// coordinator's own.
	Definitions *snapshot.Definitions
	// Random returns numbers in [0, 1), which decide the jitter of retries; nil
	// means [rand.Float64]. It must be safe for concurrent use.
	Random func() float64
	// Now returns the wall clock's time, which new shard clocks begin with; nil
	// means [time.Now].
	Now func() time.Time
	// Logger is named "coordinator"; nil means none. Package sloghclog makes one of
	// a slog.Logger.
	Logger hclog.Logger
}

// fill returns a copy with its defaults, and all that is wrong with it.
func (c Config) fill() (Config, store.Keys, error) {
	orDefault(&c.Namespace, DefaultNamespace)
	orDefault(&c.TTL, DefaultTTL)
	orDefault(&c.Margin, DefaultMargin)
	orDefault(&c.Sweep, DefaultSweep)
	orDefault(&c.OfferTTL, DefaultOfferTTL)
	orDefault(&c.Ageing, DefaultAgeing)
	orDefault(&c.Grace, DefaultGrace)
	orDefault(&c.Processed, DefaultProcessed)
	orDefault(&c.Retention, DefaultRetention)
	orDefault(&c.MaxConcurrentCommits, DefaultMaxConcurrentCommits)
	c.Grace = max(c.Grace, 0)
	if c.Sink == nil {
		c.Sink = execution.Discard{}
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // this is where it is injected
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	c.Logger = c.Logger.Named("coordinator")
	keys, err := store.NewKeys(c.Namespace)
	return c, keys, errors.Join(append(c.problems(), err)...)
}

func (c *Config) problems() []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: coordinator: "+format, append([]any{grapnel.ErrInvalid}, args...)...))
	}
	if c.Store == nil {
		wrong("there is no store")
	}
	if c.Margin < 0 || c.TTL < 2*c.Margin {
		wrong("TTL %v must be at least twice the margin %v", c.TTL, c.Margin)
	}
	for _, d := range []struct {
		what string
		d    time.Duration
	}{{"sweep interval", c.Sweep}, {"offer TTL", c.OfferTTL}, {"ageing", c.Ageing}, {"processed interval", c.Processed}} {
		if d.d < time.Millisecond {
			wrong("%s %v is less than a millisecond", d.what, d.d)
		}
	}
	if c.MaxConcurrentCommits < 0 {
		wrong("%d concurrent commits", c.MaxConcurrentCommits)
	}
	return errs
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
