package task_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/taskctx"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestOutsideOfATaskThereIsNoInfoButALogger(t *testing.T) {
	t.Parallel()
	info := task.InfoFrom(t.Context())
	if info.Logger == nil {
		t.Fatal("no logger")
	}
	info.Logger.Info("this goes nowhere")
	info.Logger = nil
	if info != (task.Info{}) {
		t.Errorf("info is %+v", info)
	}
}

func TestHeartbeatPassesProgressOnAsJSON(t *testing.T) {
	t.Parallel()
	var got []string
	ctx := taskctx.With(t.Context(), &taskctx.Attempt{Heartbeat: func(_ context.Context, progress []byte) error {
		got = append(got, string(progress))
		return nil
	}})
	for _, p := range []any{map[string]int{"done": 3}, nil, 4} {
		if err := task.Heartbeat(ctx, p); err != nil {
			t.Error(err)
		}
	}
	if s := fmt.Sprint(got); s != `[{"done":3}  4]` {
		t.Errorf("progress was %s", s)
	}
}

func TestHeartbeatReturnsTheCauseOfTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := task.Heartbeat(ctx, 1); err != nil {
		t.Errorf("heartbeat outside of a task: %v", err)
	}
	cancel(grapnel.ErrClaimLost)
	if err := task.Heartbeat(ctx, 1); !errors.Is(err, grapnel.ErrClaimLost) {
		t.Errorf("heartbeat returned %v", err)
	}
}

func TestHeartbeatRefusesProgressThatCannotBeKept(t *testing.T) {
	t.Parallel()
	ctx := taskctx.With(t.Context(), &taskctx.Attempt{Heartbeat: func(context.Context, []byte) error {
		t.Error("the heartbeat counted")
		return nil
	}})
	if err := task.Heartbeat(ctx, make(chan int)); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("a channel as progress: %v", err)
	}
	if err := task.Heartbeat(ctx, strings.Repeat("x", grapnel.MaxPayload)); !errors.Is(err, grapnel.ErrTooLarge) {
		t.Errorf("too much progress: %v", err)
	}
}

func TestFailKeepsTheErrorAndIsFinal(t *testing.T) {
	t.Parallel()
	cause := errors.New("card refused")
	for name, c := range map[string]struct {
		err        error
		kind, text string
	}{
		"with kind":        {task.Fail("refused", cause), "refused", "card refused"},
		"without kind":     {task.Fail("", cause), workflow.KindError, "card refused"},
		"wrapped":          {fmt.Errorf("charge: %w", task.Fail("refused", cause)), "refused", "charge: card refused"},
		"without error":    {task.Fail("refused", nil), "refused", ""},
		"outer kind first": {task.Fail("outer", fmt.Errorf("x: %w", task.Fail("inner", cause))), "outer", "x: inner: card refused"},
	} {
		f := workflow.FailureOf(c.err)
		if f.Kind != c.kind || f.Message != c.text || !f.Permanent || f.Node != -1 {
			t.Errorf("%s: failure is %+v", name, f)
		}
		if name != "without error" && !errors.Is(c.err, cause) {
			t.Errorf("%s: does not wrap its cause", name)
		}
	}
}
