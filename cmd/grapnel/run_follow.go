package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/live"
)

// askTime is for how long an interrupt waits for the second one that confirms it.
const askTime = 10 * time.Second

// follow shows the run until it has ended, and heeds interrupts. The error is
// [cli.ErrLeft] if the user left the run, or whatever keeps it from being
// followed.
func (fl *flow) follow(ctx context.Context, c *client.Client) (*client.RunInfo, error) {
	ctx, leave := context.WithCancelCause(ctx)
	h := &heed{fl: fl, c: c, leave: leave, ask: live.Possible(fl.err)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer leave(nil)
	wg.Go(func() { h.run(ctx, fl.signals) })
	if !fl.own { // otherwise there is a worker, made for this workflow
		wg.Go(func() { fl.watchStuck(ctx, c, stuckInterval, h.isStuck) })
	}
	if h.ask {
		return fl.followLive(ctx, c, h)
	}
	return fl.followLines(ctx, c)
}

// followLines writes a line for each change.
func (fl *flow) followLines(ctx context.Context, c *client.Client) (*client.RunInfo, error) {
	var last *client.RunInfo
	for info, err := range c.Watch(ctx, fl.id, client.WithOutput()) {
		if err != nil {
			return nil, err
		}
		tasks := tasksOf(info)
		for _, ch := range changes(last, tasks, time.Now()) {
			if ch.State == string(client.NodeAvailable) || fl.restates(last, &ch) {
				continue
			}
			if fl.own {
				ch.Worker = "" // there is only one
			}
			if err := writeChangeLine(fl.err, nodeWidth(tasks), &ch); err != nil {
				return nil, err
			}
		}
		last = tasks
	}
	return last, nil
}

// restates reports whether a change is the end of a run as it was found, which is
// told otherwise.
func (fl *flow) restates(last *client.RunInfo, ch *change) bool {
	return last == nil && ch.Node == "" && ch.State != grapnel.RunRunning.String()
}

// followLive shows the run on the terminal.
func (fl *flow) followLive(ctx context.Context, c *client.Client, h *heed) (*client.RunInfo, error) {
	var last *client.RunInfo
	t := theme()
	err := showLive(ctx, fl.app, live.Config[*client.RunInfo]{
		Out: fl.err,
		Draw: func(info *client.RunInfo, now time.Time, width, height int) []string {
			v := viewRun(info, now)
			if fl.own {
				for i := range v.Running {
					v.Running[i].Worker = "" // there is only one
				}
			}
			if !v.Ended {
				v.Hint, v.Trouble = h.hint(), h.trouble()
			}
			return v.Lines(t, width, height)
		},
		Key: func(key string) bool {
			if key == "ctrl+c" { // which is no signal while the view has the terminal
				select {
				case fl.signals <- os.Interrupt:
				default:
				}
			}
			return false
		},
	}, func(ctx context.Context, show func(*client.RunInfo)) error {
		for info, err := range c.Watch(ctx, fl.id, client.WithOutput()) {
			if err != nil {
				return err
			}
			last = tasksOf(info)
			show(last)
		}
		return nil
	})
	return last, err
}

// heed acts on interrupts: the first one asks, the second one cancels the run,
// the third one leaves it. Where nobody can be asked, the first one cancels.
type heed struct {
	fl    *flow
	c     *client.Client
	ask   bool
	leave context.CancelCauseFunc
	said  atomic.Pointer[string] // shown in the view
	stuck atomic.Pointer[string] // so is this
}

func (h *heed) run(ctx context.Context, signals <-chan os.Signal) {
	var cancels sync.WaitGroup
	defer cancels.Wait()
	asked, cancelled := false, false
	lapse := time.NewTimer(askTime)
	defer lapse.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-lapse.C:
			if asked && !cancelled {
				asked = false
				h.say("")
			}
			continue
		case s := <-signals:
			switch {
			case s == syscall.SIGTERM || cancelled:
				signal.Stop(h.fl.signals) // the next one ends the process
				h.leave(cli.ErrLeft)
				return
			case h.ask && !asked:
				asked = true
				lapse.Reset(askTime)
				h.say("Cancel the run? Ctrl-C again does; it goes on meanwhile.")
				continue
			}
		}
		cancelled = true
		h.say("The run is being cancelled. Ctrl-C again leaves it.")
		cancels.Go(func() {
			err := h.c.Cancel(ctx, h.fl.id, "interrupted")
			if err != nil && ctx.Err() == nil && !errors.Is(err, grapnel.ErrRunEnded) {
				h.leave(fmt.Errorf("cancel run %q: %w", h.fl.id, err))
			}
		})
	}
}

// say tells the user, in the view or, without one, on a line.
func (h *heed) say(text string) {
	h.said.Store(&text)
	if !h.ask && text != "" {
		_ = h.fl.say("%s", text)
	}
}

// isStuck tells the user why nobody takes a task; an empty text takes it back.
func (h *heed) isStuck(text string) {
	h.stuck.Store(&text)
	if !h.ask && text != "" {
		_ = h.fl.say("%s", text)
	}
}

func (h *heed) trouble() string {
	if text := h.stuck.Load(); text != nil {
		return *text
	}
	return ""
}

func (h *heed) hint() string {
	if text := h.said.Load(); text != nil && *text != "" {
		return *text
	}
	return "Ctrl-C to cancel"
}

// tasksOf returns a run with the tasks of its file alone, called as they are
// there; those of a for_each have an index. What belongs to none, such as an
// expression, is left out unless it failed.
func tasksOf(info *client.RunInfo) *client.RunInfo {
	out := *info
	out.Nodes = nil
	for _, n := range info.Nodes {
		if n.Kind != "task" && n.State != client.NodeFailed {
			continue
		}
		n.Name = taskName(n.Name)
		out.Nodes = append(out.Nodes, n)
	}
	return &out
}

// taskName is what a node is called to people: count[3] for count.each[3], or for
// count.each[3].count if there is more for each item, which is how a for_each is
// compiled.
func taskName(node string) string {
	name, rest, ok := strings.Cut(node, ".each[")
	if !ok {
		return node
	}
	index, tail, ok := strings.Cut(rest, "]")
	tail, within := strings.CutPrefix(tail, ".")
	if within {
		var own bool
		if tail, own = strings.CutPrefix(tail, name); !own {
			return node
		}
	}
	if !ok || tail != "" && !strings.HasPrefix(tail, ".") {
		return node
	}
	return name + "[" + index + "]" + tail
}
