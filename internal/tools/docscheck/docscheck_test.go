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
<!-- docs-check: run empty 3m -->
'''sh
'''
<!-- docs-check: output times numbers -->
'''
'''
<!-- docs-check: skip rest because of it -->
'''
'''
'''bash
'''
<!-- docs-check: run -->
'''sh
'''
`, "'''", "```")
	got, err := parseBlocks("x.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{at: "x.md:5", lang: "sh", text: "echo one\n", mark: markRun, limit: 90 * time.Second},
		{at: "x.md:8", lang: "go", text: "x := 1\n"},
		{at: "x.md:12", lang: "go", text: "```\n", mark: markFile, path: "a/b.go"},
		{at: "x.md:16", lang: "sh", mark: markRun, limit: 3 * time.Minute, empty: true},
		{at: "x.md:19", mark: markOutput, alike: alike{times: true, numbers: true}},
		{at: "x.md:22"},
		{at: "x.md:24", lang: "bash", mark: markSkip, reason: "because of it"},
		{at: "x.md:27", lang: "sh", mark: markRun, limit: 2 * time.Minute},
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
		"<!-- docs-check: ran -->\n```sh\n```\n":        "x.md:1: docs-check: \"ran\"",
		"<!-- docs-check: run never -->\n```sh\n```\n":  "not a time limit",
		"<!-- docs-check: skip -->\n```sh\n```\n":       "skip [rest] REASON",
		"<!-- docs-check: skip rest -->\n```sh\n```\n":  "skip [rest] REASON",
		"<!-- docs-check: output dates -->\n```\n```\n": "\"dates\" is none of times, hashes, numbers",
		"<!-- docs-check: file -->\n```go\n```\n":       "x.md:1:",
		"<!-- docs-check: run -->\ntext\n```sh\n```":    "x.md:2: no block follows",
		"<!-- docs-check: run -->\n":                    "no block follows",
		"```sh\necho\n":                                 "x.md:2: the block is not closed",
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
	const (
		marked  = "<!-- docs-check: run -->\n"
		printed = "<!-- docs-check: output -->\n"
	)
	for name, c := range map[string]struct{ text, want string }{
		"later blocks see what earlier ones made": {marked + "```sh\necho hi >made\n```\n" + marked + "```sh\ngrep hi made\n```\n", ""},
		"an unmarked block of shell":              {"```sh\nexit 1\n```\n", "README.md:2: nothing says whether these commands are run"},
		"a block that is skipped is not run":      {"<!-- docs-check: skip it fails -->\n```sh\nexit 1\n```\n", ""},
		"all that follow are skipped":             {"<!-- docs-check: skip rest they fail -->\n\n# x\n```sh\nexit 1\n```\n```sh\nexit 1\n```\n", ""},
		"a block is run in a clone":               {marked + "```sh\ngit log --oneline | grep .\ncat main.go\n```\n", ""},
		"the folder that cd goes to":              {marked + "```sh\nmkdir a\ncd a\n```\n" + marked + "```sh\n[ \"${PWD##*/}\" = a ]\n```\n", ""},
		"an empty folder, and a clone of it":      {"<!-- docs-check: run empty -->\n```sh\n[ -z \"$(ls -A)\" ]\ngit clone -q https://github.com/grapnel-dev/grapnel\ncd grapnel\ncat main.go\n```\n" + marked + "```sh\ncat main.go\n```\n", ""},
		"an empty folder in the middle":           {marked + "```sh\ntrue\n```\n<!-- docs-check: run empty -->\n```sh\ntrue\n```\n", "README.md:7: only the first block"},
		"a home of its own":                       {marked + "```sh\n[ -z \"$(ls -A ~)\" ]\n```\n", ""},
		"an output":                               {marked + "```sh\necho one\necho two >&2\n```\ntext\n```yaml\n```\n" + printed + "```\none\ntwo\n```\n", ""},
		"another output":                          {marked + "```sh\necho one\necho two\n```\n" + printed + "```\none\nthree\n```\n", "README.md:8: line 2 is not what was printed: three\nprinted was:\none\ntwo"},
		"an output of nothing":                    {printed + "```\none\n```\n" + marked + "```sh\necho one\n```\n", "README.md:3: this is the output of no block"},
		"a failing block":                         {marked + "```sh\nfalse\ntrue\n```\n", "README.md:3: exit status 1"},
		"a failing pipe":                          {marked + "```sh\nfalse | true\n```\n", "exit status 1"},
		"a block over its time":                   {"<!-- docs-check: run 50ms -->\n```sh\nsleep 60\n```\n", "still running after 50ms"},
		"what a block starts ends with it":        {marked + "```sh\nsleep 60 &\n```\n", ""},
		"shell that does not parse":               {marked + "```sh\nif\n```\n", "bash -n"},
		"shell that is skipped must parse":        {"<!-- docs-check: skip why not -->\n```sh\nif\n```\n", "bash -n"},
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

func TestAnOutputIsComparedLineByLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		alike       string
		shown, got  string
		wrong, line string
	}{
		"the same":                  {"", "a\n\nb\n", "a\n\nb\n", "", ""},
		"spaces at the end":         {"", "a\n", "a  \n", "", ""},
		"spaces inside":             {"", "a  b\n", "a b\n", "line 1", "a  b"},
		"lines left out":            {"", "…\nb\n…\nd\n", "x\ny\nb\nd\n", "", ""},
		"lines in another order":    {"", "…\nd\n…\nb\n…\n", "b\nd\n", "line 4", "b"},
		"a line too many":           {"", "a\n", "a\nb\n", "more was printed", ""},
		"a line too few":            {"", "a\nb\n", "a\n", "line 2", "b"},
		"text left out in a line":   {"", "a … c\n", "a b b c\n", "", ""},
		"not over several lines":    {"", "a … c\n", "a b\nb c\n", "line 1", "a … c"},
		"what looks like a pattern": {"", "a.*[\n", "axx[\n", "line 1", "a.*["},
		"other times": {
			"times", "  1.5s  at 09:20:27.020, on 2026-11-25 08:39:18 and in 2m3s\n", "10.25s at 10:00:00.1, on 2027-01-01 00:00:00 and in 300ms\n", "", "",
		},
		"times that must be the same":   {"", "1.5s\n", "1.6s\n", "line 1", "1.5s"},
		"other numbers where times may": {"times", "3 in 1s\n", "4 in 2s\n", "line 1", "3 in 1s"},
		"other numbers":                 {"numbers", "4 of 371, 0.5\n", "12 of 9, 1\n", "", ""},
		"one instead of many":           {"numbers", "4 claims: a\n", "1 claim: a\n", "", ""},
		"another word beside a number":  {"numbers", "4 claims\n", "4 clams\n", "line 1", "4 claims"},
		"other hashes":                  {"hashes", "run a-1997aa46 01a211da-1da7-7baa\n", "run a-ffffffff 00000000-1111-2222\n", "", ""},
		"a hash too short":              {"hashes", "1997aa4\n", "1997aa5\n", "line 1", "1997aa4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := parseAlike(c.alike)
			if err != nil {
				t.Fatal(err)
			}
			err = compare(block{at: "x.md:7", text: c.shown, alike: a}, c.got)
			switch {
			case c.wrong == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case c.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), "x.md:7: "+c.wrong) || !strings.HasSuffix(err.Error(), c.line)):
				t.Errorf("got error %v, want one of x.md:7 with %q and %q", err, c.wrong, c.line)
			}
		})
	}
}

func TestAFreshCheckBeginsWithAnEmptyCache(t *testing.T) {
	setup(t, "<!-- docs-check: run -->\n```sh\necho in $GOCACHE\nls -A \"$GOCACHE\"\n```\n<!-- docs-check: output -->\n```\nin …docscheck-cache-…\n```\n")
	if err := run(t.Context(), []string{"-fresh"}, &strings.Builder{}); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), nil, &strings.Builder{}); err == nil {
		t.Error("without -fresh the cache is also an empty one")
	}
}
