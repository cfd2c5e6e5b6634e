package wfrun

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// progressInterval is the least time between two lines of progress.
const progressInterval = 500 * time.Millisecond

// teller writes lines for people. It is safe for concurrent use.
type teller struct {
	began time.Time

	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "%6.1fs  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

// follow says how far the run is, when that has changed, until ctx ends.
func (t *teller) follow(ctx context.Context, v *view, tasks int, kills func() int) {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	said := ""
	for {
		s := v.look()
		line := fmt.Sprintf("%d/%d tasks done, %d claims, %d kills", s.completed, tasks, s.running, kills())
		if line != said {
			t.say("%s", line)
			said = line
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
