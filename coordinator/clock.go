package coordinator

import (
	"time"

	"github.com/grapnel-dev/grapnel/workflow"
)

// clock is the shards' clock as their owner keeps it: it begins with the wall
// clock, is raised to the largest time that any head it sees carries, and runs
// on the monotonic clock in between. It never goes back. A coordinator has one
// for all its shards, since messages to workers carry one time.
type clock struct {
	start time.Time // only differences to it are used
	base  workflow.Moment
}

func newClock(wall time.Time) *clock {
	return &clock{
		start: time.Now(), //nolint:forbidigo // only differences to it are used
		base:  workflow.MomentOf(wall),
	}
}

func (c *clock) now() workflow.Moment {
	return c.base + workflow.Moment(time.Since(c.start).Milliseconds())
}

// raise makes the clock show at least m.
func (c *clock) raise(m workflow.Moment) {
	if now := c.now(); m > now {
		c.base += m - now
	}
}
