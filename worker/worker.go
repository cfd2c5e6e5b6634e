package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// Worker executes the nodes of runs. Make one with [New], register tasks and
// workflows, then call [Worker.Run], once.
type Worker struct {
	cfg  Config
	keys store.Keys
	log  hclog.Logger
	runs *snapshot.Runs
	reg  *registry

	slots chan struct{} // has an element for each slot that is taken
	calls calls
}

// New returns a worker. It does no I/O. The error joins everything that is wrong
// with cfg and wraps [grapnel.ErrInvalid].
func New(cfg Config) (*Worker, error) {
	cfg, keys, err := cfg.fill()
	if err != nil {
		return nil, err
	}
	if cfg.Definitions == nil {
		cfg.Definitions = snapshot.NewDefinitions(cfg.Store, keys)
	}
	return &Worker{
		cfg: cfg, keys: keys, log: cfg.Logger,
		runs:  snapshot.NewRuns(cfg.Store, keys, cfg.Definitions),
		reg:   newRegistry(cfg.Evaluators),
		slots: make(chan struct{}, cfg.Slots),
		calls: calls{running: map[*call]struct{}{}},
	}, nil
}

// Run executes nodes until ctx ends, and then drains: it takes no more nodes,
// lets the ones it has go on for [Config.Grace], ends the contexts of those that
// are left with cause [grapnel.ErrStopping] and gives back what has not
// succeeded then. Run returns nil once drained. Functions that do not return are
// left behind and logged; their results are discarded.
//
// Registration mistakes and a store that cannot be reached at the start are
// errors, which Run returns before it executes anything. Later on it keeps
// trying, and begins a new session under a new id whenever one is lost.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.reg.seal(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	s, err := w.open(ctx)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	asked := make(chan time.Time, 1)
	defer context.AfterFunc(ctx, func() { asked <- time.Now() })()
	defer func() {
		// Those that a drain had patience with get no more of it.
		patience := w.cfg.StopWait
		if ctx.Err() != nil {
			patience = min(patience, max(0, w.cfg.Grace)+w.cfg.StopWait-time.Since(<-asked))
		}
		w.calls.wait(patience)
		w.calls.logAbandoned(w.log)
	}()
	for {
		s.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		w.log.Warn("session lost; opening another one", "worker", s.Worker())
		if s = w.reopen(ctx); s == nil {
			return nil
		}
	}
}

// reopen opens a session as soon as that is possible; it returns nil if ctx ends
// first.
func (w *Worker) reopen(ctx context.Context) *session {
	for pause := (store.Pause{}); ; {
		s, err := w.open(ctx)
		if err == nil {
			return s
		}
		if pause.Wait(ctx) != nil {
			return nil
		}
		w.log.Warn("session not opened; trying again", "error", err)
	}
}

// call is a call of a user's function.
type call struct {
	run  grapnel.RunID
	node grapnel.NodeKey
	task string
}

// calls are the calls of users' functions that are under way. They outlive
// attempts, sessions and Run if the functions do not return.
type calls struct {
	mu      sync.Mutex
	running map[*call]struct{} // guarded by mu
	idle    chan struct{}      // guarded by mu; if not nil, closed once nothing is running
}

func (c *calls) begin(e *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[e] = struct{}{}
}

func (c *calls) end(e *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, e)
	if len(c.running) == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// wait waits for functions that have not returned although their attempts are
// over, at most for d.
func (c *calls) wait(d time.Duration) {
	idle := make(chan struct{})
	c.mu.Lock()
	if len(c.running) == 0 {
		close(idle)
	} else {
		c.idle = idle
	}
	c.mu.Unlock()
	within(idle, d)
}

func (c *calls) logAbandoned(log hclog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := range c.running {
		log.Error("function left behind: it did not return when its context ended", "run", e.run, "node", e.node, "task", e.task)
	}
}

// slot is one of the worker's slots while it is taken: by an execution, and by
// each function it has called that has not returned.
type slot struct {
	w     *Worker
	mu    sync.Mutex
	users int // guarded by mu
}

func (sl *slot) retain() {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.users++
}

func (sl *slot) release() {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.users--; sl.users == 0 {
		<-sl.w.slots
	}
}

var errSessionOver = errors.New("session over")
