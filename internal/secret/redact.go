package secret

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// Mask is what a [Redactor] puts in the place of a value.
const Mask = "***"

// minFragment is how long a piece of a value has to be to be recognised alone:
// a line of it, or what can be told of it in the middle of Base64.
const minFragment = 8

// Redactor replaces the values of secrets. The zero Redactor and a nil one
// replace nothing.
type Redactor struct {
	forms   []string // all there are, longest first
	values  []string // of forms, the values and their lines as they are
	encoded []string // of forms, those in hexadecimal and Base64
	longest int      // how long a form or the way to write it can be
}

// NewRedactor returns a redactor for these values.
func NewRedactor(values ...string) *Redactor {
	r := &Redactor{}
	for _, v := range values {
		if len(v) < MinLength {
			continue
		}
		r.add(v)
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); len(line) >= minFragment {
				r.add(line)
			}
		}
	}
	r.forms = append(append(r.forms, r.values...), r.encoded...)
	for _, forms := range []*[]string{&r.forms, &r.values, &r.encoded} {
		slices.SortFunc(*forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
		*forms = slices.Compact(*forms)
	}
	if len(r.forms) > 0 {
		r.longest = len(r.forms[0])
	}
	for _, w := range r.writings() {
		if len(w.forms) > 0 {
			r.longest = max(r.longest, w.most(len(w.forms[0])))
		}
	}
	return r
}

// writing is a way to write forms that are not just there as they are.
type writing struct {
	signs string // without one of which nothing is written like that
	view  viewer
	forms []string
	most  func(n int) int // how long n bytes of a form can be
}

func (r *Redactor) writings() []writing {
	times := func(by int) func(int) int { return func(n int) int { return n * by } }
	return []writing{
		{"\r\n", joined, r.encoded, brokenLength},
		{"%", decoded, r.values, times(maxDecoded)},
		{"%+", decodedQuery, r.values, times(maxDecoded)},
		{`\`, unescaped, r.values, times(maxUnescaped)},
	}
}

// add takes all forms of a value.
func (r *Redactor) add(v string) {
	r.values = append(r.values, v)
	r.forms = append(r.forms, url.QueryEscape(v), url.PathEscape(v))
	for _, escape := range []bool{true, false} {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(escape)
		if enc.Encode(v) == nil {
			r.forms = append(r.forms, strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(buf.String()), `"`), `"`))
		}
	}
	if len(v) >= minFragment {
		x := hex.EncodeToString([]byte(v))
		r.encoded = append(r.encoded, x, strings.ToUpper(x))
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		r.encoded = append(r.encoded, enc.EncodeToString([]byte(v)))
		r.encoded = append(r.encoded, inBase64(enc, v)...)
	}
}

// inBase64 returns what a value looks like in the middle of something that is
// encoded as a whole. Where it begins in a group of three bytes makes three
// forms, without the characters that depend on what is beside it.
func inBase64(enc *base64.Encoding, v string) []string {
	var forms []string
	for before := range 3 {
		coded := enc.EncodeToString(append(make([]byte, before), v...))
		first := (before*8 + 5) / 6
		last := (before + len(v)) * 8 / 6
		if last-first >= minFragment {
			forms = append(forms, coded[first:last])
		}
	}
	return forms
}

// Text replaces the values in s.
func (r *Redactor) Text(s string) string {
	if r == nil {
		return s
	}
	for _, w := range r.writings() {
		s = w.mask(s)
	}
	for _, f := range r.forms {
		s = strings.ReplaceAll(s, f, Mask)
	}
	return s
}

// mask replaces the forms that are written like that.
func (w *writing) mask(s string) string {
	if !strings.ContainsAny(s, w.signs) {
		return s
	}
	v := w.view.look(s)
	for _, f := range w.forms {
		found := v.find(f, w.most(len(f)))
		if len(found) == 0 {
			continue
		}
		var masked strings.Builder
		from := 0
		for _, at := range found {
			masked.WriteString(s[from:at.begin])
			masked.WriteString(Mask)
			from = at.end
		}
		masked.WriteString(s[from:])
		s = masked.String()
		v = w.view.look(s)
	}
	return s
}

// Bytes is Text for bytes. It may return b itself.
func (r *Redactor) Bytes(b []byte) []byte {
	if r == nil || len(r.forms) == 0 {
		return b
	}
	return []byte(r.Text(string(b)))
}

// JSON replaces the values in the strings, names and numbers of data, which must
// be JSON and stays JSON: a number that has a value in it becomes the string
// [Mask]. Without values it returns data itself.
func (r *Redactor) JSON(data []byte) ([]byte, error) {
	if r == nil || len(r.forms) == 0 {
		return data, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("replace secrets: %w", err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.value(v)); err != nil {
		return nil, fmt.Errorf("replace secrets: %w", err)
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}

func (r *Redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case json.Number:
		if s := r.Text(v.String()); s != v.String() {
			return Mask
		}
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		named := make(map[string]any, len(v))
		for name, e := range v {
			named[r.Text(name)] = r.value(e)
		}
		return named
	}
	return v
}

// Writer returns a writer that passes on what is written to it, with the values
// replaced, also those that come in pieces. It holds back the last bytes, which
// might begin a value, until Close; a value that was begun and not finished then
// is replaced too.
func (r *Redactor) Writer(to io.Writer) io.WriteCloser { return &writer{r: r, to: to} }

// slack is how much a writer collects before it looks, besides what it must.
const slack = 4 << 10

type writer struct {
	r    *Redactor
	to   io.Writer
	held []byte
}

func (w *writer) Write(b []byte) (int, error) {
	if w.r == nil || w.r.longest == 0 {
		return w.to.Write(b)
	}
	w.held = append(w.held, b...)
	if len(w.held) < 2*w.r.longest+slack {
		return len(b), nil
	}
	cut := w.r.cut(w.held)
	_, err := w.to.Write(w.r.Bytes(w.held[:cut]))
	w.held = append(w.held[:0], w.held[cut:]...)
	return len(b), err
}

// cut returns how much of b can be passed on: no value begins before and ends
// behind it, however b goes on.
func (r *Redactor) cut(b []byte) int {
	cut := len(b) - r.longest
	for again := true; again; {
		again = false
		for _, f := range r.forms {
			from := max(cut-len(f)+1, 0)
			if i := bytes.Index(b[from:min(cut+len(f)-1, len(b))], []byte(f)); i >= 0 {
				cut, again = from+i, true
			}
		}
		for _, w := range r.writings() {
			if at := w.across(b, cut); at < cut {
				cut, again = at, true
			}
		}
	}
	return cut
}

// across returns where the first form that cut would cut in two begins, or cut.
func (w *writing) across(b []byte, cut int) int {
	if len(w.forms) == 0 {
		return cut
	}
	most := w.most(len(w.forms[0]))
	from := max(cut-most+1, 0)
	for from > 0 && b[from-1] == '\\' {
		from-- // what is behind it may belong to it
	}
	window := string(b[from:min(cut+most-1, len(b))])
	if !strings.ContainsAny(window, w.signs) {
		return cut
	}
	v := w.view.look(window)
	first := cut
	for _, f := range w.forms {
		for _, at := range v.find(f, w.most(len(f))) {
			if from+at.begin < first && from+at.end > cut {
				first = from + at.begin
			}
		}
	}
	return first
}

// Close passes on what was held back.
func (w *writer) Close() error {
	held := string(w.held)
	w.held = nil
	if w.r != nil {
		held = w.r.beheaded(w.r.Text(held))
	}
	_, err := io.WriteString(w.to, held)
	return err
}

// beheaded replaces the beginning of a value at the end of s.
func (r *Redactor) beheaded(s string) string {
	begin := len(s) - begun(s, r.forms)
	for _, w := range r.writings() {
		if len(w.forms) == 0 || !strings.ContainsAny(s, w.signs) {
			continue
		}
		v := w.view.look(s)
		if n := begun(v.text, w.forms); n > 0 {
			begin = min(begin, v.begin[len(v.text)-n])
		}
	}
	if begin == len(s) {
		return s
	}
	return s[:begin] + Mask
}

// begun returns how many bytes at the end of s begin one of the forms, which are
// sorted, the longest first; zero for less than [MinLength].
func begun(s string, forms []string) int {
	if len(forms) == 0 {
		return 0
	}
	for n := min(len(forms[0])-1, len(s)); n >= MinLength; n-- {
		end := s[len(s)-n:]
		if slices.ContainsFunc(forms, func(f string) bool { return strings.HasPrefix(f, end) }) {
			return n
		}
	}
	return 0
}
