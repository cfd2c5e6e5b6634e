package workflow_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestHandlerPutsAFunctionBehindJSON(t *testing.T) {
	t.Parallel()
	task := workflow.TaskFunc("half", func(_ context.Context, n float64) (any, error) {
		switch n {
		case 0:
			return nil, io.EOF
		case 1:
			return math.NaN(), nil
		case 2:
			return strings.Repeat("x", grapnel.MaxPayload), nil
		}
		return n / 2, nil
	})
	handler, ok := task.Implementation()
	if !ok || task.Err() != nil || task.Name() != "half" {
		t.Fatalf("task %q without implementation, or with error %v", task.Name(), task.Err())
	}
	if out, err := handler(t.Context(), []byte(" 5 ")); err != nil || string(out) != "2.5" {
		t.Errorf("output %s, error %v", out, err)
	}
	if _, err := handler(t.Context(), []byte("0")); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want the function's own", err)
	}
	for in, c := range map[string]struct {
		kind string
		is   error
	}{
		`"x"`: {workflow.KindBadInput, grapnel.ErrInvalid},
		`5 6`: {workflow.KindBadInput, grapnel.ErrInvalid},
		"":    {workflow.KindBadInput, grapnel.ErrInvalid},
		"1":   {workflow.KindBadOutput, grapnel.ErrInvalid},
		"2":   {workflow.KindTooLarge, grapnel.ErrTooLarge},
	} {
		_, err := handler(t.Context(), []byte(in))
		f, ok := errors.AsType[*workflow.Failure](err)
		if !ok || f.Kind != c.kind || !f.Permanent || f.Node != -1 || !errors.Is(err, c.is) {
			t.Errorf("input %q: error %v, want a permanent failure of kind %s", in, err, c.kind)
		}
	}
	if _, ok := charge.Implementation(); ok {
		t.Error("a contract has an implementation")
	}
	var zero workflow.Task[int, int]
	if zero.Err() == nil || zero.Name() != "" {
		t.Errorf("zero task: error %v", zero.Err())
	}
}

func TestInlineFunctionsAreFoundAndEvaluated(t *testing.T) {
	t.Parallel()
	w := workflow.New("w", func(g *workflow.Graph, in V[int64]) V[string] {
		one := workflow.Inline(g, "one", func(a int64) int64 { return a + 1 }, in)
		two := workflow.Inline2(g, "two", func(a, b int64) int64 { return a - b }, in, one)
		three := workflow.Inline3(g, "three", func(a int64, b string, c bool) []any { return []any{a, b, c} }, two, workflow.Const(g, "s"), workflow.Const(g, true))
		workflow.Inline(g, "two", func(int64) int64 { return 99 }, in, workflow.ID("other-two"), workflow.After(three))
		return workflow.Inline4(g, "four", func(a int64, b []any, c workflow.None, d customer) string { return d.Name }, one, three,
			workflow.Const(g, workflow.None{}), workflow.Const(g, customer{Name: "n"}))
	})
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	r := resolver{input: "9007199254740993", outputs: make([]string, len(d.Nodes))}
	want := []string{"9007199254740994", "-1", `[-1,"s",true]`, "99", `"n"`}
	for i := range d.Nodes {
		fn, ok := w.InlineFor(&d.Nodes[i])
		if !ok {
			t.Fatalf("no inline function for node %s", d.Nodes[i].Name)
		}
		in, err := d.Nodes[i].Input.Eval(r)
		if err != nil {
			t.Fatal(err)
		}
		out, err := fn(in)
		if err != nil || string(out) != want[i] {
			t.Errorf("node %s: output %s, error %v, want %s", d.Nodes[i].Name, out, err, want[i])
		}
		r.outputs[i] = string(out)
		if _, ok := w.Inline(d.Nodes[i].Task); !ok {
			t.Errorf("no inline function named %s", d.Nodes[i].Task)
		}
	}
	if n := d.Nodes[4]; n.InType != "(int64, []interface {}, workflow.None, workflow_test.customer)" || n.OutType != "string" {
		t.Errorf("types of an inline function: %s to %s", n.InType, n.OutType)
	}
	for what, n := range map[string]workflow.Node{
		"another name":        {Kind: workflow.KindInline, Task: "x", InType: "int64", OutType: "int64"},
		"another input type":  {Kind: workflow.KindInline, Task: "one", InType: "int", OutType: "int64"},
		"another output type": {Kind: workflow.KindInline, Task: "one", InType: "int64", OutType: "int"},
		"another kind":        {Kind: workflow.KindTask, Task: "one", InType: "int64", OutType: "int64"},
	} {
		if _, ok := w.InlineFor(&n); ok {
			t.Errorf("an inline function is found for a node with %s", what)
		}
	}
}

type panicky struct{ N int }

func (p panicky) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }

func TestInlineFunctionsFailForGood(t *testing.T) {
	t.Parallel()
	w := workflow.New("w", func(g *workflow.Graph, in V[int]) V[int] {
		workflow.Inline(g, "json", func(int) panicky { return panicky{} }, in)
		workflow.Inline(g, "nan", func(int) float64 { return math.NaN() }, in)
		workflow.Inline(g, "big", func(int) string { return strings.Repeat("x", grapnel.MaxPayload) }, in)
		workflow.Inline2(g, "pair", func(a, b int) int { return 0 }, in, in)
		return workflow.Inline(g, "divide", func(n int) int { return 1 / n }, in)
	})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, in, kind, message string }{
		{"divide", "0", workflow.KindPanic, "divide by zero"},
		{"divide", `"x"`, workflow.KindBadInput, "JSON is no int"},
		{"json", "1", workflow.KindPanic, "in MarshalJSON"},
		{"nan", "1", workflow.KindBadOutput, "NaN"},
		{"big", "1", workflow.KindTooLarge, "grapnel.MaxPayload"},
		{"pair", "[1]", workflow.KindBadInput, "there are 1 arguments, want 2"},
		{"pair", "[1,true]", workflow.KindBadInput, "argument 2 is no int"},
		{"pair", "1", workflow.KindBadInput, "JSON is no"},
	} {
		fn, _ := w.Inline(c.name)
		out, err := fn([]byte(c.in))
		f, ok := errors.AsType[*workflow.Failure](err)
		if !ok || out != nil || f.Kind != c.kind || !f.Permanent || !strings.Contains(f.Message, c.message) {
			t.Errorf("%s(%s): output %s, error %v, want kind %s with %q", c.name, c.in, out, err, c.kind, c.message)
			continue
		}
		if (f.Stack != "") != (c.kind == workflow.KindPanic) {
			t.Errorf("%s(%s): stack %q", c.name, c.in, f.Stack)
		}
	}
}

func TestTasksOfAWorkflow(t *testing.T) {
	t.Parallel()
	contract := workflow.NewTask[int, int]("t")
	implemented := workflow.TaskFunc("t", func(_ context.Context, n int) (int, error) { return n, nil })
	other := workflow.TaskFunc("t", func(_ context.Context, n int) (string, error) { return "", nil }, workflow.Version("v2"))
	w := workflow.New("w", func(g *workflow.Graph, in V[int]) V[workflow.None] {
		a := workflow.Do(g, contract, in)
		b := workflow.Do(g, implemented, a, workflow.ID("t2"))
		workflow.Do(g, other, b, workflow.ID("t3"))
		return workflow.Do(g, audit, b)
	})
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range w.Tasks() {
		_, implemented := task.Implementation()
		in, out := task.Types()
		got = append(got, strings.Join([]string{task.Name(), task.Version(), in, out, map[bool]string{true: "implemented", false: "contract"}[implemented]}, " "))
	}
	want := []string{"t  int int implemented", "t v2 int string implemented", "audit  int workflow.None contract"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("tasks:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
