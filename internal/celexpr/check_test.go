package celexpr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/celexpr"
)

func scope(t testing.TB) *celexpr.Scope {
	t.Helper()
	files := celexpr.Object("the files of task list", map[string]*celexpr.Type{"report": celexpr.Any})
	task := celexpr.Object("the output of task list", map[string]*celexpr.Type{"stdout": celexpr.String, "exit_code": celexpr.Int, "files": files})
	task.Missing = map[string]string{"stderr": "stderr is not kept"}
	tasks := celexpr.Object("tasks", map[string]*celexpr.Type{"list": task, "my-task": task, "each": celexpr.List(task)})
	tasks.Parts = "name a task: tasks.NAME"
	s, err := celexpr.NewScope(map[string]*celexpr.Type{
		"inputs": celexpr.Object("inputs", map[string]*celexpr.Type{
			"folder": celexpr.String, "n": celexpr.Int, "x": celexpr.Number, "l": celexpr.List(celexpr.Any), "m": celexpr.Map(celexpr.Bool),
		}),
		"tasks": tasks, "item": celexpr.Any,
	}, map[string]string{"secrets": "no secrets here"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheckKnowsTypesAndUses(t *testing.T) {
	t.Parallel()
	s := scope(t)
	for _, tc := range []struct{ expr, typ, uses string }{
		{`inputs.folder`, "string", "inputs:[folder]"},
		{`inputs`, "inputs", "inputs:[]"},
		{`inputs.n + 1`, "int", "inputs:[n]"},
		{`inputs.x * 2.0`, "number", "inputs:[x]"},
		{`inputs.l[0].y`, "any", "inputs:[l]"},
		{`inputs["folder"]`, "string", "inputs:[folder]"},
		{`inputs.?folder`, "any", "inputs:[folder]"},
		{`inputs.m.a`, "bool", "inputs:[m]"},
		{`tasks["my-task"].stdout + tasks.list.stdout`, "string", "tasks:[list my-task]"},
		{`tasks.?list.exit_code`, "any", "tasks:[list]"},
		{`tasks.list.files.report.a.b`, "any", "tasks:[list]"},
		{`tasks.each.map(e, e.stdout)`, "list of string", "tasks:[each]"},
		{`tasks.list == null ? "" : tasks.list.stdout`, "string", "tasks:[list]"},
		{`has(inputs.folder)`, "bool", "inputs:[folder]"},
		{`item.x.y`, "any", "item:[]"},
		{`{"a": item}`, "map of any", "item:[]"},
		{`{"a": 1}.a`, "int", ""},
		{`[1].map(x, x + 1)`, "list of int", ""},
		{`math.greatest(1, 2)`, "int", ""},
		{`type(item) == int`, "bool", "item:[]"},
		{`duration("1s")`, "duration", ""},
		{`null`, "null", ""},
	} {
		checked, problems := s.Check(tc.expr)
		if checked == nil {
			t.Errorf("%s: %v", tc.expr, problems)
			continue
		}
		var uses []string
		for name, fields := range checked.Uses {
			uses = append(uses, fmt.Sprintf("%s:%v", name, fields))
		}
		slices.Sort(uses)
		if got := strings.Join(uses, " "); checked.Type.String() != tc.typ || got != tc.uses {
			t.Errorf("%s is %v and uses %s; want %s and %s", tc.expr, checked.Type, got, tc.typ, tc.uses)
		}
	}
}

func TestCheckSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	s := scope(t)
	for expr, want := range map[string]string{
		`inputs.foldr`:                     `7: there is no foldr in inputs; did you mean folder?`,
		"'é' +\n inputs.foldr":             `15: there is no foldr in inputs; did you mean folder?`,
		`has(inputs.foldr)`:                `11: there is no foldr in inputs; did you mean folder?`,
		`inputs["foldr"]`:                  `8: there is no foldr in inputs; did you mean folder?`,
		`tasks.lst`:                        `6: there is no lst in tasks; did you mean list?`,
		`tasks.list.stdot`:                 `11: there is no stdot in the output of task list; did you mean stdout?`,
		`tasks.list.stderr`:                `11: stderr is not kept`,
		`tasks.list.files.rep`:             `17: there is no rep in the files of task list; it has report`,
		`tasks.each[0].stdot`:              `14: there is no stdot in the output of task list; did you mean stdout?`,
		`tasks.each.all(e, e.stdot == "")`: `20: there is no stdot in the output of task list; did you mean stdout?`,
		`tasks.my-task`:                    `6: my-task has a dash in its name, which reads as minus; write tasks["my-task"]`,
		`item == tasks`:                    `8: name a task: tasks.NAME`,
		`secrets.x`:                        `0: no secrets here`,
		`input.folder`:                     `0: there is no input here; did you mean inputs?`,
		`nope`:                             `0: there is no nope here; there are inputs, item, tasks`,
		`inputs.foldr + inputs.fild`:       `7: there is no foldr in inputs; did you mean folder?|22: there is no fild in inputs; it has folder, l, m, n, x`,
		`inputs.folder.trm()`:              `14: there is no function trm; did you mean trim?`,
		`trim(inputs.folder)`:              `0: trim is called on a value: write VALUE.trim(…)`,
		`mth.greatest(1, 2)`:               `0: there is no function mth.greatest; did you mean math.greatest?`,
		`list.range(3)`:                    `0: there is no function list.range; did you mean lists.range?`,
		`nope(1)`:                          `0: there is no function nope; see docs/YAML.md for those there are`,
		`size(1)`:                          `0: size cannot be called with (int)`,
		`inputs.n + 1.5`:                   `9: + cannot be used on values of type int and number; both sides must be of one type`,
		`inputs.folder + 1`:                `14: + cannot be used on values of type string and int; make a text of the other one with text(…)`,
		`inputs.folder == 1`:               `14: == cannot be used on values of type string and int; both sides must be of one type`,
		`1 in 2`:                           `2: in cannot be used on values of type int and int`,
		`!inputs.n`:                        `0: ! cannot be used on a value of type int`,
		`inputs.n ? 1 : 2`:                 `9: int, int, int cannot be used with ? and :, which need a bool and two values of one type`,
		`inputs.folder[0]`:                 `13: a value cannot be looked up with [] like this: string, int`,
		`inputs.n.x`:                       `8: a value of type int has no fields`,
		`inputs.n.map(x, x)`:               `6: a value of type int is no list or map, which this needs`,
		`[1].map(item, item)`:              `4: item has a meaning of its own and cannot be the name of an element; take another name`,
		``:                                 `0: the expression is empty`,
		" \n":                              `0: the expression is empty`,
		`1 +`:                              `3: the expression ends too early`,
		`(1`:                               `2: the expression ends too early: ')' is missing`,
		`a b`:                              `2: unexpected "b" in the expression`,
		`"a`:                               `0: unexpected "\"a" in the expression`,
	} {
		checked, problems := s.Check(expr)
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%d: %s", p.Offset, p.Text))
		}
		if all := strings.Join(got, "|"); checked != nil || all != want {
			t.Errorf("%q:\n got %s\nwant %s", expr, all, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, expr := range []string{`inputs.foldr`, `tasks.each.map(e, e.stdot)`, `tasks.my-task`, `"é" + (`, `has(x.y)`, `a.?b`, `{"a": 1}["a"]`} {
		f.Add(expr)
	}
	s := scope(f)
	f.Fuzz(func(t *testing.T, expr string) {
		checked, problems := s.Check(expr)
		if (checked == nil) == (len(problems) == 0) {
			t.Fatalf("%v and %v", checked, problems)
		}
		for _, p := range problems {
			if p.Offset < 0 || p.Offset > len(expr) || p.Text == "" {
				t.Fatalf("problem %v of %d bytes", p, len(expr))
			}
		}
	})
}
