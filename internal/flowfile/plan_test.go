package flowfile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

func TestAPlanHasTheTasksByLevels(t *testing.T) {
	t.Parallel()
	f, err := flowfile.Parse("f.yaml", []byte(`workflow: plan
inputs:
  n: {type: int}
secrets:
  one: {env: ONE}
  two: {env: TWO}
tasks:
  last:
    needs: [middle, alone]
    if: inputs.n > 1
    http: {url: "https://example.com/${{ inputs.n }}", headers: {A: {secret: one}}}
  first:
    run: [cat, "a b", "", "x${{ inputs.n }}"]
    env: {A: {secret: two}, B: {secret: one}, C: {secret: one}}
    retry: {attempts: 3}
    timeout: 30s
    queue: q
    tags: [t]
  middle:
    for_each: [1, {a: "${{ inputs.n }}"}, [true, null]]
    if: item != inputs.n && size(tasks.first.stdout) > 0
    parallel: 2
    run: |
      echo ${{ item }}
  alone:
    http: {method: DELETE, url: "https://example.com/"}
    if: false
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []flowfile.Step{
		{
			Name: "first", Level: 1, Does: `cat "a b" "" x${{ inputs.n }}`, Queue: "q", Tags: []string{"t"},
			Secrets: []string{"one", "two"}, Attempts: 3, Timeout: 30 * time.Second,
		},
		{Name: "alone", Level: 1, Does: "DELETE https://example.com/", If: "false", Attempts: 1},
		{
			Name: "middle", Level: 2, Does: "echo ${{ item }}", Needs: []string{"first"}, PerItem: true,
			If: "item != inputs.n && size(tasks.first.stdout) > 0", ForEach: "[1, {a: ${{ inputs.n }}}, [true, null]]", Parallel: 2, Attempts: 1,
		},
		{
			Name: "last", Level: 3, Does: "GET https://example.com/${{ inputs.n }}", Needs: []string{"alone", "middle"},
			If: "inputs.n > 1", Secrets: []string{"one"}, Attempts: 1,
		},
	}
	if diff := cmp.Diff(want, f.Plan(), cmp.FilterPath(func(p cmp.Path) bool {
		return strings.HasSuffix(p.String(), "Needs") || strings.HasSuffix(p.String(), "Secrets") || strings.HasSuffix(p.String(), "Tags")
	}, cmp.Comparer(func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }))); diff != "" {
		t.Error(diff)
	}
}
