package flowfile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/internal/httptask"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for how long a run may take that takes moments.
const patience = 2 * time.Minute

// cluster has a coordinator and two workers on a store in memory.
func cluster(t *testing.T, st *memstore.Store, register func(*worker.Worker)) *client.Client {
	t.Helper()
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
		register(w)
		start(w.Run)
	}
	c, err := client.New(client.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// handle registers commands for tests.
func (c *commands) handle(w *worker.Worker) { w.HandleRaw(commandtask.TaskName, "", c.run) }

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
	c := cluster(t, memstore.New(), commands.handle)
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
	c := cluster(t, memstore.New(), commands.handle)
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

// token is the secret of real.yaml.
const token = "correct-horse-battery"

// echo answers what real.yaml sends.
func echo(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name   string `json:"name"`
			Length int    `json:"length"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("request %+v, error %v, authorization %q", in, err, r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"words": [%q, "%d"]}`, in.Name, in.Length)
	}
}

func TestAFileRunsItsTasksForReal(t *testing.T) {
	t.Setenv("FLOWFILE_TEST_TOKEN", token)
	server := httptest.NewServer(echo(t))
	t.Cleanup(server.Close)
	policy := secret.Policy{Env: []string{"FLOWFILE_TEST_TOKEN"}}
	rules, err := httptask.ParseRules([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := httptask.New(httptask.Config{Rules: rules, Secrets: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(caller.Close)
	runner, err := commandtask.Open(commandtask.Config{Root: t.TempDir(), Secrets: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runner.Close(); err != nil {
			t.Error(err)
		}
	})
	st := memstore.New()
	c := cluster(t, st, func(w *worker.Worker) {
		worker.Handle(w, commandtask.Task, runner.Run)
		worker.Handle(w, httptask.Task, caller.Do)
	})
	f, _ := load(t, "testdata/run/real.yaml")
	got, err := start(t, c, f, fmt.Sprintf(`{"url":%q}`, server.URL))
	if want := fmt.Sprintf(`["it's real","%d"]`, len(token)); err != nil || got != want {
		t.Errorf("the run returned %s, %v; want %s", got, err, want)
	}
	page, err := st.List(t.Context(), store.ListRequest{})
	if err != nil || len(page.KVs) == 0 {
		t.Fatalf("%d keys, %v", len(page.KVs), err)
	}
	for _, kv := range page.KVs {
		if strings.Contains(string(kv.Value), token) {
			t.Errorf("the secret is in %s", kv.Key)
		}
	}
}
