package main

import (
	"context"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel/client"
)

// stuckInterval is how often it is looked whether any worker can run what waits.
const stuckInterval = 3 * time.Second

// watchStuck tells why no worker that is alive can run a task that waits, when
// there is a reason, when it changes, and with an empty text when it is gone,
// until ctx ends.
func (fl *flow) watchStuck(ctx context.Context, c *client.Client, every time.Duration, tell func(text string)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		info, err := c.Get(ctx, fl.id)
		if err != nil {
			continue // whoever follows the run hears of it
		}
		if text := stuckText(info); text != told {
			told = text
			tell(text)
		}
	}
}

// stuckText says of the first task that no worker can run why that is, and how
// many others there are.
func stuckText(info *client.RunInfo) string {
	text, others := "", 0
	for i := range info.Nodes {
		switch n := &info.Nodes[i]; {
		case n.Stuck == "":
		case text == "":
			text = fmt.Sprintf("%s waits: %s", taskName(n.Name), n.Stuck)
		default:
			others++
		}
	}
	if others > 0 {
		text += fmt.Sprintf(" (and %d more)", others)
	}
	return text
}
