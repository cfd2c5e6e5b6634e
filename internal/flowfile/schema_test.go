package flowfile_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/docs/schema"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

// compiled returns the schema as a validator.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Flow))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("flow.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("flow.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheSchemaTakesGoodFiles(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, path := range files {
		var doc any
		if err := yaml.Unmarshal(read(t, path), &doc); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// beyond are wrong files that no schema can tell from right ones: names that do
// not exist, and what is inside of expressions. What begins with one of these
// counts.
var beyond = []string{
	"expr-", "needs-unknown", "needs-itself", "needs-circle", "needs-two-circles", "constant-too-long",
	"secret-unknown", "secret-undeclared", "secret-in-", "task-for-each-not-a-list", "task-if-not-bool", "task-if-two",
	"heartbeat-too-long", "input-default-expression", "nested-too-deep", "tag-unknown", "top-expression-in-key",
	"input-number-too-large", "file-two-documents", "file-line-separator", "alias-merge", "http-url-user", "task-zero-byte",
}

func TestTheSchemaRefusesWrongFiles(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	seen := 0
	for _, path := range wrongFiles(t) {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		var doc any
		if yaml.Unmarshal(read(t, path), &doc) != nil {
			continue // no editor gets as far as the schema
		}
		knowable := !slices.ContainsFunc(beyond, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		err := s.Validate(doc)
		if knowable && err == nil {
			t.Errorf("%s is taken for right", name)
		}
		if !knowable && err != nil && !strings.HasPrefix(name, "expr-") {
			t.Errorf("%s is refused, so it need not be an exception: %v", name, err)
		}
		if err != nil {
			seen++
		}
	}
	if seen < 40 {
		t.Errorf("only %d wrong files were refused", seen)
	}
}

func TestTheSchemaHasTheKeysOfTheParser(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal(schema.Flow, &doc); err != nil {
		t.Fatal(err)
	}
	defs, _ := doc["$defs"].(map[string]any)
	for name, want := range flowfile.Keys {
		object := doc
		if name != "" {
			object, _ = defs[name].(map[string]any)
		}
		if name == "retry" {
			forms, _ := object["anyOf"].([]any)
			object, _ = forms[1].(map[string]any)
		}
		properties, _ := object["properties"].(map[string]any)
		var got []string
		for key := range properties {
			got = append(got, key)
		}
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) || object["additionalProperties"] != false {
			t.Errorf("%q has the keys\n%v in the schema and\n%v in the parser", name, got, want)
		}
		if len(got) == 0 {
			t.Errorf("the schema has no %q", name)
		}
	}
	input, _ := defs["input"].(map[string]any)
	properties, _ := input["properties"].(map[string]any)
	typ, _ := properties["type"].(map[string]any)
	list, _ := typ["enum"].([]any)
	var types []string
	for _, t := range list {
		if s, ok := t.(string); ok {
			types = append(types, s)
		}
	}
	if !slices.Equal(types, flowfile.InputTypes) {
		t.Errorf("the schema has the types %v, the parser %v", types, flowfile.InputTypes)
	}
}
