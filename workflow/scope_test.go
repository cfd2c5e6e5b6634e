package workflow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// nested is a definition that has each kind of scope and source in scopes: a
// map over a list, in whose body a switch picks between a task, which reads the
// item and a captured node, and an expression.
//
//	0 list      task
//	1 rate      task
//	2 each      map over 0
//	3   size      inline, of the item
//	4   big       switch on 3: "big" or 1000 (5), otherwise (6)
//	5     big.resize  task, reads item, index and 1
//	6     big.keep    expression
//	7 last      task, of the list that 2 makes
func nested() *workflow.Definition {
	node := func(i int) workflow.Source { return workflow.Source{Kind: workflow.SourceNode, Node: i} }
	item := workflow.Source{Kind: workflow.SourceItem, Node: 2}
	index := workflow.Source{Kind: workflow.SourceIndex, Node: 2}
	gather := func(of ...workflow.Source) workflow.Source {
		return workflow.Source{Kind: workflow.SourceGather, Of: of}
	}
	return &workflow.Definition{
		Name: "nested", InType: "int", OutType: "[]int",
		Nodes: []workflow.Node{
			{Kind: workflow.KindTask, Name: "list", Task: "list"},
			{Kind: workflow.KindTask, Name: "rate", Task: "rate"},
			{Kind: workflow.KindMap, Name: "each", Needs: []int{0}, Input: node(0), Branches: []workflow.Branch{{Result: node(4)}}},
			{Kind: workflow.KindInline, Name: "each.size", Task: "each.size", Scope: 3, Input: item},
			{Kind: workflow.KindSwitch, Name: "each.big", Scope: 3, Needs: []int{3}, Input: node(3), Branches: []workflow.Branch{
				{Name: "big", Keys: [][]byte{[]byte(`"big"`), []byte("1000")}, Result: gather(node(5), node(1))},
				{Name: "other", Result: gather(node(6), item)},
			}},
			{Kind: workflow.KindTask, Name: "each.big.resize", Task: "resize", Scope: 5, Needs: []int{1, 3}, Input: gather(item, index, node(1), node(3))},
			{Kind: workflow.KindExpr, Name: "each.big.keep", Task: "cel", Expr: "x + 1", Scope: 5, Branch: 1,
				Input: workflow.Source{Kind: workflow.SourceStruct, Const: []byte("{}"), Paths: [][]string{{"x"}}, Of: []workflow.Source{item}}},
			{Kind: workflow.KindTask, Name: "last", Task: "join", Needs: []int{2}, Input: node(2)},
		},
		Output: gather(node(7), node(2)),
	}
}

func TestSealAcceptsScopes(t *testing.T) {
	t.Parallel()
	d := nested()
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(d.Dependents(1)), "[5]"; got != want {
		t.Errorf("dependents of a captured node are %s, want %s", got, want)
	}
}

// The hash is a key in the store, as that of definitions without scopes is.
// Don't change the value.
func TestHashOfScopesNeverChanges(t *testing.T) {
	t.Parallel()
	d := nested()
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Hash(), "d031c724226b65e35675525f2d8a20d1"; got != want {
		t.Errorf("hash is %s, want %s", got, want)
	}
}

func TestHashSeesScopes(t *testing.T) {
	t.Parallel()
	base := nested()
	if err := base.Seal(); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]string{base.Hash(): "nothing"}
	for name, change := range map[string]func(d *workflow.Definition){
		"kind":       func(d *workflow.Definition) { d.Nodes[6].Kind, d.Nodes[6].Expr = workflow.KindInline, "" },
		"language":   func(d *workflow.Definition) { d.Nodes[6].Task = "other" },
		"expression": func(d *workflow.Definition) { d.Nodes[6].Expr = "x + 2" },
		"scope": func(d *workflow.Definition) {
			d.Nodes[7].Scope, d.Nodes[7].Needs, d.Nodes[7].Input, d.Output = 3, nil, workflow.Source{}, workflow.Source{}
		},
		"branch":      func(d *workflow.Definition) { d.Nodes[6].Branch, d.Nodes[4].Branches[1].Result = 0, workflow.Source{} },
		"branch name": func(d *workflow.Definition) { d.Nodes[4].Branches[0].Name = "x" },
		"key":         func(d *workflow.Definition) { d.Nodes[4].Branches[0].Keys[1] = []byte("1001") },
		"keys":        func(d *workflow.Definition) { d.Nodes[4].Branches[0].Keys = d.Nodes[4].Branches[0].Keys[:1] },
		"result":      func(d *workflow.Definition) { d.Nodes[4].Branches[1].Result = workflow.Source{} },
		"item":        func(d *workflow.Definition) { d.Nodes[3].Input.Kind = workflow.SourceIndex },
		"exhaustive": func(d *workflow.Definition) {
			d.Nodes[4].Branches[1].Keys, d.Nodes[4].Exhaustive = [][]byte{[]byte(`"small"`)}, true
		},
	} {
		d := nested()
		change(d)
		if err := d.Seal(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if other, ok := hashes[d.Hash()]; ok {
			t.Errorf("a definition with another %s has the hash of one with another %s", name, other)
		}
		hashes[d.Hash()] = name
	}
	d := nested()
	d.Nodes[2].Policy.Parallel = 4
	if err := d.Seal(); err != nil || d.Hash() != base.Hash() {
		t.Errorf("the number of parallel items changes the hash (or %v)", err)
	}
}

func TestSealRefusesScopes(t *testing.T) {
	t.Parallel()
	node := func(i int) workflow.Source { return workflow.Source{Kind: workflow.SourceNode, Node: i} }
	for name, c := range map[string]struct {
		change func(d *workflow.Definition)
		want   string
		is     error
	}{
		"a scope that is no holder's":         {func(d *workflow.Definition) { d.Nodes[3].Scope = 2 }, "node 3 (each.size): invalid: it is in the scope of node 1, which is not open here", grapnel.ErrInvalid},
		"a scope that does not exist":         {func(d *workflow.Definition) { d.Nodes[3].Scope = 99 }, "node 3 (each.size)", grapnel.ErrInvalid},
		"a scope that is closed":              {func(d *workflow.Definition) { d.Nodes[6].Scope = 0; d.Nodes[7].Scope = 3 }, "", grapnel.ErrInvalid},
		"a negative scope":                    {func(d *workflow.Definition) { d.Nodes[7].Scope = -1 }, "node 7 (last)", grapnel.ErrInvalid},
		"a branch of no scope":                {func(d *workflow.Definition) { d.Nodes[7].Branch = 1 }, "node 7 (last): invalid: it is in branch 1 of no scope", grapnel.ErrInvalid},
		"a branch that does not exist":        {func(d *workflow.Definition) { d.Nodes[6].Branch = 2 }, "node 6 (each.big.keep): invalid: it is in branch 2 of node 4 (each.big), which has 2", grapnel.ErrInvalid},
		"branches that fall":                  {func(d *workflow.Definition) { d.Nodes[5].Branch, d.Nodes[6].Branch = 1, 0 }, "whose branch 1 began before", grapnel.ErrInvalid},
		"the other branch's node":             {func(d *workflow.Definition) { d.Nodes[6].Needs = []int{5} }, "node 6 (each.big.keep): needs: invalid: node 5 (each.big.resize) is in another scope", grapnel.ErrInvalid},
		"the inside of a scope":               {func(d *workflow.Definition) { d.Nodes[7].Needs = []int{2, 4} }, "node 7 (last): needs: invalid: node 4 (each.big) is in another scope: what is inside of a scope is read through its holder, node 2 (each)", grapnel.ErrInvalid},
		"the holder inside":                   {func(d *workflow.Definition) { d.Nodes[3].Needs = []int{2} }, "node 3 (each.size): needs: invalid: node 2 (each) is not before it", grapnel.ErrInvalid},
		"an item outside":                     {func(d *workflow.Definition) { d.Nodes[7].Input = workflow.Source{Kind: workflow.SourceItem, Node: 2} }, "node 7 (last): input: invalid: the item of node 2 is read outside", grapnel.ErrInvalid},
		"an item of a switch":                 {func(d *workflow.Definition) { d.Nodes[6].Input.Of[0].Node = 4 }, "node 6 (each.big.keep): input: invalid: the item of node 4", grapnel.ErrInvalid},
		"an item in the output":               {func(d *workflow.Definition) { d.Output = workflow.Source{Kind: workflow.SourceIndex, Node: 2} }, "output: invalid: the item of node 2", grapnel.ErrInvalid},
		"the inside of a scope in the output": {func(d *workflow.Definition) { d.Output = node(3) }, "output: invalid: node 3 (each.size) is in another scope", grapnel.ErrInvalid},
		"a result of another branch":          {func(d *workflow.Definition) { d.Nodes[4].Branches[1].Result = node(5) }, "node 4 (each.big): result of branch 1: invalid: node 5", grapnel.ErrInvalid},
		"a result of the holder":              {func(d *workflow.Definition) { d.Nodes[2].Branches[0].Result = node(2) }, "node 2 (each): result of branch 0: invalid: node 2 (each) is not before it", grapnel.ErrInvalid},
		"a result of what comes later":        {func(d *workflow.Definition) { d.Nodes[2].Branches[0].Result = node(7) }, "node 2 (each): result of branch 0: invalid: node 7 is read before it is made", grapnel.ErrInvalid},
		"a result of a nested scope":          {func(d *workflow.Definition) { d.Nodes[2].Branches[0].Result = node(5) }, "node 2 (each): result of branch 0: invalid: node 5 (each.big.resize) is in another scope", grapnel.ErrInvalid},
		"a map without a body":                {func(d *workflow.Definition) { d.Nodes[2].Branches = nil }, "", grapnel.ErrInvalid},
		"a map with keys":                     {func(d *workflow.Definition) { d.Nodes[2].Branches[0].Keys = [][]byte{[]byte("1")} }, "a map has one branch", grapnel.ErrInvalid},
		"a task with branches":                {func(d *workflow.Definition) { d.Nodes[7].Branches = []workflow.Branch{{}} }, "a node of kind task has no branches", grapnel.ErrInvalid},
		"an exhaustive task":                  {func(d *workflow.Definition) { d.Nodes[7].Exhaustive = true }, "a node of kind task has no branches", grapnel.ErrInvalid},
		"a switch without branches": {func(d *workflow.Definition) {
			d.Nodes = append(d.Nodes, workflow.Node{Kind: workflow.KindSwitch, Name: "s"})
		}, "node 8 (s): invalid: a switch without branches", grapnel.ErrInvalid},
		"a switch with a task":          {func(d *workflow.Definition) { d.Nodes[4].Task = "t" }, "a switch runs no task, but names t", grapnel.ErrInvalid},
		"two defaults":                  {func(d *workflow.Definition) { d.Nodes[4].Branches[0].Keys = nil }, "branch other has no key", grapnel.ErrInvalid},
		"an exhaustive one's default":   {func(d *workflow.Definition) { d.Nodes[4].Exhaustive = true }, "branch other has no key", grapnel.ErrInvalid},
		"two branches of one name":      {func(d *workflow.Definition) { d.Nodes[4].Branches[1].Name = "big" }, "two branches are named big", grapnel.ErrInvalid},
		"a branch without a name":       {func(d *workflow.Definition) { d.Nodes[4].Branches[1].Name = "" }, "branch name is empty", grapnel.ErrInvalid},
		"a key twice":                   {func(d *workflow.Definition) { d.Nodes[4].Branches[1].Keys = [][]byte{[]byte("1e3")} }, "two branches have the key 1e3", grapnel.ErrInvalid},
		"a key that is no JSON":         {func(d *workflow.Definition) { d.Nodes[4].Branches[0].Keys[0] = []byte("x") }, `key "x" is not JSON`, grapnel.ErrInvalid},
		"a key that is an object":       {func(d *workflow.Definition) { d.Nodes[4].Branches[0].Keys[0] = []byte("{}") }, "key {} is no string, number or bool", grapnel.ErrInvalid},
		"a key that is null":            {func(d *workflow.Definition) { d.Nodes[4].Branches[0].Keys[0] = []byte("null") }, "key null is no string, number or bool", grapnel.ErrInvalid},
		"an expression without text":    {func(d *workflow.Definition) { d.Nodes[6].Expr = "" }, "node 6 (each.big.keep): invalid: the expression is empty", grapnel.ErrInvalid},
		"an expression without tongue":  {func(d *workflow.Definition) { d.Nodes[6].Task = "" }, "language name is empty", grapnel.ErrInvalid},
		"an expression that is too big": {func(d *workflow.Definition) { d.Nodes[6].Expr = strings.Repeat("x", workflow.MaxExpr+1) }, "the expression has 16385 bytes", grapnel.ErrTooLarge},
		"a task with an expression":     {func(d *workflow.Definition) { d.Nodes[7].Expr = "x" }, "a node of kind task has no expression", grapnel.ErrInvalid},
		"too many branches": {func(d *workflow.Definition) {
			d.Nodes[4].Branches = make([]workflow.Branch, workflow.MaxBranches+1)
		}, "more than 256 branches", grapnel.ErrTooLarge},
		"scopes too deep": {func(d *workflow.Definition) {
			for i := range workflow.MaxScopeDepth + 1 {
				scope := 0
				if i > 0 {
					scope = 8 + i
				}
				d.Nodes = append(d.Nodes, workflow.Node{Kind: workflow.KindMap, Name: fmt.Sprint("m", i), Scope: scope, Branches: []workflow.Branch{{}}})
			}
		}, "more than 16 levels deep", grapnel.ErrTooLarge},
	} {
		d := nested()
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
