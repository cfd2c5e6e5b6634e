package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/store"
)

func TestTasksAreCalledAsInTheirFile(t *testing.T) {
	t.Parallel()
	for node, want := range map[string]string{
		"a":                    "a",
		"a.input":              "a.input",
		"a.each[3]":            "a[3]",
		"a.each[3].a":          "a[3]",
		"a.each[3].a.input":    "a[3].input",
		"a.each":               "a.each",
		"a.each[3].b":          "a.each[3].b",
		"a.each[3":             "a.each[3",
		"a.each[3].ab":         "a.each[3].ab",
		"shrink.each[12].with": "shrink.each[12].with",
	} {
		if got := taskName(node); got != want {
			t.Errorf("%s is called %s, want %s", node, got, want)
		}
	}
}

func TestExpressionsAreShownOnlyIfTheyFail(t *testing.T) {
	t.Parallel()
	info := &client.RunInfo{Nodes: []client.NodeInfo{
		{Name: "a.input", Kind: "expression", State: client.NodeCompleted},
		{Name: "a", Kind: "task", State: client.NodeSkipped},
		{Name: "b.input", Kind: "expression", State: client.NodeFailed},
	}}
	got := tasksOf(info)
	if len(info.Nodes) != 3 || len(got.Nodes) != 2 || got.Nodes[0].Name != "a" || got.Nodes[1].Name != "b.input" {
		t.Errorf("the nodes are %+v", got.Nodes)
	}
}

// heeding is a heed of a run that nobody executes.
type heeding struct {
	*heed
	t       *testing.T
	signals chan os.Signal
	out     *bytes.Buffer
	ctx     context.Context
	done    chan struct{} // closed when it has ended
}

func heedRun(t *testing.T, ask bool) *heeding {
	t.Helper()
	cluster, err := local.Open(t.Context(), local.Config{})
	if err != nil {
		t.Fatal(err)
	}
	file, err := flowfile.Parse("f", []byte("workflow: w\ntasks: {t: {run: [true]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	def, err := file.Definition()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Client().StartDefinition(t.Context(), def, []byte("{}"), client.WithID("r")); err != nil {
		t.Fatal(err)
	}
	h := &heeding{t: t, signals: make(chan os.Signal, 4), out: &bytes.Buffer{}, done: make(chan struct{})}
	ctx, leave := context.WithCancelCause(t.Context())
	h.ctx = ctx
	h.heed = &heed{fl: &flow{app: newApp(nil, nil, h.out), id: "r"}, c: cluster.Client(), leave: leave, ask: ask}
	go func() {
		defer close(h.done)
		h.run(ctx, h.signals)
	}()
	t.Cleanup(func() {
		leave(nil)
		<-h.done
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// hints waits until the hint has this text in it.
func (h *heeding) hints(text string) {
	h.t.Helper()
	for pause := (store.Pause{}); !strings.Contains(h.hint(), text); {
		if err := pause.Wait(h.t.Context()); err != nil {
			h.t.Fatalf("the hint is %q", h.hint())
		}
	}
}

func (h *heeding) ends(want grapnel.RunStatus) {
	h.t.Helper()
	info, err := h.c.WaitEnded(h.t.Context(), "r")
	if err != nil || info.Status != want {
		h.t.Errorf("the run ended as %+v, %v", info, err)
	}
}

func TestCtrlCAsksThenCancelsThenLeaves(t *testing.T) {
	t.Parallel()
	h := heedRun(t, true)
	h.hints("Ctrl-C to cancel")
	h.signals <- os.Interrupt
	h.hints("Cancel the run?")
	info, err := h.c.Get(t.Context(), "r")
	if err != nil || info.Status != grapnel.RunRunning {
		t.Errorf("asked only, the run is %+v, %v", info, err)
	}
	h.signals <- os.Interrupt
	h.hints("being cancelled")
	h.ends(grapnel.RunCancelled)
	h.signals <- os.Interrupt
	<-h.done
	if cause := context.Cause(h.ctx); !errors.Is(cause, cli.ErrLeft) {
		t.Errorf("the third one ended it with %v", cause)
	}
}

func TestWhereNobodyCanBeAskedTheFirstOneCancels(t *testing.T) {
	t.Parallel()
	h := heedRun(t, false)
	h.signals <- os.Interrupt
	h.ends(grapnel.RunCancelled)
	h.leave(nil)
	<-h.done
	if said := h.out.String(); said != "The run is being cancelled. Ctrl-C again leaves it.\n" {
		t.Errorf("it said %q", said)
	}
}

func TestSIGTERMLeavesTheRun(t *testing.T) {
	t.Parallel()
	h := heedRun(t, true)
	h.signals <- syscall.SIGTERM
	<-h.done
	if cause := context.Cause(h.ctx); !errors.Is(cause, cli.ErrLeft) {
		t.Errorf("it ended with %v", cause)
	}
	if info, err := h.c.Get(t.Context(), "r"); err != nil || info.Status != grapnel.RunRunning {
		t.Errorf("the run is %+v, %v", info, err)
	}
}

func TestACancelThatCannotBeMadeIsTold(t *testing.T) {
	t.Parallel()
	h := heedRun(t, false)
	h.fl.id = "nobody"
	h.signals <- os.Interrupt
	<-h.ctx.Done()
	if cause := context.Cause(h.ctx); !errors.Is(cause, grapnel.ErrNotFound) {
		t.Errorf("it ended with %v", cause)
	}
}

func TestTheReportHasWhatFailedTheRunAsAWhole(t *testing.T) {
	t.Parallel()
	info := &client.RunInfo{RunSummary: client.RunSummary{ID: "r", Status: grapnel.RunTimedOut}, Cause: &client.FailureInfo{Kind: "timeout-run", Message: "late"}}
	r := reportFlow(info, 0)
	if len(r.Failures) != 1 || r.Failures[0] != (flowFailure{Kind: "timeout-run", Message: "late"}) || string(r.Output) != "null" || r.Tasks == nil {
		t.Errorf("the report is %+v", r)
	}
}

func TestARunThatNoWorkerCanExecuteSaysSo(t *testing.T) {
	t.Parallel()
	h := heedRun(t, false)
	ctx, stop := context.WithCancel(t.Context())
	told, done := make(chan string), make(chan struct{})
	go func() {
		defer close(done)
		h.fl.watchStuck(ctx, h.c, time.Millisecond, func(text string) { told <- text })
	}()
	if text := <-told; text != "t waits: no worker is alive" {
		t.Errorf("it is told %q", text)
	}
	// Once it is not stuck any more that is told, too.
	if err := h.c.Cancel(ctx, "r", ""); err != nil {
		t.Fatal(err)
	}
	if text := <-told; text != "" {
		t.Errorf("after the end it is told %q", text)
	}
	stop()
	<-done
	h.isStuck("t waits")
	h.leave(nil)
	<-h.done
	if h.trouble() != "t waits" || h.out.String() != "t waits\n" {
		t.Errorf("it shows %q and says %q", h.trouble(), h.out)
	}
}

func TestOfManyTasksThatAreStuckOneIsNamed(t *testing.T) {
	t.Parallel()
	info := &client.RunInfo{Nodes: []client.NodeInfo{
		{Name: "a"}, {Name: "b.each[1].b", Stuck: "no worker is alive"}, {Name: "c", Stuck: "no"}, {Name: "d", Stuck: "no"},
	}}
	if text := stuckText(info); text != "b[1] waits: no worker is alive (and 2 more)" {
		t.Errorf("%q", text)
	}
	if text := stuckText(&client.RunInfo{Nodes: info.Nodes[:1]}); text != "" {
		t.Errorf("%q", text)
	}
}
