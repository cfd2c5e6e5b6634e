package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errNoInk = errors.New("no ink")

func flow(fn func(context.Context, int) (int, error)) *workflow.Workflow[int, int] {
	t := workflow.TaskFunc("work", fn)
	return workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, t, in)
	})
}

func TestRunReturnsTheFailureOfItsRun(t *testing.T) {
	t.Parallel()
	_, err := local.Run(t.Context(), local.Config{}, flow(func(context.Context, int) (int, error) { return 0, errNoInk }), 1)
	var failed *client.RunFailedError
	if !errors.As(err, &failed) || failed.Status != grapnel.RunFailed || failed.Cause.Message != errNoInk.Error() {
		t.Errorf("Run returned %v", err)
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if _, err := local.Run(t.Context(), local.Config{}, flow(func(_ context.Context, n int) (int, error) { return n, nil }), 1); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	_, err := local.Run(ctx, local.Config{}, flow(func(ctx context.Context, _ int) (int, error) {
		cancel(enough)
		<-ctx.Done()
		return 0, ctx.Err()
	}), 1)
	if !errors.Is(err, enough) {
		t.Errorf("Run returned %v", err)
	}
}

func TestRunRefusesWhatCouldNotEnd(t *testing.T) {
	t.Parallel()
	mistaken := workflow.New("not a name", func(_ *workflow.Graph, in workflow.Value[int]) workflow.Value[int] { return in })
	contract := workflow.NewTask[int, int]("contract")
	unimplemented := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, contract, in)
	})
	for _, w := range []*workflow.Workflow[int, int]{mistaken, unimplemented} {
		if _, err := local.Run(t.Context(), local.Config{}, w, 1); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("Run returned %v", err)
		}
	}
}

func TestTasksCanBeRegistered(t *testing.T) {
	t.Parallel()
	contract := workflow.NewTask[int, int]("contract", workflow.Queue("special"), workflow.Tags("gpu"))
	w := workflow.New("flow", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, contract, in)
	})
	cfg := local.Config{Register: func(w *worker.Worker) {
		worker.Handle(w, contract, func(_ context.Context, n int) (int, error) { return n + 1, nil })
	}}
	if out, err := local.Run(t.Context(), cfg, w, 1); err != nil || out != 2 {
		t.Errorf("Run returned %v, %v", out, err)
	}
}

func TestAClusterWithAFolderKeepsItsRuns(t *testing.T) {
	t.Parallel()
	cfg := local.Config{Dir: filepath.Join(t.TempDir(), "data")}
	w := flow(func(_ context.Context, n int) (int, error) { return 2 * n, nil })

	first, err := local.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Start(t.Context(), first.Client(), w, 4, client.WithID("r")); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(t.Context(), cfg); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("opening the folder twice returned %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Err(); err == nil {
		t.Error("Err returned nil after Close")
	}
	if _, err := first.Client().Get(t.Context(), "r"); !errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("Get returned %v after Close", err)
	}

	second, err := local.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- second.Work(ctx, w) }()
	run, err := client.Attach(t.Context(), second.Client(), w, "r")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run.Wait(t.Context()); err != nil || out != 8 {
		t.Errorf("Wait returned %v, %v", out, err)
	}
	cancel()
	if err := <-worked; err != nil {
		t.Errorf("Work returned %v", err)
	}
	if err := errors.Join(second.Close(), second.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesABadAddress(t *testing.T) {
	t.Parallel()
	if _, err := local.Open(t.Context(), local.Config{Listen: "nowhere"}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("Open returned %v", err)
	}
}
