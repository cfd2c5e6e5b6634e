package celexpr_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/workflow"
)

var _ workflow.Evaluator = (*celexpr.Evaluator)(nil)

func evaluator(t testing.TB) *celexpr.Evaluator {
	t.Helper()
	e, err := celexpr.New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const env = `{"a":1,"b":9007199254740993,"c":18446744073709551615,"d":1.0,"e":123456789012345678901234567890,
	"m":{"z":1,"a":2,"k":3},"n":null,"s":"x y'z","l":[1,2.5,"q"],"ä":"ö<&>"}`

func TestExpressionsHaveValues(t *testing.T) {
	t.Parallel()
	e := evaluator(t)
	for expr, want := range map[string]string{
		`a + 1`:                              `2`,
		`b`:                                  `9007199254740993`,
		`c`:                                  `18446744073709551615`,
		`d`:                                  `1.0`,
		`d + 0.5`:                            `1.5`,
		`a == d`:                             `true`,
		`m`:                                  `{"a":2,"k":3,"z":1}`,
		`m == {"z": 1, "a": 2, "k": 3}`:      `true`,
		`m.map(k, k)`:                        `["a","k","z"]`,
		`{"q": 1, "b": 2, "c": 3}.map(k, k)`: `["b","c","q"]`,
		`[{"q": 1, "b": 2}][0].map(k, k)`:    `["b","q"]`,
		`{3: 1, 1: 2, "a": 2, true: 3}`:      `{"true":3,"1":2,"3":1,"a":2}`,
		`n == null`:                          `true`,
		`n`:                                  `null`,
		`has(m.zz)`:                          `false`,
		`m.?zz.orValue(3)`:                   `3`,
		`m.?zz`:                              `null`,
		`n.?x.orValue(4)`:                    `4`,
		`l`:                                  `[1,2.5,"q"]`,
		`size(l) + s.size()`:                 `8`,
		`text(l) + text(d) + text(n) + text(true) + text(b"x")`:      `"[1,2.5,\"q\"]1truex"`,
		`text(1e30) + text(0.00000001)`:                              `"1e+301e-08"`,
		`quote(s)`:                                                   `"'x y'\\''z'"`,
		`toJSON(m)`:                                                  `"{\"a\":2,\"k\":3,\"z\":1}"`,
		`fromJSON("{\"a\": [18446744073709551615]}").a[0]`:           `18446744073709551615`,
		`" a,b ".trim().split(",").join("-")`:                        `"a-b"`,
		`["a", "b"].join()`:                                          `"ab"`,
		`"aXbX".replace("X", "--") + "aXbX".replace("X", "", 1)`:     `"a--b--abX"`,
		`"äbc".reverse()`:                                            `"cbä"`,
		`[3, 1, 2].sort() + [1, 1, 2].distinct() + [1, 2].reverse()`: `[1,2,3,1,2,2,1]`,
		`lists.range(3)`:                                             `[0,1,2]`,
		`math.greatest(1, 2)`:                                        `2`,
		`base64.encode(b"abc")`:                                      `"YWJj"`,
		`b"\xff"`:                                                    `"/w=="`,
		`timestamp("2020-01-01T00:00:00Z")`:                          `"2020-01-01T00:00:00Z"`,
		`duration("90s")`:                                            `"90s"`,
		`"<&>\u2028"`:                                                `"<&>\u2028"`,
		`s.matches("x.*")`:                                           `true`,
		`-9223372036854775808`:                                       `-9223372036854775808`,
	} {
		out, err := e.Evaluate(expr, []byte(env))
		if err != nil || string(out) != want {
			t.Errorf("%s is %s, %v; want %s", expr, out, err, want)
		}
		if !json.Valid(out) {
			t.Errorf("%s: %s is not JSON", expr, out)
		}
	}
}

func TestWhatHasNoValueSaysWhy(t *testing.T) {
	t.Parallel()
	e := evaluator(t)
	for expr, want := range map[string]string{
		`e`:                            `number 123456789012345678901234567890 does not fit into 64 bits`,
		`n.x`:                          `there is no "x" in the value that it is read from`,
		`m.zz`:                         `there is no "zz" in the value that it is read from`,
		`a + d`:                        `no such overload`,
		`[1, 2].join("")`:              `join cannot be called on a value of type list(int) with (string)`,
		`l.join("")`:                   `no such overload: join(list, string)`,
		`"%s".format([1])`:             `there is no format`,
		`1.0 / 0.0`:                    `the number +Inf has no form as JSON`,
		`1 / 0`:                        `division by zero`,
		`type(1)`:                      `a value of type type has no form as JSON`,
		`{1: 2, "1": 3}`:               `a map has two keys that are "1" in JSON`,
		`foo`:                          `there is no foo`,
		`1 +`:                          `the expression ends too early`,
		`a @ b`:                        `unexpected "@" in the expression`,
		`"a" + 1`:                      `+ cannot be used on values of type string and int; make a text of the other one with text(…)`,
		`fromJSON("{")`:                `fromJSON: the text is not JSON`,
		`fromJSON("1 2")`:              `fromJSON: the text is not JSON`,
		`quote("\x00")`:                `a text with a zero byte cannot be a word of a shell`,
		`text(b"\xff")`:                `bytes that are not UTF-8`,
		`9223372036854775807 + 1`:      `integer overflow`,
		`lists.range(5001).distinct()`: `it takes more work than`,
		`lists.range(1000000)`:         `lists.range`,
	} {
		for range 2 { // the second time from the cache, or not
			out, err := e.Evaluate(expr, []byte(env))
			if !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s is %s, %v; want an error with %q", expr, out, err, want)
			}
		}
	}
	for env, want := range map[string]string{
		`{`: "the environment is not JSON", `[]`: "not a JSON object", `{} {}`: "the environment is not JSON",
	} {
		if _, err := e.Evaluate("1", []byte(env)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("environment %s: %v", env, err)
		}
	}
	for _, env := range []string{"", "null", "{}"} {
		if out, err := e.Evaluate("1", []byte(env)); err != nil || string(out) != "1" {
			t.Errorf("environment %q: %s, %v", env, out, err)
		}
	}
}

// Each of these would take minutes or gigabytes without a limit.
func TestNoExpressionRunsAway(t *testing.T) {
	t.Parallel()
	const (
		work   = "it takes more work than"
		long   = "bytes as JSON"
		text   = "would make a text of more than"
		double = ".map(a, a + a)"
	)
	e := evaluator(t)
	big := `{"s":"` + strings.Repeat(`x\n`, 100_000) + `","deep":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`
	for expr, want := range map[string]string{
		`s.replace("x", s)`:                                            text,
		`[[1]]` + strings.Repeat(double, 60):                           long,
		`["x"]` + strings.Repeat(double, 60):                           work,
		`s.split("\n").map(l, s.split("\n").size())`:                   work,
		`lists.range(10000).map(i, lists.range(10000))`:                work,
		`lists.range(10000).map(i, lists.range(10000).map(j, j))`:      work,
		`lists.range(10000).map(i, s == s + "x")`:                      work,
		`lists.range(10000).map(i, deep == deep)`:                      work,
		`lists.range(10000).map(i, [s, s] == [s, s])`:                  work,
		`lists.range(10000).map(i, s.matches("(x.*)+y"))`:              work,
		`lists.range(10000).map(i, s.upperAscii())`:                    work,
		`lists.range(10000).map(i, s.trim())`:                          work,
		`lists.range(10000).map(i, s.reverse())`:                       work,
		`lists.range(10000).map(i, s.substring(1))`:                    work,
		`lists.range(10000).map(i, s.indexOf("y"))`:                    work,
		`lists.range(10000).map(i, size(s))`:                           work,
		`lists.range(10000).map(i, s in [s, s])`:                       work,
		`lists.range(10000).map(i, (s + "x") < (s + "y"))`:             work,
		`lists.range(10000).map(i, s.split("\n").join())`:              work,
		`lists.range(10000).map(i, quote(s))`:                          work,
		`lists.range(10000).map(i, toJSON(s))`:                         work,
		`lists.range(10000).map(i, fromJSON(toJSON(s)))`:               work,
		`lists.range(10000).map(i, base64.encode(bytes(s)))`:           work,
		`lists.range(10000).map(i, deep.flatten(1000))`:                work,
		`lists.range(10000).map(i, s)`:                                 long,
		`s.split("\n").distinct()`:                                     work,
		`s + s + s + s`:                                                long,
		`"x"` + strings.Repeat("+ (1", 400) + strings.Repeat(")", 400): "",
		strings.Repeat("1+", 60_000) + "1":                             "",
	} {
		out, err := e.Evaluate(expr, []byte(big))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s is %.40s, %v; want an error with %q", expr, out, err, want)
		}
	}
	if out, err := e.Evaluate(`s.split("\n").size()`, []byte(big)); err != nil || string(out) != "100001" {
		t.Errorf("an expression over 200 kB is %s, %v", out, err)
	}
}

func TestEvaluationIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	const expr = `[m.map(k, k), {"x": 1, "b": 2, "zz": 3, "q": 4}.map(k, k), fromJSON(toJSON(m)).map(k, k), m.filter(k, k != "a")]`
	first, err := evaluator(t).Evaluate(expr, []byte(env))
	if err != nil {
		t.Fatal(err)
	}
	e := evaluator(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if out, err := e.Evaluate(expr, []byte(env)); err != nil || string(out) != string(first) {
					t.Errorf("%s, %v; first it was %s", out, err, first)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzEvaluate(f *testing.F) {
	for _, expr := range []string{`a + 1`, `m.map(k, k)`, `quote(s) + text(l)`, `{"a": [1, n, d]}`, `fromJSON("[1]")[0]`} {
		f.Add(expr)
	}
	e := evaluator(f)
	f.Fuzz(func(t *testing.T, expr string) {
		out, err := e.Evaluate(expr, []byte(env))
		again, errAgain := e.Evaluate(expr, []byte(env))
		if string(out) != string(again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("%s, %v became %s, %v", out, err, again, errAgain)
		}
		if err == nil && !json.Valid(out) {
			t.Fatalf("%q is not JSON", out)
		}
	})
}
