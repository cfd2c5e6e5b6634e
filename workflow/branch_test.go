package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/workflow"
)

// Captured values become edges, names begin with those of the scopes around, and
// what a scope comes to is read through its holder.
func TestScopesOfAWorkflow(t *testing.T) {
	t.Parallel()
	double := workflow.NewTask[int, int]("double")
	w := workflow.New("w", func(g *workflow.Graph, in V[[]int]) V[[]int] {
		rate := workflow.Do(g, double, workflow.Const(g, 21))
		return workflow.Map(g, "each", in, func(g *workflow.Graph, item V[int]) V[int] {
			big := workflow.Inline(g, "big", func(n int) bool { return n > 9 }, item)
			done := workflow.When(g, "log", big, func(g *workflow.Graph) {
				workflow.Do(g, double, workflow.Index(g))
			})
			return workflow.If(g, "which", big,
				func(g *workflow.Graph) V[int] { return workflow.Do(g, double, item, workflow.After(done)) },
				func(g *workflow.Graph) V[int] {
					return workflow.Switch(g, "small", item,
						func(g *workflow.Graph) V[int] { return rate },
						workflow.Case(1, func(g *workflow.Graph) V[int] {
							return workflow.Inline2(g, "add", func(a, b int) int { return a + b }, rate, item)
						}))
				})
		}, workflow.Parallel(3), workflow.After(rate))
	})
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, n := range d.Nodes {
		var branches []string
		for _, b := range n.Branches {
			branches = append(branches, fmt.Sprintf("%s%s", b.Name, b.Keys))
		}
		got = append(got, fmt.Sprintf("%d %v %s in %d/%d needs %v parallel %d %v", i, n.Kind, n.Name, n.Scope-1, n.Branch, n.Needs, n.Policy.Parallel, branches))
	}
	want := []string{
		"0 task double in -1/0 needs [] parallel 0 []",
		"1 map each in -1/0 needs [0] parallel 3 [[]]",
		"2 inline each.big in 1/0 needs [] parallel 0 []",
		"3 switch each.log in 1/0 needs [2] parallel 0 [then[true]]",
		"4 task each.log.then.double in 3/0 needs [] parallel 0 []",
		"5 switch each.which in 1/0 needs [2] parallel 0 [then[true] else[false]]",
		"6 task each.which.then.double in 5/0 needs [3] parallel 0 []",
		"7 switch each.which.else.small in 5/1 needs [] parallel 0 [1[1] other[]]",
		"8 inline each.which.else.small.1.add in 7/0 needs [0] parallel 0 []",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("nodes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, i := range []int{2, 8} {
		if _, ok := w.InlineFor(&d.Nodes[i]); !ok {
			t.Errorf("no inline function for node %s", d.Nodes[i].Name)
		}
	}
}

// ten is a case that comes to a constant.
func ten(g *workflow.Graph) V[int] { return workflow.Const(g, 10) }

var wrongScopes = wrong{
	"the outer graph in a branch": {"the graph of workflow w is used inside of the then branch of switch if: use the graph that its function gets", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.When(g, "if", workflow.Const(g, true), func(*workflow.Graph) {
			m.next()
			workflow.Do(g, charge, email(in))
		})
	}},
	"the outer graph in a body, for data": {"the graph of workflow w is used inside of the body of map each", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Map(g, "each", workflow.Const(g, []int{1}), func(_ *workflow.Graph, item V[int]) V[int] {
			m.next()
			workflow.Const(g, 1)
			return item
		})
	}},
	"a value of a branch outside": {"input of task charge was made in the then branch of switch if, begun at ", func(m *mark, g *workflow.Graph, in V[order]) {
		var leaked V[string]
		workflow.When(g, "if", workflow.Const(g, true), func(g *workflow.Graph) { leaked = workflow.Const(g, "x") })
		m.next()
		workflow.Do(g, charge, leaked)
	}},
	"a value of another branch": {"input of task charge was made in the then branch of switch if", func(m *mark, g *workflow.Graph, in V[order]) {
		var leaked V[string]
		workflow.If(g, "if", workflow.Const(g, true), func(g *workflow.Graph) V[int] {
			leaked = workflow.Const(g, "x")
			return ten(g)
		}, func(g *workflow.Graph) V[int] {
			m.next()
			workflow.Do(g, charge, leaked)
			return ten(g)
		})
	}},
	"a field of a value of a branch": {"field of a value that was made in the then branch of switch if", func(m *mark, g *workflow.Graph, in V[order]) {
		var leaked V[order]
		workflow.When(g, "if", workflow.Const(g, true), func(g *workflow.Graph) { leaked = workflow.Const(g, order{}) })
		m.next()
		workflow.Field(leaked, func(o *order) *string { return &o.Email })
	}},
	"a branch's graph afterwards": {"graph of the then branch of switch if is used after its build function returned", func(m *mark, g *workflow.Graph, in V[order]) {
		var leaked *workflow.Graph
		workflow.When(g, "if", workflow.Const(g, true), func(g *workflow.Graph) { leaked = g })
		m.next()
		workflow.Const(leaked, 1)
	}},
	"a result of nothing": {"what the function of the else branch of switch if returns is the zero Value", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.If(g, "if", workflow.Const(g, true), ten, func(*workflow.Graph) V[int] { return V[int]{} })
	}},
	"no function": {"the function of the then branch of switch if is nil", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.When(g, "if", workflow.Const(g, true), nil)
	}},
	"no body": {"the function of the body of map each is nil", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Map[int, int](g, "each", workflow.Const(g, []int{1}), nil)
	}},
	"a name that is none": {"switch name \"a b\": only letters", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.If(g, "a b", workflow.Const(g, true), ten, ten)
	}},
	"a name twice": {"there is a node named if already", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.If(g, "if", workflow.Const(g, true), ten, ten)
		m.next()
		workflow.If(g, "if", workflow.Const(g, true), ten, ten)
	}},
	"a task twice in a branch": {"there is a node named if.then.charge already", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.When(g, "if", workflow.Const(g, true), func(g *workflow.Graph) {
			workflow.Do(g, charge, email(in))
			m.next()
			workflow.Do(g, charge, email(in))
		})
	}},
	"a case twice": {"switch s: there is a case 1 already, at ", func(m *mark, g *workflow.Graph, in V[order]) {
		first := workflow.Case(1, ten)
		m.next()
		workflow.Switch(g, "s", workflow.Const(g, 1), nil, first, workflow.Case(1, ten))
	}},
	"no case": {"switch s has no case", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Switch[int, int](g, "s", workflow.Const(g, 1), nil)
	}},
	"a missing case": {"switch s has no case 2: add one, or use", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.SwitchExhaustive(g, "s", workflow.Const(g, 1), []int{1, 2}, workflow.Case(1, ten))
	}},
	"a case too many": {"switch s has a case 3, which is none of its values [1]", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.SwitchExhaustive(g, "s", workflow.Const(g, 1), []int{1}, workflow.Case(1, ten), workflow.Case(3, ten))
	}},
	"a negative limit": {"map each: invalid: parallel -1 is negative", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Map(g, "each", workflow.Const(g, []int{1}), func(_ *workflow.Graph, item V[int]) V[int] { return item }, workflow.Parallel(-1))
	}},
	"an index outside": {"there is no item here: workflow w is in the body of no map", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Index(g)
	}},
	"names that grow too long": {"has 131 bytes, at most 128 are allowed", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.When(g, strings.Repeat("x", 119), workflow.Const(g, true), func(g *workflow.Graph) {
			m.next()
			workflow.Do(g, charge, email(in))
		})
	}},
}

// Keys that cannot be names get one that tells them apart.
func TestBranchesAreNamedByTheirKeys(t *testing.T) {
	t.Parallel()
	keys := []string{"gold", "a b", "a-b", "", strings.Repeat("x", 200), "a/b"}
	w := workflow.New("w", func(g *workflow.Graph, in V[string]) V[int] {
		var cases []workflow.Arm[string, int]
		for _, k := range keys {
			cases = append(cases, workflow.Case(k, ten))
		}
		return workflow.Switch(g, "s", in, nil, cases...)
	})
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Nodes[0].Branches[0].Name; got != "gold" {
		t.Errorf("the branch for gold is named %s", got)
	}
	if got := len(d.Nodes[0].Branches); got != len(keys) {
		t.Errorf("%d branches, want %d", got, len(keys))
	}
}
