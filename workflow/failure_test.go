package workflow_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestFailureSaysWhatItIs(t *testing.T) {
	t.Parallel()
	is := map[string]error{
		workflow.KindScheduleToStart: grapnel.ErrTimedOut, workflow.KindStartToClose: grapnel.ErrTimedOut,
		workflow.KindScheduleToClose: grapnel.ErrTimedOut, workflow.KindHeartbeat: grapnel.ErrTimedOut,
		workflow.KindRunTimeout: grapnel.ErrTimedOut, workflow.KindTooLarge: grapnel.ErrTooLarge,
		workflow.KindBadInput: grapnel.ErrInvalid, workflow.KindBadOutput: grapnel.ErrInvalid,
		workflow.KindError: nil, workflow.KindPanic: nil, workflow.KindLost: nil, "own": nil,
	}
	for kind, want := range is {
		err := fmt.Errorf("run: %w", &workflow.Failure{Kind: kind})
		for _, target := range []error{grapnel.ErrTimedOut, grapnel.ErrTooLarge, grapnel.ErrInvalid, grapnel.ErrClaimLost} {
			if got := errors.Is(err, target); got != errors.Is(want, target) {
				t.Errorf("failure of kind %s is %v: %v", kind, target, got)
			}
		}
	}
}

func TestFailureSaysWhereItHappened(t *testing.T) {
	t.Parallel()
	d := diamond()
	for _, c := range []struct {
		f               workflow.Failure
		short, complete string
	}{
		{workflow.Failure{Kind: "k", Message: "m", Node: 1, Attempt: 2}, "node 1 (attempt 2): k: m", "node left, task work (attempt 2): k: m"},
		{workflow.Failure{Kind: "k", Node: 2, Attempt: 1}, "node 2 (attempt 1): k", "inline function right (attempt 1): k"},
		{workflow.Failure{Kind: "k", Message: "m", Node: -1}, "k: m", "k: m"},
		{workflow.Failure{Kind: "k", Message: "m", Node: 9, Attempt: 1}, "node 9 (attempt 1): k: m", "node 9 (attempt 1): k: m"},
	} {
		if got := c.f.Error(); got != c.short {
			t.Errorf("error %q, want %q", got, c.short)
		}
		if got := c.f.Describe(d); got != c.complete {
			t.Errorf("description %q, want %q", got, c.complete)
		}
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	if f := workflow.FailureOf(nil); f != nil {
		t.Errorf("failure of nil: %v", f)
	}
	f := workflow.FailureOf(io.EOF)
	if f.Kind != workflow.KindError || f.Message != "EOF" || f.Node != -1 || f.Permanent {
		t.Errorf("failure of an error: %+v", f)
	}
	inner := &workflow.Failure{Kind: "refused", Message: "no money", Node: 3, Attempt: 2, Permanent: true, Stack: "s"}
	for err, message := range map[error]string{
		inner:                                   "no money",
		fmt.Errorf("charge: %w", inner):         "charge: no money",
		fmt.Errorf("a: %w", errors.Join(inner)): "a: no money",
	} {
		f := workflow.FailureOf(err)
		if f == inner || f.Message != message || f.Kind != "refused" || f.Node != 3 || f.Attempt != 2 || !f.Permanent || f.Stack != "s" {
			t.Errorf("failure of %v: %+v, want message %q", err, f, message)
		}
	}
	var typedNil *workflow.Failure
	if f := workflow.FailureOf(typedNil); f == nil || f.Kind != workflow.KindError {
		t.Errorf("failure of a typed nil: %+v", f)
	}
	long := workflow.FailureOf(errors.New(strings.Repeat("é", workflow.MaxFailureText)))
	if len(long.Message) > workflow.MaxFailureText || len(long.Message) < workflow.MaxFailureText-8 || !utf8.ValidString(long.Message) {
		t.Errorf("long message kept as %d bytes", len(long.Message))
	}
	if f := workflow.FailureOf(errors.New("a\xff")); !utf8.ValidString(f.Message) {
		t.Errorf("message is not UTF-8: %q", f.Message)
	}
}

func TestPanicFailureKeepsTheStackFromThePanicOn(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"panic":   func() { explode(nil) },
		"runtime": func() { explode([]int{}) },
	} {
		var got *workflow.Failure
		func() {
			defer func() { got = workflow.PanicFailure(recover()) }()
			f()
		}()
		if got.Kind != workflow.KindPanic || got.Message == "" || got.Node != -1 {
			t.Errorf("%s: %+v", name, got)
		}
		if first, _, _ := strings.Cut(strings.TrimPrefix(got.Stack, "runtime.goPanicIndex"), "("); !strings.Contains(got.Stack, "explode") || strings.Contains(first, "debug") {
			t.Errorf("%s: stack %s", name, got.Stack)
		}
	}
}

//go:noinline
func explode(list []int) {
	if list == nil {
		panic("boom")
	}
	list[len(list)] = 1
}
