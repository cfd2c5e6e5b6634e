package worker

import (
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel/workflow"
)

// clock is the shards' clock as a worker knows it: what the last message said,
// plus the time since then on the worker's own monotonic clock. No message sets
// it back: one may arrive after others that were sent later. Before any message
// it is the worker's wall clock.
type clock struct {
	mu      sync.Mutex
	said    workflow.Moment // guarded by mu; zero before the first message
	arrived time.Time       // guarded by mu
}

func (c *clock) set(said workflow.Moment) {
	if said == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said != 0 && said <= c.said+workflow.Moment(time.Since(c.arrived).Milliseconds()) {
		return // a message that was late, or of an owner whose clock is behind
	}
	c.said, c.arrived = said, time.Now()
}

func (c *clock) now() workflow.Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said == 0 {
		return workflow.MomentOf(time.Now())
	}
	return c.said + workflow.Moment(time.Since(c.arrived).Milliseconds())
}
