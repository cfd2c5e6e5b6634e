package flowfile

import (
	"fmt"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

const marker = "✶" // once in each text, and written as it is

// drawScalar returns a key with a scalar that has a marker in it, in some style.
func drawScalar(t *rapid.T) string {
	word := rapid.StringMatching(`[a-zé"'\\$}{]{1,6}`)
	words := func(label string) []string { return rapid.SliceOfN(word, 1, 4).Draw(t, label) }
	before, after := words("before"), words("after")
	glue := func(sep string, parts ...string) string { return strings.Join(parts, sep) }
	text := func(sep string, escape func(string) string) string {
		all := append(append([]string{}, before...), "x"+marker+"y")
		all = append(all, after...)
		for i := range all {
			all[i] = escape(all[i])
		}
		return glue(sep, all...)
	}
	same := func(s string) string { return s }
	plain := strings.NewReplacer(`"`, "q", `'`, "a", `\`, "b", "{", "c", "}", "d").Replace
	double := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "e", `\x65`, "é", `\u00e9`, "z", `\U0001F600`).Replace
	props := rapid.SampledFrom([]string{"", "", "&anchor ", "!!str "}).Draw(t, "properties")
	indent := strings.Repeat(" ", rapid.IntRange(1, 4).Draw(t, "indent"))
	eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")
	fold := rapid.SampledFrom([]string{" ", eol + indent, " " + eol + eol + indent, eol + eol + eol + indent + "  "}).Draw(t, "fold")
	var scalar string
	switch style := rapid.SampledFrom([]string{"plain", "single", "double", "continued", "literal", "folded"}).Draw(t, "style"); style {
	case "plain":
		scalar = "p" + text(fold, plain)
	case "single":
		scalar = "'" + text(fold, func(s string) string { return strings.ReplaceAll(s, "'", "''") }) + "'"
	case "double":
		scalar = `"` + text(fold, double) + `"`
	case "continued":
		scalar = `"` + text(`\`+eol+indent, double) + `"`
	case "literal":
		sep := rapid.SampledFrom([]string{" ", eol + indent, eol + indent + "  ", eol + eol + indent}).Draw(t, "separator")
		scalar = rapid.SampledFrom([]string{"|", "|-", "|+ # comment"}).Draw(t, "header") + eol + indent + text(sep, same) + eol
	case "folded":
		sep := rapid.SampledFrom([]string{" ", eol + indent, eol + eol + indent, eol + indent + " more " + eol + indent}).Draw(t, "separator")
		scalar = rapid.SampledFrom([]string{">", ">-"}).Draw(t, "header") + eol + indent + text(sep, same) + eol
	}
	return "before: é" + eol + "key: " + props + scalar + eol
}

func TestPlacesInsideOfScalarsAreFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := drawScalar(t)
		src := newSource(text)
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%q is no YAML: %v", text, err)
		}
		n := doc.Content[0].Content[3]
		offset := strings.Index(n.Value, marker)
		want := src.place(strings.Index(text, marker))
		if got := src.inside(n, offset); got != want {
			t.Fatalf("%q: byte %d of %q is at %v, not %v", text, offset, n.Value, want, got)
		}
		for i := range len(n.Value) + 2 {
			at := src.inside(n, i)
			if begin := (place{n.Line, n.Column}); at.line < begin.line || src.index(at) > len(text) {
				t.Fatalf("%q: byte %d of %q is at %v", text, i, n.Value, at)
			}
		}
	})
}

func TestExpressionsEndWhereTheyClose(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`a }} b`:                     `a `,
		`{"a": {"b": 1}}}} }}`:       `{"a": {"b": 1}}`,
		`"}}" + '}}' }}`:             `"}}" + '}}' `,
		`"\"}}" }}`:                  `"\"}}" `,
		`r"\" + "}}" }}`:             `r"\" + "}}" `,
		`'''}} ' }}''' }}`:           `'''}} ' }}''' `,
		"a // }} no\n }}":            "a // }} no\n ",
		`"open }}`:                   `"open `,
		`{ }}`:                       `{ `,
		`} }}`:                       `} `,
		`[{"a": "}"}][0].a == "{"}}`: `[{"a": "}"}][0].a == "{"`,
		`a }`:                        "",
	} {
		got := ""
		if end := closing(text); end >= 0 {
			got = text[:end]
		}
		if got != want {
			t.Errorf("%s ends as %q, want %q", text, got, want)
		}
	}
}

func ExampleProblem() {
	_, err := Parse("flow.yaml", []byte("workflow: example\ntasks:\n  list:\n    run: ls\n  show:\n    run: echo ${{ tasks.lst.stdout }}\n"))
	fmt.Println(err)
	// Output: flow.yaml:6:25: there is no lst in tasks; did you mean list?
}
