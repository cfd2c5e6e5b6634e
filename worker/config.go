package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Defaults of [Config].
const (
	DefaultNamespace = "default"
	DefaultSlots     = 10
	DefaultGrace     = 30 * time.Second
	DefaultStopWait  = 5 * time.Second
	DefaultSeek      = 20 * time.Millisecond
)

// Config configures a [Worker].
type Config struct {
	// Store is where all state is. Required.
	Store store.Store
	// Namespace is whose runs the worker executes; empty means
	// [DefaultNamespace].
	Namespace string
	// Name is what the ids of the worker's sessions begin with, for people to
	// recognise; it need not be unique and may be empty.
	Name string
	// Queues are the queues that the worker takes nodes from; none means
	// [workflow.DefaultQueue] alone.
	Queues []string
	// Tags are what the worker has that a node may ask for.
	Tags []string
	// Slots is how many nodes are executed at a time; zero means [DefaultSlots].
	// A function that does not return keeps its slot.
	Slots int

	// TTL is how long after the last sign of life of the worker its nodes are
	// given to others; zero means [claim.DefaultTTL].
	TTL time.Duration
	// Margin is how long before that the worker itself stops; zero means
	// [claim.DefaultMargin]. It must be at least etcd's election timeout, and at
	// most half of TTL.
	Margin time.Duration
	// Grace is for how long after the end of Run's context tasks go on before
	// their contexts end; zero means [DefaultGrace], negative not at all.
	Grace time.Duration
	// StopWait is for how long Run then waits for them to return; zero means
	// [DefaultStopWait].
	StopWait time.Duration
	// Seek is how often a worker that finds no coordinator looks into one of the
	// [store.Shards] shards for itself, give or take a half; zero means
	// [DefaultSeek].
	Seek time.Duration

	// Evaluators evaluate the expressions of nodes, each those of one language.
	// Nodes with expressions in other languages are left to other workers.
	Evaluators []workflow.Evaluator
	// Definitions may be shared with other parts of the process; nil means the
	// worker's own.
	Definitions *snapshot.Definitions
	// Random returns numbers in [0, 1), which decide the jitter of retries; nil
	// means [rand.Float64]. It must be safe for concurrent use.
	Random func() float64
	// Logger is named "worker"; nil means none. Package sloghclog makes one of a
	// slog.Logger.
	Logger hclog.Logger
}

// fill returns a copy with its defaults, and all that is wrong with it.
func (c Config) fill() (Config, store.Keys, error) {
	c.Queues, c.Tags, c.Evaluators = slices.Clone(c.Queues), slices.Clone(c.Tags), slices.Clone(c.Evaluators)
	orDefault(&c.Namespace, DefaultNamespace)
	orDefault(&c.Slots, DefaultSlots)
	orDefault(&c.TTL, claim.DefaultTTL)
	orDefault(&c.Margin, claim.DefaultMargin)
	orDefault(&c.Grace, DefaultGrace)
	orDefault(&c.StopWait, DefaultStopWait)
	orDefault(&c.Seek, DefaultSeek)
	if len(c.Queues) == 0 {
		c.Queues = []string{workflow.DefaultQueue}
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	c.Logger = c.Logger.Named("worker")
	keys, err := store.NewKeys(c.Namespace)
	return c, keys, errors.Join(append(c.problems(), err)...)
}

func (c *Config) problems() []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: worker: "+format, append([]any{grapnel.ErrInvalid}, args...)...))
	}
	if c.Store == nil {
		wrong("there is no store")
	}
	if c.Slots < 0 {
		wrong("%d slots", c.Slots)
	}
	if c.Margin < 0 || c.TTL < 2*c.Margin {
		wrong("TTL %v must be at least twice the margin %v", c.TTL, c.Margin)
	}
	if c.StopWait < 0 {
		wrong("stop wait %v is negative", c.StopWait)
	}
	if c.Seek < 0 {
		wrong("seek interval %v is negative", c.Seek)
	}
	languages := map[string]bool{}
	for i, e := range c.Evaluators {
		if e == nil {
			wrong("evaluator %d is nil", i)
			continue
		}
		if err := grapnel.ValidateName("language", e.Language()); err != nil {
			errs = append(errs, err)
		}
		if languages[e.Language()] {
			wrong("there are two evaluators of language %s", e.Language())
		}
		languages[e.Language()] = true
	}
	for _, q := range c.Queues {
		if err := grapnel.ValidateName("queue", q); err != nil {
			errs = append(errs, err)
		}
	}
	for _, t := range c.Tags {
		if err := grapnel.ValidateName("tag", t); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
