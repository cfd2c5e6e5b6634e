package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// DefaultNamespace is the namespace of a [Config] that names none.
const DefaultNamespace = "default"

// Config configures a [Client].
type Config struct {
	// Store is where the namespace is kept. Required; the client does not close
	// it.
	Store store.Store
	// Namespace is which runs the client sees; empty means [DefaultNamespace].
	Namespace string
	// Logger may be nil. Package sloghclog makes one of a slog.Logger.
	Logger hclog.Logger
	// Now is the clock whose times go into starts and retries; nil means
	// time.Now.
	Now func() time.Time
}

// Client starts and inspects the runs of a namespace. Use [New]. It is safe for
// concurrent use and holds nothing that needs closing: the watches that waits
// share end by themselves a second after the last wait.
type Client struct {
	st    store.Store
	keys  store.Keys
	runs  *snapshot.Runs
	heads *heads
	log   hclog.Logger
	now   func() time.Time
}

// New returns a client. It does no I/O. The error wraps [grapnel.ErrInvalid].
func New(cfg Config) (*Client, error) {
	if cfg.Namespace == "" {
		cfg.Namespace = DefaultNamespace
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var errs []error
	if cfg.Store == nil {
		errs = append(errs, fmt.Errorf("%w: client without a store", grapnel.ErrInvalid))
	}
	keys, err := store.NewKeys(cfg.Namespace)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return &Client{
		st: cfg.Store, keys: keys, log: cfg.Logger.Named("client"), now: cfg.Now,
		runs:  snapshot.NewRuns(cfg.Store, keys, snapshot.NewDefinitions(cfg.Store, keys)),
		heads: &heads{st: cfg.Store, keys: keys},
	}, nil
}

func (c *Client) moment() workflow.Moment { return workflow.MomentOf(c.now()) }
