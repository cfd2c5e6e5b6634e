package flowfile_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for how long a run may take that takes moments.
const patience = 2 * time.Minute

// cluster has a coordinator and two workers on a store in memory.
func cluster(t *testing.T, run workflow.Handler) *client.Client {
	t.Helper()
	st := memstore.New()
	eval, err := celexpr.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		stop()
		wg.Wait()
		st.Close()
	})
	start := func(run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	co, err := coordinator.New(coordinator.Config{Store: st, Name: "co"})
	if err != nil {
		t.Fatal(err)
	}
	start(co.Run)
	for _, name := range []string{"one", "two"} {
		w, err := worker.New(worker.Config{Store: st, Name: name, Evaluators: []workflow.Evaluator{eval}})
		if err != nil {
			t.Fatal(err)
		}
		w.HandleRaw("grapnel.command", "", run)
		start(w.Run)
	}
	c, err := client.New(client.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a file with an input to its end. In the output, the run's id is RUN.
func start(t *testing.T, c *client.Client, f *flowfile.File, input string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	def, err := f.Definition()
	if err != nil {
		t.Fatal(err)
	}
	in, err := f.CheckInput([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.StartDefinition(ctx, def, in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Wait(ctx)
	return strings.Replace(string(out), string(run.ID()), "RUN", 1), err
}

func TestAFileRunsOnWorkers(t *testing.T) {
	t.Parallel()
	f, _ := load(t, "testdata/run/shop.yaml")
	commands := &commands{tried: map[string]int{}}
	c := cluster(t, commands.run)
	got, err := start(t, c, f, "")
	if err != nil || got != shopOutput {
		t.Errorf("the run returned %v and\n%s; want\n%s", err, got, shopOutput)
	}
	if want := map[string]int{"": len(commands.ran) - 5, "apple": 1, "book": 3, "pear": 1}; !maps.Equal(commands.tried, want) {
		t.Errorf("commands were tried %v; want %v", commands.tried, want)
	}
}

func TestARunFailsByItsFirstFailure(t *testing.T) {
	t.Parallel()
	commands := &commands{tried: map[string]int{}}
	c := cluster(t, commands.run)
	for text, kind := range map[string]string{
		"workflow: w\ntasks:\n  a: {run: \"exit 3\", retry: {attempts: 2, backoff: 1ms}}\n  b: {needs: a, run: echo never}\n": workflow.KindError,
		"workflow: w\ntasks:\n  skipped: {if: false, run: echo never}\n  a: {run: \"echo ${{ tasks.skipped.stdout }}\"}\n":    workflow.KindBadExpression,
		"workflow: w\ntasks:\n  a:\n    for_each: '${{ lists.range(257) }}'\n    run: echo never\n":                           workflow.KindTooManyItems,
		"workflow: w\ninputs: {x: {type: any, default: {}}}\ntasks: {a: {run: echo never, if: inputs.x.y}}\n":                 workflow.KindBadExpression,
	} {
		_, err := start(t, c, parse(t, text), "")
		var failed *client.RunFailedError
		if !errors.As(err, &failed) || failed.Cause == nil || failed.Cause.Kind != kind {
			t.Errorf("%s\nreturned %v; want a failure of kind %s", text, err, kind)
		}
	}
	for _, command := range commands.ran {
		if command == "[]echo never" {
			t.Error("a command ran that was not to")
		}
	}
}
