package workflow_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel/workflow"
)

// edgeOf is a value and the nodes that it is made from.
type edgeOf struct {
	v    V[tree]
	from map[int]bool
}

func union(es ...edgeOf) map[int]bool {
	all := map[int]bool{}
	for _, e := range es {
		maps.Copy(all, e.from)
	}
	return all
}

// Whatever is built, the needs of each node are the nodes that its input and
// what it comes after are made from, and the definition is one that Seal
// accepts.
func TestNeedsAreExactlyTheEdges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		task := workflow.NewTask[tree, tree]("task")
		var want []map[int]bool
		var result edgeOf
		w := workflow.New("random", func(g *workflow.Graph, in V[tree]) V[tree] {
			pool := []edgeOf{{v: in}}
			pick := func(label string) edgeOf { return rapid.SampledFrom(pool).Draw(t, label) }
			some := func(label string) []edgeOf {
				return rapid.SliceOfN(rapid.SampledFrom(pool), 0, 4).Draw(t, label)
			}
			node := func(v V[tree], needs map[int]bool) edgeOf {
				want = append(want, needs)
				return edgeOf{v, map[int]bool{len(want) - 1: true}}
			}
			for range rapid.IntRange(0, 30).Draw(t, "steps") {
				id := workflow.ID(fmt.Sprintf("n%d", len(want)))
				var next edgeOf
				switch rapid.IntRange(0, 4).Draw(t, "step") {
				case 0:
					a, after := pick("input"), some("after")
					var deps []workflow.Dep
					for _, e := range after {
						deps = append(deps, e.v)
					}
					next = node(workflow.Do(g, task, a.v, id, workflow.After(deps...)), union(append(after, a)...))
				case 1:
					a, b := pick("a"), pick("b")
					next = node(workflow.Inline2(g, "f", func(a, b tree) tree { return a }, a.v, b.v, id), union(a, b))
				case 2:
					parts := some("parts")
					vs := make([]V[tree], len(parts))
					for i, p := range parts {
						vs[i] = p.v
					}
					list := workflow.Gather(g, "list", vs...)
					next = edgeOf{wrap(g, list), union(parts...)}
				case 3:
					a := pick("of")
					next = edgeOf{wrap(g, workflow.Field(a.v, func(t *tree) *[]tree { return &t.Kids })), a.from}
				case 4:
					next = edgeOf{v: workflow.Const(g, tree{})}
				}
				pool = append(pool, next)
			}
			result = pick("output")
			return result.v
		})
		d, err := w.Definition()
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Nodes) != len(want) {
			t.Fatalf("%d nodes, want %d", len(d.Nodes), len(want))
		}
		dependents := make([][]int32, len(want))
		for i, n := range d.Nodes {
			needs := slices.Sorted(maps.Keys(want[i]))
			if !slices.Equal(n.Needs, needs) {
				t.Fatalf("node %d needs %v, want %v", i, n.Needs, needs)
			}
			for _, need := range needs {
				dependents[need] = append(dependents[need], int32(i))
			}
		}
		for i := range dependents {
			if !slices.Equal(d.Dependents(i), dependents[i]) {
				t.Fatalf("dependents of %d: %v, want %v", i, d.Dependents(i), dependents[i])
			}
		}
		reads := map[int]bool{}
		if d.Output.Nodes(reads); !maps.Equal(reads, union(result)) {
			t.Fatalf("the output reads %v, want %v", reads, result.from)
		}
		again := workflow.Definition{Name: d.Name, Nodes: slices.Clone(d.Nodes), Output: d.Output, InType: d.InType, OutType: d.OutType}
		if err := again.Seal(); err != nil || again.Hash() != d.Hash() {
			t.Fatalf("sealed again: hash %s, error %v, want hash %s", again.Hash(), err, d.Hash())
		}
	})
}

func wrap(g *workflow.Graph, kids V[[]tree]) V[tree] {
	return workflow.Struct(g, "tree", func(s *workflow.Setter, t *tree) { workflow.Set(s, &t.Kids, kids) })
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	w := workflow.New("w!", func(g *workflow.Graph, in V[string]) V[int] {
		workflow.Do(g, charge, in, workflow.Priority(9), workflow.MaxLosses(-1))
		workflow.Field(in, func(*string) *int { return nil })
		n := workflow.Do(g, charge, in)
		// What depends on mistakes is no mistake.
		workflow.Inline(g, "f", func(n int) int { return n }, n)
		panic("at the end")
	}, workflow.RunTimeout(-1))
	var got []string
	for _, m := range mistakes(t, w) {
		got = append(got, m.Err.Error())
	}
	for i, want := range []string{
		"workflow name", "run time-out", "priority 9", "max losses", "selector returns nil", "a node named charge already", "at the end",
	} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Errorf("mistake %d is not %q in:\n%s", i, want, strings.Join(got, "\n"))
		}
	}
	if n := strings.Count(w.Err().Error(), "graph_test.go:"); n < 7 {
		t.Errorf("%d places in:\n%v", n, w.Err())
	}
}

func TestGraphCannotBeUsedAfterItsBuild(t *testing.T) {
	t.Parallel()
	var kept *workflow.Graph
	var in V[string]
	workflow.New("w", func(g *workflow.Graph, v V[string]) V[string] {
		kept, in = g, v
		return v
	})
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "graph of workflow w is used after its build function returned") {
			t.Errorf("panic %v", r)
		}
	}()
	workflow.Do(kept, charge, in)
}

func TestWorkflowsThatNewDidNotMake(t *testing.T) {
	t.Parallel()
	for _, w := range []workflow.Any{&workflow.Workflow[int, int]{}, (*workflow.Workflow[int, int])(nil)} {
		if d, err := w.Definition(); d != nil || err == nil || w.Err() == nil || w.Name() != "" || len(w.Tasks()) != 0 {
			t.Errorf("definition %v, error %v", d, err)
		}
	}
}

func TestGraphMayBeEmpty(t *testing.T) {
	t.Parallel()
	echo := workflow.New("echo", func(_ *workflow.Graph, in V[order]) V[order] { return in })
	if got := output(t, echo, `{"id":1}`); got != `{"id":1}` {
		t.Errorf("output %s", got)
	}
	answer := workflow.New("answer", func(g *workflow.Graph, _ V[workflow.None]) V[int] { return workflow.Const(g, 42) })
	if got := output(t, answer, ""); got != "42" {
		t.Errorf("output %s", got)
	}
}

// A definition that comes out differently is another one to a store. That may
// be intended, but should not happen by accident.
func TestDefinitionOfAWorkflowStaysTheSame(t *testing.T) {
	t.Parallel()
	w := workflow.New("golden", func(g *workflow.Graph, in V[order]) V[mail] {
		paid := workflow.Do(g, charge, workflow.Field(in, func(o *order) *string { return &o.Customer.City }))
		city := workflow.Inline2(g, "city", func(o order, n int) string { return "" }, in, paid, workflow.After(paid))
		list := workflow.Gather(g, "list", city, workflow.Const(g, "x"))
		return workflow.Struct(g, "mail", func(s *workflow.Setter, m *mail) {
			m.Subject = "s"
			workflow.Set(s, &m.Tags, list)
		})
	})
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Hash(), "c3c749a1b6c471b92a46d432388d10e8"; got != want {
		t.Errorf("hash %s, want %s, of %+v", got, want, d)
	}
}
