package workflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestEval(t *testing.T) {
	t.Parallel()
	input := workflow.Source{Kind: workflow.SourceInput}
	field := func(of workflow.Source, path ...string) workflow.Source {
		return workflow.Source{Kind: workflow.SourceField, Path: path, Of: []workflow.Source{of}}
	}
	constant := func(s string) workflow.Source { return workflow.Source{Kind: workflow.SourceConst, Const: []byte(s)} }
	object := func(base string, of ...any) workflow.Source {
		s := workflow.Source{Kind: workflow.SourceStruct, Const: []byte(base)}
		for i := 0; i < len(of); i += 2 {
			s.Paths = append(s.Paths, strings.Split(of[i].(string), "."))
			s.Of = append(s.Of, of[i+1].(workflow.Source))
		}
		return s
	}
	r := resolver{
		input:   ` {"a": {"b": 9007199254740993, "c": 1e400}, "n": null, "s": "<é>", "dup": 1, "dup": 2}`,
		outputs: []string{`"zero"`, ``, `[1, 2]`},
	}
	for _, c := range []struct {
		name, want string
		s          workflow.Source
	}{
		{"none", `null`, workflow.Source{}},
		{"input", r.input, input},
		{"node", `"zero"`, workflow.Source{Kind: workflow.SourceNode}},
		{"no bytes", `null`, workflow.Source{Kind: workflow.SourceNode, Node: 1}},
		{"run id", `"a \"run\""`, workflow.Source{Kind: workflow.SourceRunID}},
		{"constant", `1.50`, constant(`1.50`)},
		{"a number beyond float64's precision", `9007199254740993`, field(input, "a", "b")},
		{"a number beyond float64's range", `1e400`, field(input, "a", "c")},
		{"text", `"<é>"`, field(input, "s")},
		{"field twice in the object", `2`, field(input, "dup")},
		{"missing field", `null`, field(input, "x")},
		{"field of a missing field", `null`, field(input, "x", "y")},
		{"field of null", `null`, field(input, "n", "y", "z")},
		{"field of none", `null`, field(workflow.Source{}, "y")},
		{"field in another case", `null`, field(input, "S")},
		{"empty list", `[]`, workflow.Source{Kind: workflow.SourceGather}},
		{"list", `["zero",null,[1, 2],9007199254740993]`, workflow.Source{Kind: workflow.SourceGather, Of: []workflow.Source{
			{Kind: workflow.SourceNode}, {Kind: workflow.SourceNode, Node: 1}, {Kind: workflow.SourceNode, Node: 2}, field(input, "a", "b")}}},
		{"struct", `{"a":"zero","b":18446744073709551616.000,"z":"<&>"}`,
			object(`{"z": "<&>", "b": 18446744073709551616.000, "a": 1}`, "a", workflow.Source{Kind: workflow.SourceNode})},
		{"struct in a struct", `{"x":{"keep":1,"y":{"p":2,"q":1e400}},"é\"":[]}`,
			object(`{"é\"": [], "x": {"y": {"p": 0}, "keep": 1}}`, "x.y.p", constant("2"), "x.y.q", field(input, "a", "c"))},
		{"struct of null", `{"a":{"b":1}}`, object(`null`, "a.b", constant("1"))},
		{"struct with null in it", `{"a":{"b":1}}`, object(`{"a": null}`, "a.b", constant("1"))},
		{"struct without paths", `{"a":1}`, object(`{"a": 1}`)},
		{"field of a struct", `7`, field(object(`{}`, "a.b", constant("7")), "a", "b")},
	} {
		got, err := c.s.Eval(r)
		if err != nil || string(got) != c.want || !json.Valid(got) {
			t.Errorf("%s: %s, error %v, want %s", c.name, got, err, c.want)
		}
	}

	gone := errors.New("gone")
	big := constant(`"` + strings.Repeat("x", workflow.MaxEvaluated/2) + `"`)
	for _, c := range []struct {
		name, want string
		s          workflow.Source
		is         error
		r          workflow.Resolver
	}{
		{"field of text", `["s"] is no object`, field(input, "s", "x"), grapnel.ErrInvalid, r},
		{"field of no JSON", `is no object`, field(input, "s"), grapnel.ErrInvalid, resolver{input: "{"}},
		{"struct in text", "is no object", object(`{"a": "text"}`, "a.b", constant("1")), grapnel.ErrInvalid, r},
		{"unknown kind", "unknown kind of source 99", workflow.Source{Kind: 99}, grapnel.ErrInvalid, r},
		{"field of nothing", "field of 0 values", workflow.Source{Kind: workflow.SourceField}, grapnel.ErrInvalid, r},
		{"paths without values", "struct of 0 values at 1 paths", workflow.Source{Kind: workflow.SourceStruct, Paths: [][]string{{"a"}}}, grapnel.ErrInvalid, r},
		{"list too long", "workflow.MaxEvaluated", workflow.Source{Kind: workflow.SourceGather, Of: []workflow.Source{big, big, big}}, grapnel.ErrTooLarge, r},
		{"struct too long", "workflow.MaxEvaluated", object(`{}`, "a", big, "b", big), grapnel.ErrTooLarge, r},
		{"output too long", "workflow.MaxEvaluated", workflow.Source{Kind: workflow.SourceNode}, grapnel.ErrTooLarge,
			resolver{outputs: []string{strings.Repeat(" ", workflow.MaxEvaluated) + "1"}}},
		{"error of the resolver", "gone", field(object(`{}`, "a", workflow.Source{Kind: workflow.SourceGather, Of: []workflow.Source{input}}), "a"), gone, failing{gone}},
	} {
		if got, err := c.s.Eval(c.r); got != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.40s, error %v, want %q", c.name, got, err, c.want)
		}
	}
}

type failing struct{ err error }

func (f failing) RunID() grapnel.RunID          { return "" }
func (f failing) Input() ([]byte, error)        { return nil, f.err }
func (f failing) Output(int) ([]byte, error)    { return nil, f.err }
func (f failing) Item(int) ([]byte, int, error) { return nil, 0, f.err }

type mail struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Meta    struct {
		Order int64 `json:"order"`
		Kind  string
	}
	Tags []string `json:"tags,omitempty"`
}

func TestStructMixesConstantsAndValues(t *testing.T) {
	t.Parallel()
	w := workflow.New("w", func(g *workflow.Graph, in V[order]) V[mail] {
		return workflow.Struct(g, "mail", func(s *workflow.Setter, m *mail) {
			m.Subject = "Your <order>"
			m.Meta.Kind = "k"
			m.To = "overwritten"
			workflow.Set(s, &m.To, workflow.Field(in, func(o *order) *string { return &o.Email }))
			workflow.Set(s, &m.Meta.Order, workflow.Field(in, func(o *order) *int64 { return &o.ID }))
			workflow.Set(s, &m.Tags, workflow.Gather(g, "tags", workflow.Const(g, "a"), workflow.Const(g, "b")))
		})
	})
	const want = `{"Meta":{"Kind":"k","order":9007199254740993},"subject":"Your <order>","tags":["a","b"],"to":"e"}`
	if got := output(t, w, `{"id":9007199254740993,"email":"e"}`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	constant := workflow.New("w", func(g *workflow.Graph, in V[workflow.None]) V[[]int] {
		return workflow.Struct(g, "list", func(_ *workflow.Setter, l *[]int) { *l = []int{1} })
	})
	if got := output(t, constant, ""); got != "[1]" {
		t.Errorf("a struct without values that is no struct: %s", got)
	}
}

// wide returns the source of a list of n small outputs, and a resolver for it.
func wide(n int) (workflow.Source, resolver) {
	s := workflow.Source{Kind: workflow.SourceGather}
	var r resolver
	for i := range n {
		s.Of = append(s.Of, workflow.Source{Kind: workflow.SourceNode, Node: i})
		r.outputs = append(r.outputs, fmt.Sprintf(`{"file":"part-%04d","bytes":%d}`, i, i))
	}
	return s, r
}

func TestGatherKeepsOrder(t *testing.T) {
	t.Parallel()
	s, r := wide(1100)
	data, err := s.Eval(r)
	if err != nil {
		t.Fatal(err)
	}
	list, err := workflow.Decode[[]json.RawMessage](data)
	if err != nil || len(list) != len(r.outputs) {
		t.Fatalf("%d entries, error %v", len(list), err)
	}
	for i, entry := range list {
		if string(entry) != r.outputs[i] {
			t.Fatalf("entry %d is %s, want %s", i, entry, r.outputs[i])
		}
	}
}

func BenchmarkGather(b *testing.B) {
	s, r := wide(1100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Eval(r); err != nil {
			b.Fatal(err)
		}
	}
}
