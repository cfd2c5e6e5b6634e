package wfformat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grapnel-dev/grapnel"
)

// document returns a WfFormat file with these lists of tasks; without an
// execution if executed is empty.
func document(version, specified, executed string) string {
	execution := ""
	if executed != "" {
		execution = `, "execution": {"tasks": [` + executed + `]}`
	}
	return `{"name": "w", "schemaVersion": "` + version + `", "workflow": {"specification": {"tasks": [` +
		specified + `]}` + execution + `}}`
}

// task returns a specified task; parents and children are lists of JSON strings.
func task(id, parents, children string) string {
	return fmt.Sprintf(`{"name": "n", "id": %q, "parents": [%s], "children": [%s]}`, id, parents, children)
}

func mustParse(t *testing.T, text string) *Workflow {
	t.Helper()
	w, err := Parse(strings.NewReader(text), "f.json")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestParseReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	diamond := strings.Join([]string{
		task("a", ``, `"b", "c"`), task("b", `"a"`, `"d"`), task("c", `"a"`, `"d"`), task("d", `"b", "c"`, ``),
	}, ",")
	want := func(runtimes ...time.Duration) *Workflow {
		return &Workflow{Name: "w", Tasks: []Task{
			{ID: "a", Name: "n", Children: []int{1, 2}, Runtime: runtimes[0]},
			{ID: "b", Name: "n", Parents: []int{0}, Children: []int{3}, Runtime: runtimes[1]},
			{ID: "c", Name: "n", Parents: []int{0}, Children: []int{3}, Runtime: runtimes[2]},
			{ID: "d", Name: "n", Parents: []int{1, 2}, Runtime: runtimes[3]},
		}}
	}
	none := want(0, 0, 0, 0)
	runtimes := `{"id": "d", "runtimeInSeconds": 1e-3}, {"id": "a", "runtimeInSeconds": 99.396},
		{"id": "b", "runtimeInSeconds": 0.0, "machines": ["m"]}`
	recorded := want(99396*time.Millisecond, 0, 0, time.Millisecond)
	for name, tc := range map[string]struct {
		text string
		want *Workflow
	}{
		"version 1.5":                 {document("1.5", diamond, runtimes), recorded},
		"version 1.6":                 {document("1.6", diamond, runtimes), recorded},
		"no execution":                {document("1.6", diamond, ""), none},
		"byte order mark":             {"\ufeff" + document("1.5", diamond, runtimes), recorded},
		"space around and in between": {" \n" + strings.ReplaceAll(document("1.5", diamond, runtimes), ":", " :\t\r\n ") + "\n", recorded},
		"key twice: the last counts":  {strings.Replace(document("1.5", diamond, ""), `"name": "w"`, `"name": "x", "name": "w"`, 1), none},
		"key in other case: unknown":  {strings.Replace(document("1.5", diamond, ""), `"name": "w"`, `"name": "w", "NAME": "x"`, 1), none},
		"edge stated by parent only": {document("1.5", strings.Join([]string{
			task("a", ``, `"b", "c"`), task("b", ``, `"d"`), task("c", ``, `"d"`), task("d", ``, ``),
		}, ","), ""), none},
		"edge stated by child only": {document("1.5", strings.Join([]string{
			task("a", ``, ``), task("b", `"a"`, ``), task("c", `"a"`, ``), task("d", `"b", "c"`, ``),
		}, ","), ""), none},
		"edge stated twice": {document("1.5", strings.Join([]string{
			task("a", ``, `"b", "b", "c"`), task("b", `"a", "a"`, `"d"`), task("c", `"a"`, `"d"`), task("d", `"b", "c", "b"`, ``),
		}, ","), ""), none},
		"empty parent in 1.5": {document("1.5", strings.Replace(diamond, `"parents": []`, `"parents": [""]`, 1), ""), none},
		"order of the file where it can be": {document("1.5", strings.Join([]string{
			task("c", ``, ``), task("b", `"d"`, ``), task("d", `"a"`, ``), task("a", ``, ``),
		}, ","), ""), &Workflow{Name: "w", Tasks: []Task{
			{ID: "c", Name: "n"},
			{ID: "a", Name: "n", Children: []int{2}},
			{ID: "d", Name: "n", Parents: []int{1}, Children: []int{3}},
			{ID: "b", Name: "n", Parents: []int{2}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, mustParse(t, tc.text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseReportsEachProblemWithItsPlace(t *testing.T) {
	t.Parallel()
	const spec = "workflow.specification.tasks"
	a := task("mProject_1", ``, ``)
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"old version": {
			document("1.4", `7`, ``),
			[]string{`schemaVersion: version "1.4" is not supported; supported are 1.5 and 1.6`},
		},
		"nothing there": {`{}`, []string{"schemaVersion: is missing", "name: is missing", "workflow: is missing"}},
		"wrong types": {
			`{"name": 1, "schemaVersion": 1.5, "workflow": {"specification": [], "execution": null}}`,
			[]string{
				"schemaVersion: must be a string, is a number", "name: must be a string, is a number",
				"workflow.specification: must be an object, is a list",
			},
		},
		"execution of the wrong type": {
			strings.Replace(document("1.5", a, `0`), `{"tasks": [0]}`, `null`, 1),
			[]string{"workflow.execution: must be an object, is null"},
		},
		"execution without specification": {
			`{"name": "w", "schemaVersion": "1.5", "workflow": {"execution": {"tasks": [{"id": "a", "runtimeInSeconds": 1}]}}}`,
			[]string{"workflow.specification: is missing"},
		},
		"top level": {`[1]`, []string{"must be an object, is a list"}},
		"no tasks":  {document("1.5", ``, ``), []string{spec + ": there are no tasks"}},
		"tasks of the wrong kind": {
			document("1.5", `"x", {"id": "", "parents": null, "children": [true, null]}`, ``),
			[]string{
				spec + "[0]: must be an object, is a string",
				spec + "[1].name: is missing", spec + "[1].id: must not be empty",
				spec + "[1].parents: must be a list, is null",
				spec + "[1].children[0]: must be a string, is a boolean", spec + "[1].children[1]: must be a string, is null",
			},
		},
		"duplicate id": {
			document("1.5", a+","+task("b", ``, ``)+","+a, ``),
			[]string{spec + `[2].id: "mProject_1" is the id of ` + spec + "[0] too"},
		},
		"unknown parent and child": {
			document("1.5", a+","+task("b", `"mproject_1"`, `"quite_other", ""`), ``),
			[]string{
				spec + `[1].parents[0]: no task "mproject_1"; nearest is "mProject_1"`,
				spec + `[1].children[0]: no task "quite_other"`,
			},
		},
		"empty parent in 1.6": {
			document("1.6", task("some_task", `""`, ``), ``),
			[]string{spec + `[0].parents[0]: no task ""`},
		},
		"own parent": {
			document("1.5", task("b", `"b"`, ``), ``),
			[]string{spec + `[0].parents[0]: task "b" is among its own parents`},
		},
		"cycle": {
			document("1.5", strings.Join([]string{
				task("after", `"b"`, ``), task("a", `"c"`, ``), task("b", `"a"`, ``), task("c", `"b", "first"`, ``), task("first", ``, ``),
			}, ","), ``),
			[]string{spec + `: tasks wait for each other in a cycle: "a" -> "b" -> "c" -> "a"`},
		},
		"cycle by disagreement": {
			document("1.5", task("a", `"b"`, `"b"`)+","+task("b", ``, ``), ``),
			[]string{spec + `: tasks wait for each other in a cycle: "a" -> "b" -> "a"`},
		},
		"execution": {
			document("1.5", a+","+task("b", ``, ``), `{"id": "mProject_1"}, {"id": "b", "runtimeInSeconds": -0.5},
				{"id": "mProject_2", "runtimeInSeconds": 1}, {"id": "b", "runtimeInSeconds": "1"},
				{"runtimeInSeconds": 1e300}, {"id": "b", "runtimeInSeconds": 99999999999999999999}, []`),
			[]string{
				"workflow.execution.tasks[0].runtimeInSeconds: is missing",
				`workflow.execution.tasks[1].runtimeInSeconds: runtime "-0.5" is negative`,
				`workflow.execution.tasks[2].id: no task "mProject_2"; nearest is "mProject_1"`,
				"workflow.execution.tasks[3].runtimeInSeconds: must be a number, is a string",
				`workflow.execution.tasks[3].id: "b" is the id of workflow.execution.tasks[1] too`,
				`workflow.execution.tasks[4].runtimeInSeconds: runtime "1e300" is out of range`,
				"workflow.execution.tasks[4].id: is missing",
				`workflow.execution.tasks[5].runtimeInSeconds: runtime "99999999999999999999" is out of range`,
				`workflow.execution.tasks[5].id: "b" is the id of workflow.execution.tasks[1] too`,
				"workflow.execution.tasks[6]: must be an object, is a list",
			},
		},
		"empty file": {" \n", []string{"the file is empty"}},
		"not JSON": {
			"{\n  \"naïve\": x}",
			[]string{"line 2, column 12: not JSON: invalid character 'x' looking for beginning of value"},
		},
		"truncated": {
			"{\n\"name\": [1,\n  2",
			[]string{"line 3, column 4: not JSON: unexpected end of JSON input; is the file truncated?"},
		},
		"something after the end": {
			"{}\n}",
			[]string{"line 2, column 1: not JSON: invalid character '}' after top-level value"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := Parse(strings.NewReader(tc.text), "dir/f.json")
			if w != nil || !errors.Is(err, grapnel.ErrInvalid) {
				t.Fatalf("got %v and error %v, want none and ErrInvalid", w, err)
			}
			want := "dir/f.json: " + strings.Join(tc.want, "\ndir/f.json: ")
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseProblemsCanBeTakenApart(t *testing.T) {
	t.Parallel()
	_, err := Parse(strings.NewReader(document("2.0", ``, ``)), "f.json")
	p, ok := errors.AsType[Problem](err)
	if !ok || p.File != "f.json" || p.Place != "schemaVersion" || !strings.Contains(p.Text, `"2.0"`) {
		t.Errorf("got %#v from %v", p, err)
	}
}

func TestParseTellsNoMoreProblemsThanCanBeRead(t *testing.T) {
	t.Parallel()
	_, err := Parse(strings.NewReader(document("1.5", strings.Repeat(`0,`, 249)+"0", ``)), "f.json")
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxProblems+1 || lines[maxProblems] != "f.json: and 150 more problems" {
		t.Errorf("got %d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestParseShortensWhatItQuotes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 5000)
	_, err := Parse(strings.NewReader(document("1.5", task("a", `"`+long+`"`, ``), ``)), "f.json")
	if text := fmt.Sprint(err); len(text) > 500 || !strings.Contains(text, "(10000 bytes)") {
		t.Errorf("got %d bytes: %.300s", len(text), text)
	}
}

func TestParseRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	text := document("1.5", task("a", ``, ``), ``)
	size := int64(len(text))
	if _, err := parse(strings.NewReader(text), "f.json", size); err != nil {
		t.Errorf("file of just the limit: %v", err)
	}
	_, err := parse(strings.NewReader(text), "f.json", size-1)
	if !errors.Is(err, grapnel.ErrTooLarge) || !strings.Contains(err.Error(), "f.json") {
		t.Errorf("file over the limit: got %v, want ErrTooLarge", err)
	}
}

func TestParseReturnsTheReadersError(t *testing.T) {
	t.Parallel()
	r := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := Parse(r, "f.json"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want ErrClosedPipe", err)
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadFile of nothing: got %v, want ErrNotExist", err)
	}
}
