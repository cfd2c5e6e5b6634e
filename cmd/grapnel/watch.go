package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/live"
	"github.com/grapnel-dev/grapnel/internal/tui"
)

func newWatch(a *app) *cobra.Command {
	var lines bool
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Follow a run until it ends",
		Long: `Follow a run until it ends. On a terminal it is a live view, which q, Esc or
Ctrl-C closes, while the run goes on; otherwise, or with --lines, a line for each
change: time, node, state, attempt, worker and cause, or with -o json an object
with these.

Exits as grapnel wait does: with 0 if the run completed, 1 if it failed, 3 if it
was cancelled and 4 if it timed out.`,
		Example: `  grapnel watch order-17
  grapnel watch order-17 --lines | tee order-17.log
  grapnel watch order-17 -o json | jq 'select(.state == "failed")'`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&lines, "lines", false, "a line for each change, on a terminal too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			if a.format == formatTable && !lines && live.Possible(a.out) {
				return a.watchLive(cmd.Context(), c, runArg(args))
			}
			return a.watchLines(cmd.Context(), c, runArg(args))
		})
	}
	return a.formatted(cmd)
}

// watchLines writes a line for each change of a run, and returns how it ended.
func (a *app) watchLines(ctx context.Context, c *client.Client, id grapnel.RunID) error {
	var last *client.RunInfo
	trouble := client.OnTrouble(func(err error) { a.log.Warn("watching goes on after an error", "run", id, "error", err) })
	for info, err := range c.Watch(ctx, id, trouble) {
		if err != nil {
			return err
		}
		for _, ch := range changes(last, info, time.Now()) {
			if err := a.writeChange(info, &ch); err != nil {
				return err
			}
		}
		last = info
	}
	return last.Failure()
}

// watchState is the latest of a run, and why there is nothing later.
type watchState struct {
	info    *client.RunInfo
	trouble error
}

// watchLive shows a run until it has ended, and returns how.
func (a *app) watchLive(ctx context.Context, c *client.Client, id grapnel.RunID) error {
	var last *client.RunInfo
	t := theme()
	err := showLive(ctx, a, live.Config[watchState]{
		Draw: func(s watchState, now time.Time, width, height int) []string {
			v := viewRun(s.info, now)
			if s.trouble != nil {
				v.Trouble = s.trouble.Error()
			}
			if !v.Ended {
				v.Hint = "q closes this view; the run goes on"
			}
			return v.Lines(t, width, height)
		},
	}, func(ctx context.Context, show func(watchState)) error {
		trouble := client.OnTrouble(func(err error) {
			if last != nil {
				show(watchState{last, err})
			}
		})
		for info, err := range c.Watch(ctx, id, trouble) {
			if err != nil {
				return err
			}
			last = info
			show(watchState{info: info})
		}
		return nil
	})
	switch {
	case errors.Is(err, live.ErrQuit):
		return fmt.Errorf("run %q: %w before the run ended; it goes on", id, live.ErrQuit)
	case err != nil:
		return err
	}
	return last.Failure()
}

// change is a line of grapnel watch.
type change struct {
	Time time.Time     `json:"time"`
	Run  grapnel.RunID `json:"run"`
	// Node is empty for changes of the run itself.
	Node    string           `json:"node,omitempty"`
	State   string           `json:"state"`
	Attempt int              `json:"attempt,omitempty"`
	Worker  grapnel.WorkerID `json:"worker,omitempty"`
	Cause   string           `json:"cause,omitempty"`
}

// States of nodes that only lines know, because they pass at once.
const (
	stateRetrying = "retrying" // an attempt failed, and another one will follow
	stateLost     = "lost"     // the claim of an attempt vanished with its worker
)

// changes compares a run with what it was before, which is nil at first. Now
// dates what the run has no time for.
func changes(before, after *client.RunInfo, now time.Time) []change {
	var found []change
	if !after.Status.Ended() && (before == nil || before.Status != after.Status) {
		found = append(found, runChange(after, now))
	}
	known := map[string]*client.NodeInfo{}
	if before != nil {
		for i := range before.Nodes {
			known[before.Nodes[i].Name] = &before.Nodes[i]
		}
	}
	for i := range after.Nodes {
		was, ok := known[after.Nodes[i].Name]
		if !ok {
			was = &client.NodeInfo{State: client.NodePending}
		}
		found = appendNodeChanges(found, after.ID, was, &after.Nodes[i], now)
	}
	if after.Status.Ended() { // of which there is one
		found = append(found, runChange(after, now))
	}
	return found
}

func runChange(info *client.RunInfo, now time.Time) change {
	ch := change{Time: now, Run: info.ID, State: info.Status.String()}
	if info.Status.Ended() {
		ch.Time = info.Ended
		if info.Cause != nil {
			ch.Cause = causeText(info.Cause)
		}
	}
	return ch
}

func appendNodeChanges(found []change, run grapnel.RunID, was, is *client.NodeInfo, now time.Time) []change {
	add := func(at time.Time, state string, attempt int, worker grapnel.WorkerID, cause string) {
		if at.IsZero() {
			at = now
		}
		found = append(found, change{at, run, is.Name, state, attempt, worker, cause})
	}
	told := false
	if is.Losses > was.Losses {
		add(now, stateLost, max(1, is.Attempt-1), grapnel.WorkerID(lostBy(is)), "")
		told = true
	}
	if f := is.LastFailure; f != nil && is.Failures > was.Failures && is.State != client.NodeFailed {
		add(now, stateRetrying, f.Attempt, was.Worker, causeText(f))
		told = true
	}
	if is.State == was.State && (is.State != client.NodeRunning || is.Fence == was.Fence && is.Attempt == was.Attempt) {
		return found
	}
	switch is.State {
	case client.NodePending:
	case client.NodeRunning:
		add(is.Started, string(is.State), is.Attempt, is.Worker, "")
	case client.NodeFailed:
		cause := ""
		if is.LastFailure != nil {
			cause = causeText(is.LastFailure)
		}
		add(is.Finished, string(is.State), is.Attempt, was.Worker, cause)
	case client.NodeAvailable, client.NodeWaiting:
		if !told { // that goes without saying
			add(is.Available, string(is.State), is.Attempt, "", "")
		}
	default:
		attempt := is.Attempt
		if is.Started.IsZero() && was.State != client.NodeRunning {
			attempt = 0 // there was none
		}
		add(is.Finished, string(is.State), attempt, was.Worker, "")
	}
	return found
}

// writeChange writes a line.
func (a *app) writeChange(info *client.RunInfo, ch *change) error {
	if a.format == formatJSON {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(ch)
	}
	return writeChangeLine(a.out, nodeWidth(info), ch)
}

func writeChangeLine(out io.Writer, width int, ch *change) error {
	var t tui.Theme
	name, rest := ch.Node, ""
	if name == "" {
		name = "run " + string(ch.Run)
	}
	if ch.Attempt > 0 {
		rest += fmt.Sprintf("  attempt %d", ch.Attempt)
	}
	if ch.Worker != "" {
		rest += "  on " + tui.Clean(string(ch.Worker))
	}
	if ch.Cause != "" {
		rest += "  " + tui.Clean(ch.Cause)
	}
	state := ch.State
	if rest != "" {
		state = t.Pad(state, 9)
	}
	name = tui.Clean(name)
	_, err := fmt.Fprintf(out, "%s  %s  %s%s\n", ch.Time.Local().Format("15:04:05.000"), t.Pad(name, max(width, tui.Width(name))), state, rest)
	return err
}

// nodeWidth is how wide the column of nodes is.
func nodeWidth(info *client.RunInfo) int {
	const most = 40
	width := tui.Width(tui.Clean("run " + string(info.ID)))
	for i := range info.Nodes {
		width = max(width, tui.Width(tui.Clean(info.Nodes[i].Name)))
	}
	return min(width, most)
}
