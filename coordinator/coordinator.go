package coordinator

import (
	"context"
	"fmt"
	"sync"

	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// Coordinator looks after the runs of a namespace. Use [New].
type Coordinator struct {
	cfg  Config
	keys store.Keys
	runs *snapshot.Runs
}

// New returns a coordinator. The error joins all that is wrong with cfg and
// wraps [grapnel.ErrInvalid].
func New(cfg Config) (*Coordinator, error) {
	cfg, keys, err := cfg.fill()
	if err != nil {
		return nil, err
	}
	defs := cfg.Definitions
	if defs == nil {
		defs = snapshot.NewDefinitions(cfg.Store, keys)
	}
	return &Coordinator{cfg: cfg, keys: keys, runs: snapshot.NewRuns(cfg.Store, keys, defs)}, nil
}

// Run coordinates until ctx ends, then resigns, so that others take over at
// once, and returns nil. If the store cannot be read at the start it returns the
// error, which is the store's; trouble later on is logged and survived. All that
// Run began has ended when it returns. Run may be called again, and several
// times at once, which makes several coordinators.
func (c *Coordinator) Run(ctx context.Context) error {
	if _, err := c.cfg.Store.List(ctx, store.ListRequest{Prefix: c.keys.Coordinators(), Limit: 1}); err != nil {
		return fmt.Errorf("coordinator: first request: %w", err)
	}
	for {
		err := c.session(ctx)
		if err == nil {
			return nil
		}
		c.cfg.Logger.Error("started over", "reason", err)
	}
}

// session coordinates until ctx ends, or until everything has to be read anew:
// then it returns why.
func (c *Coordinator) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	l := newLoop(ctx, c)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		l.wg.Wait()
	}()
	wg.Go(func() { l.follow(c.keys.Definitions(), l.resetDefinitions, l.definitionChanged) })
	wg.Go(func() { l.follow(c.keys.Workers(), l.resetWorkers, l.workerChanged) })
	wg.Go(func() { l.follow(c.keys.ShardOwners(), l.resetOwners, l.ownerChanged) })
	wg.Go(l.followRuns)
	wg.Go(l.keepMember)
	wg.Go(l.keepSweeping)
	return l.run()
}
