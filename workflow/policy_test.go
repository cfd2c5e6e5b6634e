package workflow_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// node returns the only node of a workflow that runs t.
func node[Out any](t *testing.T, task workflow.Task[workflow.None, Out], o ...workflow.NodeOption) workflow.Node {
	t.Helper()
	w := workflow.New("w", func(g *workflow.Graph, in V[workflow.None]) V[Out] { return workflow.Do(g, task, in, o...) })
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	return d.Nodes[0]
}

func TestNodeOptionsGoBeforeTheContract(t *testing.T) {
	t.Parallel()
	task := workflow.NewTask[workflow.None, int]("t",
		workflow.Retry(workflow.RetryPolicy{Attempts: 3, NonRetryable: []string{"refused"}}),
		workflow.ScheduleToStart(time.Second), workflow.StartToClose(2*time.Second),
		workflow.ScheduleToClose(time.Minute), workflow.Heartbeat(time.Second/2),
		workflow.MaxLosses(2), workflow.Tags("gpu", "eu"), workflow.Version("v2"), workflow.Queue("slow"), workflow.Priority(5))
	want := workflow.Policy{
		Retry:           workflow.RetryPolicy{Attempts: 3, NonRetryable: []string{"refused"}},
		ScheduleToStart: time.Second, StartToClose: 2 * time.Second, ScheduleToClose: time.Minute, Heartbeat: time.Second / 2,
		MaxLosses: 2, Tags: []string{"gpu", "eu"}, Version: "v2", Queue: "slow", Priority: 5,
	}
	equal := func(what string, got workflow.Policy) {
		t.Helper()
		if !samePolicy(got, want) {
			t.Errorf("%s: policy %+v, want %+v", what, got, want)
		}
	}
	equal("contract", task.Policy())
	equal("node without options", node(t, task).Policy)

	got := node(t, task, workflow.Retry(workflow.RetryPolicy{Attempts: 9}), workflow.StartToClose(0), workflow.Tags(),
		workflow.Queue("fast"), workflow.Priority(1), workflow.Version("v3"), workflow.MaxLosses(7)).Policy
	want.Retry, want.StartToClose, want.Tags = workflow.RetryPolicy{Attempts: 9}, 0, nil
	want.Queue, want.Priority, want.Version, want.MaxLosses = "fast", 1, "v3", 7
	equal("node with options", got)

	if task.Version() != "v2" {
		t.Errorf("version of the contract: %q", task.Version())
	}
	task.Policy().Tags[0] = "changed"
	node(t, task).Policy.Tags[0] = "changed"
	if got := task.Policy().Tags[0]; got != "gpu" {
		t.Errorf("a contract's tags can be changed from outside: %q", got)
	}
}

func samePolicy(a, b workflow.Policy) bool {
	tags := slices.Equal(a.Tags, b.Tags) && slices.Equal(a.Retry.NonRetryable, b.Retry.NonRetryable)
	ra, rb := a.Retry, b.Retry
	retry := ra.Attempts == rb.Attempts && ra.Backoff == rb.Backoff && ra.Factor == rb.Factor && ra.MaxBackoff == rb.MaxBackoff && ra.Jitter == rb.Jitter
	return tags && retry && a.ScheduleToStart == b.ScheduleToStart && a.StartToClose == b.StartToClose &&
		a.ScheduleToClose == b.ScheduleToClose && a.Heartbeat == b.Heartbeat && a.Priority == b.Priority &&
		a.Queue == b.Queue && a.Version == b.Version && a.MaxLosses == b.MaxLosses
}

func TestWorkflowAndInlineOptions(t *testing.T) {
	t.Parallel()
	w := workflow.New("w", func(g *workflow.Graph, in V[int]) V[int] {
		return workflow.Inline(g, "f", func(i int) int { return i }, in,
			workflow.ID("g"), workflow.Queue("q"), workflow.Priority(2), workflow.Tags("x"))
	}, workflow.Version("1.2"), workflow.Queue("all"), workflow.Priority(4), workflow.RunTimeout(time.Hour))
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	if want := (workflow.RunPolicy{Queue: "all", Timeout: time.Hour, Priority: 4}); d.Policy != want || d.Version != "1.2" {
		t.Errorf("run policy %+v version %q, want %+v", d.Policy, d.Version, want)
	}
	n := d.Nodes[0]
	if n.Name != "g" || n.Task != "g" || !samePolicy(n.Policy, workflow.Policy{Queue: "q", Priority: 2, Tags: []string{"x"}}) {
		t.Errorf("inline node: %+v", n)
	}
}

func TestPoliciesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	retry := func(r workflow.RetryPolicy) workflow.PolicyOption { return workflow.Retry(r) }
	for want, options := range map[string][]workflow.PolicyOption{
		"schedule-to-start -1s is negative":                        {workflow.ScheduleToStart(-time.Second)},
		"start-to-close -1s is negative":                           {workflow.StartToClose(-time.Second)},
		"schedule-to-close -1s is negative":                        {workflow.ScheduleToClose(-time.Second)},
		"heartbeat -1s is negative":                                {workflow.Heartbeat(-time.Second)},
		"start-to-close 2s is longer than schedule-to-close 1s":    {workflow.StartToClose(2 * time.Second), workflow.ScheduleToClose(time.Second)},
		"schedule-to-start 2s is longer than schedule-to-close 1s": {workflow.ScheduleToStart(2 * time.Second), workflow.ScheduleToClose(time.Second)},
		"heartbeat 1s is not shorter than start-to-close 1s":       {workflow.Heartbeat(time.Second), workflow.StartToClose(time.Second)},
		"heartbeat 1s is not shorter than schedule-to-close 1s":    {workflow.Heartbeat(time.Second), workflow.ScheduleToClose(time.Second)},
		"max losses -1 is negative":                                {workflow.MaxLosses(-1)},
		"retry backoff -1s is negative":                            {retry(workflow.RetryPolicy{Backoff: -time.Second})},
		"retry max backoff -1s is negative":                        {retry(workflow.RetryPolicy{MaxBackoff: -time.Second})},
		"retry backoff 2s is longer than max backoff 1s":           {retry(workflow.RetryPolicy{Backoff: 2 * time.Second, MaxBackoff: time.Second})},
		"retry factor -1 is not a number from 0":                   {retry(workflow.RetryPolicy{Factor: -1})},
		"retry factor +Inf is not a number from 0":                 {retry(workflow.RetryPolicy{Factor: math.Inf(1)})},
		"retry jitter 1.5 is not from 0 to 1":                      {retry(workflow.RetryPolicy{Jitter: 1.5})},
		"retry jitter NaN is not from 0 to 1":                      {retry(workflow.RetryPolicy{Jitter: math.NaN()})},
		`non-retryable kind name "a b": only letters`:              {retry(workflow.RetryPolicy{NonRetryable: []string{"a b"}})},
	} {
		var m mark
		checkOne := func(where string, w workflow.Any) {
			t.Helper()
			got := mistakes(t, w)
			if len(got) != 1 || !strings.Contains(got[0].Err.Error(), want) || !errors.Is(got[0], grapnel.ErrInvalid) {
				t.Errorf("%s: mistakes %v, want one with %q", where, got, want)
				return
			}
			if got[0].Line != m.line || !strings.HasSuffix(got[0].File, "policy_test.go") {
				t.Errorf("%s: %q is at %s:%d, want line %d", where, want, got[0].File, got[0].Line, m.line)
			}
		}
		checkOne("node", workflow.New("w", func(g *workflow.Graph, in V[string]) V[int] {
			var o []workflow.NodeOption
			for _, option := range options {
				o = append(o, option)
			}
			m.next()
			return workflow.Do(g, charge, in, o...)
		}))
		var o []workflow.TaskOption
		for _, option := range options {
			o = append(o, option)
		}
		m.next()
		task := workflow.NewTask[string, int]("t", o...)
		checkOne("contract", workflow.New("w", func(g *workflow.Graph, in V[string]) V[int] {
			workflow.Do(g, task, in)
			return workflow.Do(g, task, in, workflow.ID("again")) // is no second mistake
		}))
		if task.Err() == nil || !strings.Contains(task.Err().Error(), want) {
			t.Errorf("error of the contract: %v, want %q", task.Err(), want)
		}
	}
}

func TestNamesAndPrioritiesAreCheckedEverywhere(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]workflow.OfferOption{
		"priority 0 is not 1 (first) to 5": workflow.Priority(0),
		"priority 6 is not 1 (first) to 5": workflow.Priority(6),
		`queue name "a/b": only letters`:   workflow.Queue("a/b"),
	} {
		for where, w := range map[string]workflow.Any{
			"node": workflow.New("w", func(g *workflow.Graph, in V[string]) V[int] { return workflow.Do(g, charge, in, o) }),
			"contract": workflow.New("w", func(g *workflow.Graph, in V[int]) V[int] {
				return workflow.Do(g, workflow.NewTask[int, int]("t", o), in)
			}),
			"workflow": workflow.New("w", func(g *workflow.Graph, in V[int]) V[int] { return in }, o),
			"inline": workflow.New("w", func(g *workflow.Graph, in V[int]) V[int] {
				return workflow.Inline(g, "f", func(i int) int { return i }, in, o)
			}),
		} {
			if got := mistakes(t, w); len(got) != 1 || !strings.Contains(got[0].Err.Error(), want) {
				t.Errorf("%s: mistakes %v, want one with %q", where, got, want)
			}
		}
	}
}

func TestMistakesOfWorkflowsAndContracts(t *testing.T) {
	t.Parallel()
	same := func(g *workflow.Graph, in V[int]) V[int] { return in }
	var m mark
	task := func(err error) *workflow.BuildError {
		b, _ := errors.AsType[*workflow.BuildError](err)
		return b
	}
	flow := func(w workflow.Any) *workflow.BuildError { return task(w.Err()) }
	for want, f := range map[string]func() *workflow.BuildError{
		`workflow name "a b"`: func() *workflow.BuildError {
			m.next()
			return flow(workflow.New("a b", same))
		},
		"the build function is nil": func() *workflow.BuildError {
			m.next()
			return flow(workflow.New[int, int]("w", nil))
		},
		"what the build function returns is the zero Value": func() *workflow.BuildError {
			m.next()
			return flow(workflow.New("w", func(*workflow.Graph, V[int]) V[int] { return V[int]{} }))
		},
		"input of type chan int": func() *workflow.BuildError {
			m.next()
			return flow(workflow.New("w", func(_ *workflow.Graph, in V[chan int]) V[chan int] { return in }))
		},
		"run time-out -1s is negative": func() *workflow.BuildError {
			m.next()
			return flow(workflow.New("w", same, workflow.RunTimeout(-time.Second)))
		},
		`version name "ä"`: func() *workflow.BuildError {
			m.next()
			return flow(workflow.New("w", same, workflow.Version("ä")))
		},
		"option 2 is nil": func() *workflow.BuildError {
			m.next()
			return flow(workflow.New("w", same, workflow.Priority(1), nil))
		},
		"task name is empty": func() *workflow.BuildError {
			m.next()
			return task(workflow.NewTask[int, int]("").Err())
		},
		"task f: nil function": func() *workflow.BuildError {
			m.next()
			return task(workflow.TaskFunc[int, int]("f", nil).Err())
		},
		"task f: invalid: output of type func()": func() *workflow.BuildError {
			m.next()
			return task(workflow.TaskFunc("f", func(context.Context, int) (func(), error) { return nil, nil }).Err())
		},
		"task f: invalid: input of type map[complex128]int cannot be JSON: complex128 is no type for keys": func() *workflow.BuildError {
			m.next()
			return task(workflow.NewTask[map[complex128]int, int]("f").Err())
		},
		`task f: invalid: tag name "a b"`: func() *workflow.BuildError {
			m.next()
			return task(workflow.NewTask[int, int]("f", workflow.Tags("ok", "a b")).Err())
		},
	} {
		got := f()
		if got == nil || !strings.Contains(got.Err.Error(), want) || got.Line != m.line || !errors.Is(got, grapnel.ErrInvalid) {
			t.Errorf("mistake %v, want %q at line %d", got, want, m.line)
		}
	}
}

func TestValidateJoinsAllProblems(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"priority 6|max losses -1|heartbeat -1s": workflow.Policy{Priority: 6, MaxLosses: -1, Heartbeat: -time.Second}.Validate(),
		"retry jitter 2|retry backoff -1s":       workflow.RetryPolicy{Jitter: 2, Backoff: -time.Second}.Validate(),
		"run time-out -1s|priority -1|queue":     workflow.RunPolicy{Timeout: -time.Second, Priority: -1, Queue: "ä"}.Validate(),
	} {
		for part := range strings.SplitSeq(want, "|") {
			if !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), part) {
				t.Errorf("error %v, want one with %q", err, part)
			}
		}
	}
	if err := errors.Join(workflow.Policy{}.Validate(), workflow.RetryPolicy{}.Validate(), workflow.RunPolicy{}.Validate()); err != nil {
		t.Errorf("zero policies: %v", err)
	}
}
