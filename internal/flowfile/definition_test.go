package flowfile_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/workflow"
)

// load returns the definition of a good file.
func load(t testing.TB, path string) (*flowfile.File, *workflow.Definition) {
	t.Helper()
	f, err := flowfile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	def, err := f.Definition()
	if err != nil {
		t.Fatal(err)
	}
	return f, def
}

func TestDefinitionsOfGoodFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			_, def := load(t, path)
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", render(def))
			_, again := load(t, path)
			if def.Hash() == "" || !reflect.DeepEqual(def, again) {
				t.Errorf("compiled twice, the definition differs: %s and %s", def.Hash(), again.Hash())
			}
			for i := range def.Nodes {
				if err := def.Nodes[i].Policy.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestADefinitionDependsOnWhatTheFileSaysAndNotHow(t *testing.T) {
	t.Parallel()
	const one = `
workflow: w
inputs: {s: {type: string}}
tasks:
  a:
    run: [echo, "${{ inputs.s }}"]
    env: {B: "${{ inputs.s }}", A: x}
    timeout: 5s
`
	const other = `
# The same in other words.
workflow: 'w'
timeout: 1h
tasks:
  "a":
    env:
      A: "x"
      B: ${{   inputs.s   }}
    run:
    - echo
    - ${{ inputs.s }}
    timeout: 50s
inputs:
  s:
    type: string
`
	hash := func(text string) string {
		f, err := flowfile.Parse("w.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		def, err := f.Definition()
		if err != nil {
			t.Fatal(err)
		}
		return def.Hash()
	}
	if a, b := hash(one), hash(other); a != b {
		t.Errorf("the same workflow has the hashes %s and %s", a, b)
	}
	if a, b := hash(one), hash(strings.Replace(one, "A: x", "A: y", 1)); a == b {
		t.Error("another workflow has the same hash")
	}
}

// render returns a definition in a form for people.
func render(d *workflow.Definition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "workflow %s version %q\n  policy %s\n", d.Name, d.Version, plus(d.Policy))
	for i := range d.Nodes {
		n := &d.Nodes[i]
		fmt.Fprintf(&b, "%d %s (%v %s)", i, n.Name, n.Kind, n.Task)
		if n.Scope > 0 {
			fmt.Fprintf(&b, " in %s", d.Nodes[n.Scope-1].Name)
		}
		fmt.Fprintf(&b, " needs %s\n", names(d, n.Needs))
		if n.Expr != "" {
			fmt.Fprintf(&b, "  expression %s\n", strings.ReplaceAll(n.Expr, "\n", "\n    "))
		}
		fmt.Fprintf(&b, "  input %s\n", source(d, n.Input))
		for _, br := range n.Branches {
			fmt.Fprintf(&b, "  branch %s for %s gives %s\n", br.Name, br.Keys, source(d, br.Result))
		}
		if p := plus(n.Policy); p != "" {
			fmt.Fprintf(&b, "  policy %s\n", p)
		}
	}
	fmt.Fprintf(&b, "output %s\n", source(d, d.Output))
	return b.String()
}

// plus returns the fields of a struct that are set.
func plus(v any) string {
	var set []string
	rv := reflect.ValueOf(v)
	for f, value := range rv.Fields() {
		switch {
		case value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0:
		case value.Kind() == reflect.Struct:
			if inner := plus(value.Interface()); inner != "" {
				set = append(set, fmt.Sprintf("%s{%s}", f.Name, inner))
			}
		default:
			set = append(set, fmt.Sprintf("%s=%v", f.Name, value.Interface()))
		}
	}
	return strings.Join(set, " ")
}

func names(d *workflow.Definition, nodes []int) string {
	if len(nodes) == 0 {
		return "nothing"
	}
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = d.Nodes[n].Name
	}
	return strings.Join(list, ", ")
}

func source(d *workflow.Definition, s workflow.Source) string {
	switch s.Kind {
	case workflow.SourceNone:
		return "nothing"
	case workflow.SourceInput:
		return "the run's input"
	case workflow.SourceRunID:
		return "the run's id"
	case workflow.SourceNode:
		return "<" + d.Nodes[s.Node].Name + ">"
	case workflow.SourceConst:
		return string(s.Const)
	case workflow.SourceItem:
		return "item of <" + d.Nodes[s.Node].Name + ">"
	case workflow.SourceIndex:
		return "index of <" + d.Nodes[s.Node].Name + ">"
	case workflow.SourceStruct:
		parts := make([]string, len(s.Of))
		for i := range s.Of {
			parts[i] = strings.Join(s.Paths[i], ".") + ": " + source(d, s.Of[i])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("source of kind %d", s.Kind)
}
