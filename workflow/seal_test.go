package workflow_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// diamond is a definition that has each kind of node and source.
func diamond() *workflow.Definition {
	node := func(i int) workflow.Source { return workflow.Source{Kind: workflow.SourceNode, Node: i} }
	return &workflow.Definition{
		Name: "diamond", Version: "1", InType: "int", OutType: "[]int",
		Nodes: []workflow.Node{
			{Kind: workflow.KindTask, Name: "top", Task: "split", InType: "int", OutType: "pair",
				Input: workflow.Source{Kind: workflow.SourceInput}},
			{Kind: workflow.KindTask, Name: "left", Task: "work", InType: "int", OutType: "int", Needs: []int{0},
				Input: workflow.Source{Kind: workflow.SourceField, Path: []string{"a", "b"}, Of: []workflow.Source{node(0)}}},
			{Kind: workflow.KindInline, Name: "right", Task: "right", InType: "pair", OutType: "int", Needs: []int{0},
				Input: workflow.Source{Kind: workflow.SourceStruct, Const: []byte(`{"c":1}`),
					Paths: [][]string{{"a"}, {"b", "x"}}, Of: []workflow.Source{node(0), {Kind: workflow.SourceConst, Const: []byte("2")}}}},
			{Kind: workflow.KindTask, Name: "last", Task: "work", InType: "none", OutType: "int", Needs: []int{1, 2}},
		},
		Output: workflow.Source{Kind: workflow.SourceGather, Of: []workflow.Source{node(1), node(2), node(3)}},
	}
}

func TestSealComputesDependents(t *testing.T) {
	t.Parallel()
	d := diamond()
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int32{{1, 2}, {3}, {3}, {}} {
		if got := d.Dependents(i); !slices.Equal(got, want) {
			t.Errorf("dependents of %d: %v, want %v", i, got, want)
		}
	}
	if got := d.Dependents(4); got != nil {
		t.Errorf("dependents of a node that does not exist: %v", got)
	}
}

// The hash is a key in the store: if this test fails, stored runs lose their
// definition. Don't change the value.
func TestHashNeverChanges(t *testing.T) {
	t.Parallel()
	d := diamond()
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Hash(), "c87ff16646e34734b726a8b62d8a227a"; got != want {
		t.Errorf("hash is %s, want %s", got, want)
	}
}

func TestHashSeesTopologyOnly(t *testing.T) {
	t.Parallel()
	base := diamond()
	if err := base.Seal(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(d *workflow.Definition)
		same   bool
	}{
		"version label": {func(d *workflow.Definition) { d.Version = "2" }, true},
		"run policy":    {func(d *workflow.Definition) { d.Policy.Timeout = time.Hour }, true},
		"node policy":   {func(d *workflow.Definition) { d.Nodes[0].Policy.Priority = 1 }, true},
		"name":          {func(d *workflow.Definition) { d.Name = "x" }, false},
		"in type":       {func(d *workflow.Definition) { d.InType = "x" }, false},
		"out type":      {func(d *workflow.Definition) { d.OutType = "x" }, false},
		"node kind":     {func(d *workflow.Definition) { d.Nodes[0].Kind = workflow.KindInline }, false},
		"node name":     {func(d *workflow.Definition) { d.Nodes[0].Name = "x" }, false},
		"task":          {func(d *workflow.Definition) { d.Nodes[0].Task = "x" }, false},
		"node in type":  {func(d *workflow.Definition) { d.Nodes[0].InType = "x" }, false},
		"node out type": {func(d *workflow.Definition) { d.Nodes[0].OutType = "x" }, false},
		"needs":         {func(d *workflow.Definition) { d.Nodes[3].Needs = []int{0, 1, 2} }, false},
		"field path":    {func(d *workflow.Definition) { d.Nodes[1].Input.Path = []string{"a.b"} }, false},
		"struct path":   {func(d *workflow.Definition) { d.Nodes[2].Input.Paths[1] = []string{"b"} }, false},
		"struct const":  {func(d *workflow.Definition) { d.Nodes[2].Input.Const = []byte(`{}`) }, false},
		"constant":      {func(d *workflow.Definition) { d.Nodes[2].Input.Of[1].Const = []byte(`3`) }, false},
		"source kind":   {func(d *workflow.Definition) { d.Nodes[0].Input.Kind = workflow.SourceNone }, false},
		"source node":   {func(d *workflow.Definition) { d.Output.Of[0].Node = 0 }, false},
		"gather":        {func(d *workflow.Definition) { d.Output.Of = d.Output.Of[:2] }, false},
		"fewer nodes":   {func(d *workflow.Definition) { d.Nodes = d.Nodes[:3]; d.Output.Of = d.Output.Of[:2] }, false},
	} {
		d := diamond()
		c.change(d)
		if err := d.Seal(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if same := d.Hash() == base.Hash(); same != c.same {
			t.Errorf("%s: same hash is %v, want %v", name, same, c.same)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	node := func(i int) workflow.Source { return workflow.Source{Kind: workflow.SourceNode, Node: i} }
	deep := workflow.Source{Kind: workflow.SourceInput}
	for range workflow.MaxSourceDepth {
		deep = workflow.Source{Kind: workflow.SourceGather, Of: []workflow.Source{deep}}
	}
	for name, c := range map[string]struct {
		change func(d *workflow.Definition)
		want   string
		is     error
	}{
		"workflow name":       {func(d *workflow.Definition) { d.Name = "a b" }, "only letters", grapnel.ErrInvalid},
		"node name":           {func(d *workflow.Definition) { d.Nodes[1].Name = "" }, "node 1 (): invalid: node name is empty", grapnel.ErrInvalid},
		"task name":           {func(d *workflow.Definition) { d.Nodes[1].Task = "" }, "task name is empty", grapnel.ErrInvalid},
		"inline name":         {func(d *workflow.Definition) { d.Nodes[2].Task = "" }, "inline function name is empty", grapnel.ErrInvalid},
		"same name":           {func(d *workflow.Definition) { d.Nodes[3].Name = "top" }, "nodes 0 and 3 are both named top", grapnel.ErrInvalid},
		"node kind":           {func(d *workflow.Definition) { d.Nodes[0].Kind = 99 }, "unknown kind of node 99", grapnel.ErrInvalid},
		"needs itself":        {func(d *workflow.Definition) { d.Nodes[1].Needs = []int{0, 1} }, "needs node 1, which is not before it", grapnel.ErrInvalid},
		"needs a later one":   {func(d *workflow.Definition) { d.Nodes[1].Needs = []int{0, 3} }, "needs node 3, which is not before it", grapnel.ErrInvalid},
		"needs a negative":    {func(d *workflow.Definition) { d.Nodes[1].Needs = []int{-1, 0} }, "needs node -1", grapnel.ErrInvalid},
		"needs twice":         {func(d *workflow.Definition) { d.Nodes[1].Needs = []int{0, 0} }, "not ascending", grapnel.ErrInvalid},
		"needs descend":       {func(d *workflow.Definition) { d.Nodes[3].Needs = []int{2, 1} }, "not ascending", grapnel.ErrInvalid},
		"reads without need":  {func(d *workflow.Definition) { d.Nodes[2].Needs = nil }, "reads node 0 but does not need it", grapnel.ErrInvalid},
		"reads a later one":   {func(d *workflow.Definition) { d.Nodes[0].Input = node(2) }, "node 2 is read before it is made", grapnel.ErrInvalid},
		"output of no node":   {func(d *workflow.Definition) { d.Output = node(4) }, "output: invalid: node 4", grapnel.ErrInvalid},
		"source kind":         {func(d *workflow.Definition) { d.Output.Kind = 99 }, "unknown kind of source 99", grapnel.ErrInvalid},
		"field of nothing":    {func(d *workflow.Definition) { d.Nodes[1].Input.Of = nil }, "is made from 0 others, want 1", grapnel.ErrInvalid},
		"field without path":  {func(d *workflow.Definition) { d.Nodes[1].Input.Path = nil }, "field without a path", grapnel.ErrInvalid},
		"parts of an input":   {func(d *workflow.Definition) { d.Nodes[0].Input.Of = []workflow.Source{{}} }, "want 0", grapnel.ErrInvalid},
		"constant":            {func(d *workflow.Definition) { d.Nodes[2].Input.Of[1].Const = []byte("{") }, "part 1: invalid: constant is not JSON", grapnel.ErrInvalid},
		"struct constant":     {func(d *workflow.Definition) { d.Nodes[2].Input.Const = nil }, "constant part of a struct is not JSON", grapnel.ErrInvalid},
		"struct path missing": {func(d *workflow.Definition) { d.Nodes[2].Input.Paths = [][]string{{"a"}} }, "made from 2 others, want 1", grapnel.ErrInvalid},
		"struct path empty":   {func(d *workflow.Definition) { d.Nodes[2].Input.Paths[0] = nil }, "empty path", grapnel.ErrInvalid},
		"struct path twice":   {func(d *workflow.Definition) { d.Nodes[2].Input.Paths[0] = []string{"b"} }, `struct sets ["b"] twice`, grapnel.ErrInvalid},
		"too deep":            {func(d *workflow.Definition) { d.Output = deep }, "100 levels deep", grapnel.ErrTooLarge},
		"too many sources": {func(d *workflow.Definition) {
			d.Output.Of = slices.Repeat(d.Output.Of, workflow.MaxSources)
		}, "more than 100000 sources", grapnel.ErrTooLarge},
		"too many edges": {func(d *workflow.Definition) {
			for i := 4; i < 500; i++ {
				n := workflow.Node{Kind: workflow.KindTask, Name: fmt.Sprint(i), Task: "work"}
				for need := range i {
					n.Needs = append(n.Needs, need)
				}
				d.Nodes = append(d.Nodes, n)
			}
		}, "more than 100000 others", grapnel.ErrTooLarge},
		"too many nodes": {func(d *workflow.Definition) {
			d.Nodes = make([]workflow.Node, workflow.MaxNodes+1)
		}, "more than 10000 nodes", grapnel.ErrTooLarge},
	} {
		d := diamond()
		c.change(d)
		err := d.Seal()
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one of kind %v with %q", name, err, c.is, c.want)
		}
		if d.Hash() != "" {
			t.Errorf("%s: refused and yet it has a hash", name)
		}
	}
}
