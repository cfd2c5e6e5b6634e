package worker

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
)

// drain waits for what is being executed: first with patience, then having told
// the tasks to stop. When it returns nothing is executed any more, unless by
// functions that do not return.
func (s *session) drain() {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	helpers.Go(s.describeDraining)
	idle := make(chan struct{})
	helpers.Go(func() {
		s.work.Wait()
		close(idle)
	})
	if within(idle, s.w.cfg.Grace) {
		return
	}
	level := hclog.Warn
	if s.w.cfg.Grace < 0 {
		level = hclog.Info // that was to be
	}
	s.log.Log(level, "grace is over; stopping tasks", "running", s.running())
	s.stop(grapnel.ErrStopping)
	// The margin is for the commits and releases that follow.
	if within(idle, s.w.cfg.StopWait+s.w.cfg.Margin) {
		return
	}
	s.log.Warn("outcomes not committed in time; their claims run out", "running", s.running())
	s.end(grapnel.ErrStopping)
	<-idle
}

// within waits for done, at most for d, and reports whether it came.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (s *session) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active)
}
