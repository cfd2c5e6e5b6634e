package wfrun

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/wfformat"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// realConfig runs a generated workflow on processes that are this test binary.
func realConfig(t *testing.T, shape string, tasks int) Config {
	t.Helper()
	w, err := wfformat.Generate(shape, tasks, 1)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Workflow: w, File: "folder/" + shape + ".json", TimeScale: 0.001, Workers: 2, Seed: 1, TTL: MinTTL,
		RoleArgs: []string{childArg, "real"},
	}
}

func TestRunUnderKillsCompletesEveryTaskOnceAndCountsWhatWasLost(t *testing.T) {
	t.Parallel()
	cfg := realConfig(t, "forkjoin", 30)
	cfg.KillWorkers, cfg.KillCoordinators = 2, 1
	var progress bytes.Buffer
	cfg.Progress = &progress
	r, err := Run(t.Context(), cfg)
	if err = errors.Join(err, errOf(r)); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if r.Completed != 30 || r.Violations == nil || *r.Violations != 0 || !r.Audit.Complete {
		t.Errorf("reported %+v", r)
	}
	if r.WorkerKills != 2 || r.CoordinatorKills != 1 || r.Kills != 3 || r.KillsLeft != 0 {
		t.Errorf("killed %d workers and %d coordinators\n%s", r.WorkerKills, r.CoordinatorKills, progress.String())
	}
	lost := 0
	for _, k := range r.KillList {
		lost += k.Claims
	}
	if r.Requeued < 2 || r.Requeued < lost || r.Executions < 30+r.Requeued {
		t.Errorf("%d claims were left behind, %d requeued, of %d executions", lost, r.Requeued, r.Executions)
	}
	if r.File != "forkjoin.json" {
		t.Errorf("the report names the file %q", r.File)
	}
	if !strings.Contains(progress.String(), "30 of 30 tasks done") {
		t.Errorf("progress was told as\n%s", progress.String())
	}
}

func errOf(r *Report) error {
	if r == nil {
		return errors.New("no report")
	}
	return r.Err()
}

func TestRunInTheSameDataAgainIsAuditedOnItsOwn(t *testing.T) {
	t.Parallel()
	cfg := realConfig(t, "chain", 3)
	cfg.Data, cfg.Logs = t.TempDir(), t.TempDir()
	namespaces := map[string]bool{}
	for range 2 {
		r, err := Run(t.Context(), cfg)
		if err = errors.Join(err, errOf(r)); err != nil {
			t.Fatal(err)
		}
		if r.Executions != 3 || r.Kills != 0 {
			t.Errorf("reported %+v", r)
		}
		namespaces[r.Namespace] = true
	}
	if len(namespaces) != 2 {
		t.Errorf("two runs share a namespace: %v", namespaces)
	}
	logs, err := os.ReadDir(cfg.Logs)
	if err != nil || len(logs) != 4 { // etcd, a coordinator, two workers
		t.Errorf("logs are %v: %v", logs, err)
	}

	for name := range namespaces {
		cfg.Namespace = name
	}
	if _, err := Run(t.Context(), cfg); !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), "holds runs") {
		t.Errorf("a namespace with a run in it: %v", err)
	}
}

// onFirst calls do once something is written.
type onFirst struct {
	once sync.Once
	do   func()
}

func (o *onFirst) Write(b []byte) (int, error) {
	o.once.Do(o.do)
	return len(b), nil
}

func TestRunThatIsInterruptedReturnsTheCauseAndLeavesNoFolder(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	cfg := realConfig(t, "chain", 3)
	cfg.TimeScale = 1000 // it would take hours
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cfg.Progress = &onFirst{do: func() { cancel(cause) }}
	if r, err := Run(ctx, cfg); r != nil || !errors.Is(err, cause) {
		t.Errorf("got %v, %v", r, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind are %v: %v", left, err)
	}
}

func TestRunThatTakesTooLongIsReportedAsItIs(t *testing.T) {
	t.Parallel()
	cfg := realConfig(t, "chain", 3)
	cfg.TimeScale, cfg.Timeout, cfg.KillWorkers = 1000, 1, 1
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != "running" || r.Completed != 0 || r.Violations == nil || !errors.Is(r.Err(), ErrNotClean) {
		t.Errorf("reported %+v", r)
	}
}

func TestSettingsThatCannotBeUsedAreAllReported(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Config{TimeScale: -1, Workers: -1, Slots: -1, KillWorkers: -1, TTL: 1, Timeout: -1, Namespace: "a/b"})
	if !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"no workflow", "time scale", "workers", "slots", "killed", "TTL", "time-out", "namespace"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in: %v", want, err)
		}
	}
}

func TestServeRefusesWhatIsNoRole(t *testing.T) {
	t.Parallel()
	for name, stdin := range map[string]string{
		"nothing on standard input": "",
		"no JSON":                   "hello\n",
		"unknown role":              "{}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Serve(t.Context(), "cook", nil, strings.NewReader(stdin), &bytes.Buffer{}, &bytes.Buffer{})
			if !errors.Is(err, grapnel.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// greeting is a task of the user's own, which child registers.
var greeting = workflow.NewTask[string, string]("greet")

func registerGreeting(w *worker.Worker) {
	worker.Handle(w, greeting, func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil })
}

func TestDefinitionWithTasksOfItsOwnRunsToItsOutput(t *testing.T) {
	t.Parallel()
	w := workflow.New("greetings", func(g *workflow.Graph, name workflow.Value[string]) workflow.Value[[]string] {
		return workflow.Gather(g, "all",
			workflow.Do(g, greeting, name, workflow.ID("one")),
			workflow.Do(g, greeting, name, workflow.ID("two")))
	})
	def, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Definition: def, Input: []byte(`"you"`), Workers: 1, KillWorkers: 0, TTL: MinTTL,
		RoleArgs: []string{childArg, "real"},
	}
	r, err := Run(t.Context(), cfg)
	if err = errors.Join(err, errOf(r)); err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Output), `["Hello, you","Hello, you"]`; got != want {
		t.Errorf("the output is %s, not %s", got, want)
	}
	if r.Tasks != 2 || r.Workflow != "greetings" {
		t.Errorf("reported %+v", r)
	}
}

func TestKillsLeaveTheCallersDefinitionAsItIs(t *testing.T) {
	t.Parallel()
	def := &workflow.Definition{Nodes: []workflow.Node{{}}}
	made, err := definition(&Config{Definition: def, KillWorkers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got := made.Nodes[0].Policy.MaxLosses; got != workflow.DefaultMaxLosses+3 {
		t.Errorf("a node survives %d losses", got)
	}
	if got := def.Nodes[0].Policy.MaxLosses; got != 0 {
		t.Errorf("the definition that was given is changed: %d losses", got)
	}
}
