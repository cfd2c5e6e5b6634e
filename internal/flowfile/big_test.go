package flowfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

// These would take minutes if anything took time that grows with the square of
// the file.
func TestLargeFilesAreRead(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("workflow: w\ninputs: {x: {type: string}}\ntasks:\n  t0: {run: x}\n")
	for i := 1; i < flowfile.MaxTasks; i++ {
		fmt.Fprintf(&b, "  t%d:\n    for_each: ['${{ tasks.t%d }}']\n    with: {a: '${{ inputs.x }}'}\n    if: item != ''\n    run: echo ${{ item }} ${{ inputs.x }} ${{ with.a }} ${{ index }}\n", i, i-1)
	}
	def, err := parse(t, b.String()).Definition()
	if want := 1 + 7*(flowfile.MaxTasks-1); err != nil || len(def.Nodes) != want {
		t.Errorf("the definition has %d nodes, error %v; want %d", len(def.Nodes), err, want)
	}
}

func TestLargeWrongFilesAreRefusedEarly(t *testing.T) {
	t.Parallel()
	const head = "workflow: w\ntasks:\n  a:\n    run: "
	circle := strings.Builder{}
	circle.WriteString("workflow: w\ntasks:\n")
	for i := range flowfile.MaxTasks {
		fmt.Fprintf(&circle, "  t%d: {needs: [t%d], run: x}\n", i, (i+1)%flowfile.MaxTasks)
	}
	for text, want := range map[string]string{
		circle.String(): "tasks need each other in a circle",
		head + strings.Repeat("${{ inputs.x }}", 9_000):                                        "and 8900 more problems",
		head + strings.Repeat("${{ inputs.x }}", 60_000):                                       "the file has more than 10000 expressions",
		head + strings.Repeat("${{ ", 200_000):                                                 "${{ without }}",
		head + "${{ " + strings.Repeat("(", 200_000) + " }}":                                   "the expression",
		head + "${{ " + strings.Repeat("(", 90_000) + "1" + strings.Repeat(")", 9_000) + " }}": "the expression",
		head + "${{ " + strings.Repeat("1+", 49_000) + "1 }}":                                  "the expression",
		head + "${{ " + strings.Repeat("1 + ", 200_000) + " }}":                                "the expression",
		head + "x" + strings.Repeat("\n      ${{ 1 }}", 50_000):                                "the file has more than 10000 expressions",
		strings.Repeat("[", 1_000_000):                                                         "flow.yaml:",
		strings.Repeat("- ", 500_000):                                                          "flow.yaml:",
		strings.Repeat("a:\n ", 200_000):                                                       "flow.yaml:",
		head + strings.Repeat("x", flowfile.MaxFileSize):                                       "at most 1048576 are read",
		"workflow: w\ntasks:\n" + strings.Repeat("  a: {}\n", 20_000):                          "and 19900 more problems",
		"workflow: w\ntasks: {a: {run: [" + strings.Repeat("{}, ", 200_000) + "]}}":            "the file has more than 100000 values",
		"workflow: w\n" + strings.Repeat("k: &a [*a, *a]\n", 30_000):                           "stands for something that it is itself a part of",
	} {
		f, err := flowfile.Parse("flow.yaml", []byte(text))
		var all *flowfile.Errors
		if f != nil || !errors.As(err, &all) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, error %.200v; want %q", text, f, err, want)
		}
		if all != nil && len(all.Problems) > 100 {
			t.Errorf("%.40q: %d problems", text, len(all.Problems))
		}
	}
}
