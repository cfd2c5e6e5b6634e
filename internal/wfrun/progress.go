package wfrun

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel/internal/tui"
)

const (
	// progressInterval is the least time between two lines of progress.
	progressInterval = 500 * time.Millisecond
	// barInterval is the same between two drawings of a bar.
	barInterval = 100 * time.Millisecond
)

// teller writes lines for people and, on a terminal, a bar below them. It is
// safe for concurrent use.
type teller struct {
	began   time.Time
	columns int // of the terminal; 0 if it is none

	mu  sync.Mutex
	w   io.Writer // guarded by mu
	bar string    // guarded by mu; what the terminal's last line shows
}

func newTeller(cfg *Config) *teller {
	return &teller{began: time.Now(), columns: cfg.Columns, w: cfg.Progress}
}

// clearLine goes to the beginning of the terminal's line and empties it.
const clearLine = "\r\x1b[2K"

func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%6.1fs  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
	if t.bar != "" {
		line = clearLine + line + t.bar // in one piece, lest it flickers
	}
	fmt.Fprint(t.w, line)
}

// draw replaces the bar; an empty one removes it.
func (t *teller) draw(bar string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if bar != t.bar {
		fmt.Fprint(t.w, clearLine+bar)
		t.bar = bar
	}
}

// follow says how far the run is, when that has changed, until ctx ends.
func (t *teller) follow(ctx context.Context, v *view, tasks int, kills func() int) {
	interval := progressInterval
	if t.columns > 0 {
		interval = barInterval
		defer t.draw("")
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	said := ""
	for {
		s := v.look()
		line := fmt.Sprintf("%d/%d tasks done, %d claimed, %d killed", s.completed, tasks, s.running, kills())
		switch {
		case t.columns > 0:
			t.draw(bar(t.columns, s.completed, tasks, line))
		case line != said:
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

// bar returns a bar that shows done of all, and text behind it as far as there
// is room in so many columns; a line that is full would wrap.
func bar(columns, done, all int, text string) string {
	const most, margin = 40, 1
	width := min(most, columns/2)
	b := tui.Theme{}.Bar(width, tui.Counts{Completed: done, Pending: max(0, all-done)})
	room := columns - width - len("  ") - margin
	if room <= 0 {
		return b
	}
	return b + "  " + tui.Theme{}.Fit(text, room)
}
