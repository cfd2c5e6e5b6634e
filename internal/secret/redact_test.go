package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestValuesAreReplacedInAllTheirForms(t *testing.T) {
	t.Parallel()
	const value = "p&ss\"wörd/+x\ty"
	r := NewRedactor(value, "second line of\na longer secret\n", "abc")
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as it is":         value,
		"twice":            value + value,
		"JSON":             string(quoted),
		"query":            "a=" + url.QueryEscape(value),
		"path":             "/" + url.PathEscape(value),
		"hex":              hex.EncodeToString([]byte(value)),
		"Base64":           base64.StdEncoding.EncodeToString([]byte(value)),
		"Base64 for URLs":  base64.URLEncoding.EncodeToString([]byte(value)),
		"a line of it":     "> a longer secret",
		"the other line":   "second line of",
		"basic, 1 before":  base64.StdEncoding.EncodeToString([]byte("u" + value + "abcdef")),
		"basic, 2 before":  base64.StdEncoding.EncodeToString([]byte("us" + value + "a")),
		"basic, 3 before":  base64.StdEncoding.EncodeToString([]byte("use" + value + "ab")),
		"basic, 14 before": base64.URLEncoding.EncodeToString([]byte("some user name" + value)),
	} {
		got := r.Text(text)
		if !strings.Contains(got, Mask) {
			t.Errorf("%s: %q is left as it is", name, text)
		}
		for _, part := range []string{"wörd", "second", "longer"} {
			if strings.Contains(got, part) {
				t.Errorf("%s: %q becomes %q", name, text, got)
			}
		}
	}
	const others = "abc, second, a=b&c"
	if got := r.Text(others); got != others {
		t.Errorf("%q becomes %q", others, got)
	}
	var none *Redactor
	if none.Text(value) != value || string(none.Bytes([]byte(value))) != value || NewRedactor().Text(value) != value {
		t.Error("no secrets, and yet something is replaced")
	}
}

func TestValuesAreReplacedHoweverProgramsWriteThem(t *testing.T) {
	t.Parallel()
	const value = "sécret/with+many &\"odd\" signs, long enough to be broken into lines of 76"
	r := NewRedactor(value)
	coded := base64.StdEncoding.EncodeToString([]byte("user:" + value + "\n"))
	broken := func(s string, width int, end string) string {
		var lines strings.Builder
		for len(s) > width {
			lines.WriteString(s[:width] + end)
			s = s[width:]
		}
		return lines.String() + s + end
	}
	percent := func(keep string) string {
		var b strings.Builder
		for _, c := range []byte(value) {
			if strings.IndexByte(keep, c) >= 0 || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02x", c)
			}
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"base64":                 broken(coded, 76, "\n"),
		"openssl base64":         broken(coded, 64, "\n"),
		"MIME":                   broken(coded, 76, "\r\n"),
		"narrow lines":           broken(coded, 16, "\n"),
		"xxd -p":                 broken(hex.EncodeToString([]byte(value)), 60, "\n"),
		"URL, slashes kept":      percent("/"),
		"URL, signs kept":        percent(";,/?:@&=+$#!'()*"),
		"URL, all lower case":    percent(""),
		"JSON in ASCII":          strings.ReplaceAll(strings.ReplaceAll(value, `"`, `\"`), "é", `\u00e9`),
		"JSON, slashes escaped":  strings.ReplaceAll(strings.ReplaceAll(value, `"`, `\"`), "/", `\/`),
		"JSON, all is escaped":   escapedAll(value),
		"twice, and some of it":  percent("") + " " + percent("/") + " " + percent("/")[:30],
		"broken and cut short":   broken(coded, 76, "\n")[:90],
		"unfinished escapes":     percent("") + `%2 %zz \u12 \x \`,
		"lone surrogates beside": `\ud83d` + escapedAll(value) + `\udc00`,
	} {
		var got bytes.Buffer
		w := r.Writer(&got)
		for _, b := range []byte("before " + text) {
			if _, err := w.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{got.String(), r.Text(text + " behind")} {
			if cut := strings.Contains(name, "short") || strings.Contains(name, "some"); cut && strings.HasSuffix(got, "behind") {
				continue
			}
			if !strings.Contains(got, Mask) || len(got) > len(" before *** *** ***\n\n")+len(`%2 %zz \u12 \x \`)+12 {
				t.Errorf("%s: %q becomes %q", name, text, got)
			}
		}
	}
	const others = "100%\nof C:\\temp\\new\n+1 \\u0041 %41"
	if got := r.Text(others); got != others {
		t.Errorf("%q becomes %q", others, got)
	}
	if got := NewRedactor("A smile: \U0001f600").Text(`<A smile: \ud83d\ude00>`); got != "<***>" {
		t.Errorf("a pair of surrogates becomes %q", got)
	}
}

func escapedAll(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04X`, u)
	}
	return b.String()
}

func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	r := NewRedactor("12345678", `quo"te\d`)
	const data = `{"n": 112345678, "small": 1.50, "12345678": ["quo\"te\\d", "x\u0071uo\"te\\d", null, true], "<": "&"}`
	got, err := r.JSON([]byte(data))
	const want = `{"***":["***","x***",null,true],"<":"&","n":"***","small":1.50}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if _, err := r.JSON([]byte("{")); err == nil {
		t.Error("what is not JSON is taken")
	}
	if got, err := NewRedactor().JSON([]byte(data)); err != nil || string(got) != data {
		t.Errorf("without secrets %s, %v", got, err)
	}
}

func TestValuesThatComeInPiecesAreReplaced(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	// The second begins like the first and goes on, the third repeats itself.
	values := []string{"abcd", "abcdefgh", "xyxyxyxy", strings.Repeat("long", 100) + "!"}
	r := NewRedactor(values...)
	for range 200 {
		var text strings.Builder
		for range 400 {
			switch random.IntN(3) {
			case 0:
				text.WriteString(values[random.IntN(len(values))])
			case 1:
				text.WriteString(strings.Repeat("-", random.IntN(40)))
			default:
				text.WriteByte("axl "[random.IntN(4)])
			}
		}
		var got bytes.Buffer
		w := r.Writer(&got)
		for rest := []byte(text.String()); len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(3000))
			if m, err := w.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, v := range append(values, "efgh", "longlong") {
			if strings.Contains(got.String(), v) {
				t.Fatalf("seed %d: %q is left in what %q became: %q", seed, v, text.String(), got.String())
			}
		}
		if want := strings.Count(text.String(), "-"); strings.Count(got.String(), "-") != want {
			t.Fatalf("seed %d: of %d characters between there are %d", seed, want, strings.Count(got.String(), "-"))
		}
	}
}

func TestValuesThatAreWrittenOtherwiseAndComeInPiecesAreReplaced(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const value = `a "quoted" secret/with\many & signs`
	r := NewRedactor(value)
	coded := base64.StdEncoding.EncodeToString([]byte(value))
	forms := []string{
		coded[:16] + "\n" + coded[16:32] + "\r\n" + coded[32:],
		strings.ToLower(url.PathEscape(value)), strings.ReplaceAll(url.QueryEscape(value), "%2F", "/"), escapedAll(value),
	}
	for range 100 {
		var text strings.Builder
		for range 300 {
			if random.IntN(2) == 0 {
				text.WriteString(forms[random.IntN(len(forms))])
			}
			text.WriteString(strings.Repeat("-", 1+random.IntN(40)))
		}
		var got bytes.Buffer
		w := r.Writer(&got)
		for rest := []byte(text.String()); len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(3000))
			if m, err := w.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		left := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(got.String(), Mask, ""), "-", ""), "=", "")
		if left != "" || strings.Count(text.String(), "-") != strings.Count(got.String(), "-") {
			t.Fatalf("seed %d: %q is left in what %q became", seed, left, text.String())
		}
	}
}

func TestAValueThatIsCutShortIsReplaced(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	w := NewRedactor("0123456789").Writer(&got)
	for _, s := range []string{"token=0123", "45"} {
		if _, err := w.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || got.String() != "token=***" {
		t.Errorf("%q, %v", got.String(), err)
	}
}
