package flowfile_test

import (
	"errors"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

const withInputs = `
workflow: w
inputs:
  s: {type: string, default: "a<b"}
  i: {type: int}
  n: {type: number, default: 3}
  b: {type: bool, default: false}
  l: {type: list, default: [1, 2.50]}
  m: {type: map, default: {}}
  a: {type: any, required: false}
tasks:
  t: {run: "true"}
`

func parse(t testing.TB, text string) *flowfile.File {
	t.Helper()
	f, err := flowfile.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestInputsAreCheckedAndCompleted(t *testing.T) {
	t.Parallel()
	f := parse(t, withInputs)
	for in, want := range map[string]string{
		`{"i":1}`:                  `{"a":null,"b":false,"i":1,"l":[1,2.50],"m":{},"n":3.0,"s":"a\u003cb"}`,
		` {"i":9007199254740993} `: `{"a":null,"b":false,"i":9007199254740993,"l":[1,2.50],"m":{},"n":3.0,"s":"a\u003cb"}`,
		`{"i":-1,"n":7,"a":[{}]}`:  `{"a":[{}],"b":false,"i":-1,"l":[1,2.50],"m":{},"n":7.0,"s":"a\u003cb"}`,
		`{"i":0,"n":1e3,"a":null}`: `{"a":null,"b":false,"i":0,"l":[1,2.50],"m":{},"n":1e3,"s":"a\u003cb"}`,
		`{"i":0,"n":-2.5,"s":"","b":true,"l":[],"m":{"k":1}}`: `{"a":null,"b":true,"i":0,"l":[],"m":{"k":1},"n":-2.5,"s":""}`,
	} {
		got, err := f.CheckInput([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, %v; want %s", in, got, err, want)
		}
		// What came out may go in again.
		if again, err := f.CheckInput(got); err != nil || string(again) != want {
			t.Errorf("%s became %s, %v", got, again, err)
		}
	}
}

func TestWrongInputsSayAllThatIsWrong(t *testing.T) {
	t.Parallel()
	f := parse(t, withInputs)
	const prefix = "input of workflow w: "
	for in, want := range map[string]string{
		``:                          `i is missing; it is a whole number`,
		`null`:                      `i is missing; it is a whole number`,
		`[1]`:                       `it must be a JSON object, {"NAME": VALUE, …}, not a list`,
		`{"i":1} 2`:                 `there is more behind the JSON object`,
		`{"i":1.5}`:                 `i must be a whole number, not 1.5`,
		`{"i":9223372036854775808}`: `i must be a whole number, not 9223372036854775808`,
		`{"i":null,"s":5,"n":"x","b":1,"l":{},"m":[],"ii":1,"zzzzzz":2}`: `s must be text, not 5; i must be a whole number, not null; n must be a number, not "x"; ` +
			`b must be true or false, not 1; l must be a list, not a map; m must be a map, not a list; there is no input "ii"; did you mean i?; there is no input "zzzzzz"; there are s, i, n, b, l, m, a`,
	} {
		_, err := f.CheckInput([]byte(in))
		var wrong *flowfile.InputError
		if !errors.As(err, &wrong) || !errors.Is(err, grapnel.ErrInvalid) || err.Error() != prefix+want {
			t.Errorf("%s:\n got %v\nwant %s%s", in, err, prefix, want)
		}
	}
	if _, err := f.CheckInput([]byte(`{"i":`)); err == nil {
		t.Error("half an object is taken for an input")
	}
	none := parse(t, "workflow: w\ntasks: {t: {run: x}}\n")
	if _, err := none.CheckInput([]byte(`{"x":1}`)); err == nil || err.Error() != prefix+`there is no input "x"; the workflow takes none` {
		t.Errorf("got %v", err)
	}
	if got, err := none.CheckInput(nil); err != nil || string(got) != "{}" {
		t.Errorf("no input became %s, %v", got, err)
	}
}
