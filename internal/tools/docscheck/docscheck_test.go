package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBlocksAreFoundWithTheirMarks(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(`# Title
<!-- docs-check: run 90s -->

'''sh
echo one
'''
  '''go
  x := 1
  '''
<!-- docs-check: file a/b.go -->
~~~go
'''
~~~
`, "'''", "```")
	got, err := parseBlocks("x.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{at: "x.md:5", lang: "sh", text: "echo one\n", mark: markRun, limit: 90 * time.Second},
		{at: "x.md:8", lang: "go", text: "x := 1\n"},
		{at: "x.md:12", lang: "go", text: "```\n", mark: markFile, path: "a/b.go"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d blocks, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("block %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestMarksThatMeanNothingAreErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<!-- docs-check: ran -->\n```sh\n```\n":       "x.md:1: docs-check: \"ran\"",
		"<!-- docs-check: run never -->\n```sh\n```\n": "not a time limit",
		"<!-- docs-check: file -->\n```go\n```\n":      "x.md:1:",
		"<!-- docs-check: run -->\ntext\n```sh\n```":   "x.md:2: no block follows",
		"<!-- docs-check: run -->\n":                   "no block follows",
		"```sh\necho\n":                                "x.md:2: the block is not closed",
	} {
		if _, err := parseBlocks("x.md", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", text, err, want)
		}
	}
}

// setup makes a repository with one Markdown file and goes there.
func setup(t *testing.T, readme string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if out, err := exec.Command("git", "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	for name, text := range map[string]string{"README.md": readme, "main.go": "package main\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADocumentIsCheckedAsItSays(t *testing.T) {
	const marked = "<!-- docs-check: run -->\n"
	for name, c := range map[string]struct{ text, want string }{
		"later blocks see what earlier ones made": {marked + "```sh\necho hi >made\n```\n" + marked + "```sh\ngrep hi made\n```\n", ""},
		"an unmarked block is not run":            {"```sh\nexit 1\n```\n", ""},
		"a failing block":                         {marked + "```sh\nfalse\ntrue\n```\n", "README.md:3: exit status 1"},
		"a failing pipe":                          {marked + "```sh\nfalse | true\n```\n", "exit status 1"},
		"a block over its time":                   {"<!-- docs-check: run 50ms -->\n```sh\nsleep 60\n```\n", "still running after 50ms"},
		"what a block starts ends with it":        {marked + "```sh\nsleep 60 &\n```\n", ""},
		"shell that does not parse":               {"```sh\nif\n```\n", "bash -n"},
		"shell that is left alone":                {"<!-- docs-check: skip -->\n```sh\nif\n```\n", ""},
		"Go that does not parse":                  {"```go\npackage x\nfunc {\n```\n", "README.md:2"},
		"a fragment of Go":                        {"```go\nx := 1\n```\n", ""},
		"a block equal to its file":               {"<!-- docs-check: file main.go -->\n```go\npackage main\n```\n", ""},
		"a block unlike its file":                 {"<!-- docs-check: file main.go -->\n```go\npackage mine\n```\n", "not what is in main.go"},
		"a block of a file that is gone":          {"<!-- docs-check: file gone.go -->\n```go\npackage x\n```\n", "no such file"},
		"Go that should be run":                   {marked + "```go\npackage x\n```\n", "only blocks marked sh or bash"},
	} {
		t.Run(name, func(t *testing.T) {
			setup(t, c.text)
			var out strings.Builder
			err := run(t.Context(), nil, &out)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(".", "made")); err == nil {
				t.Error("a block wrote into the tree itself")
			}
		})
	}
}
