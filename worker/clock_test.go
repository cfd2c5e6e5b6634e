package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/workflow"
)

// A clock set back would date the next attempt before its time, and its owner
// would let it time out too early.
func TestALateMessageDoesNotSetTheClockBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set(100_000)
		faketime.Pass(5 * time.Second)
		for _, m := range []struct{ said, want workflow.Moment }{
			{100_000, 105_000}, // sent together with the first and late
			{0, 105_000},       // says nothing
			{104_999, 105_000},
			{107_000, 107_000},
		} {
			c.set(m.said)
			if got := c.now(); got != m.want {
				t.Errorf("after a message of %d the clock shows %d, want %d", m.said, got, m.want)
			}
		}
	})
}
