package workflow_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Each of these would run out of memory, or never end, without its limit.
func TestLimitsEndTheBuild(t *testing.T) {
	t.Parallel()
	var m mark
	for want, build := range map[string]func(g *workflow.Graph, in V[any]) V[any]{
		"more than 10000 nodes": func(g *workflow.Graph, in V[any]) V[any] {
			for i := 0; ; i++ {
				m.next()
				workflow.Inline(g, "n"+strconv.Itoa(i), func(any) int { return 1 }, in)
			}
		},
		"need more than 100000 others": func(g *workflow.Graph, in V[any]) V[any] {
			var all []workflow.Dep
			for i := 0; ; i++ {
				m.next()
				all = append(all, workflow.Inline(g, "n"+strconv.Itoa(i), func(any) int { return 1 }, in, workflow.After(all...)))
			}
		},
		"inputs of all nodes together are made from more than 100000": func(g *workflow.Graph, in V[any]) V[any] {
			many := workflow.Gather(g, "l", make1000(in)...)
			for i := 0; ; i++ {
				m.next()
				workflow.Inline(g, "n"+strconv.Itoa(i), func([]any) int { return 1 }, many)
			}
		},
		"made from more than 100000 sources": func(g *workflow.Graph, in V[any]) V[any] {
			// Doubles with each round.
			for v := workflow.Const(g, tree{}); ; {
				m.next()
				kids := workflow.Gather(g, "kids", v, v)
				v = workflow.Struct(g, "tree", func(s *workflow.Setter, t *tree) { workflow.Set(s, &t.Kids, kids) })
			}
		},
		"more than 100 levels deep": func(g *workflow.Graph, in V[any]) V[any] {
			for v := workflow.Const(g, tree{}); ; {
				kids := workflow.Gather(g, "kids", v)
				m.next()
				v = workflow.Struct(g, "tree", func(s *workflow.Setter, t *tree) { workflow.Set(s, &t.Kids, kids) })
			}
		},
	} {
		got := mistakes(t, workflow.New("w", build))
		if len(got) != 1 || !errors.Is(got[0], grapnel.ErrTooLarge) || !strings.Contains(got[0].Error(), want) || got[0].Line != m.line {
			t.Errorf("mistakes %v, want one at line %d with %q", got, m.line, want)
		}
	}
}

type tree struct{ Kids []tree }

func make1000(in V[any]) []V[any] {
	vs := make([]V[any], 1000)
	for i := range vs {
		vs[i] = in
	}
	return vs
}
