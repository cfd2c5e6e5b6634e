package flowfile

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/grapnel-dev/grapnel/internal/celexpr"
)

// json returns a constant as JSON.
func (v *value) json() []byte {
	switch v.kind {
	case literal:
		return []byte(v.text)
	case list, mapping:
		var out bytes.Buffer
		begin, end := byte('['), byte(']')
		if v.kind == mapping {
			begin, end = '{', '}'
		}
		out.WriteByte(begin)
		for i, elem := range v.list {
			if i > 0 {
				out.WriteByte(',')
			}
			if v.kind == mapping {
				out.Write(jsonText(v.keys[i]))
				out.WriteByte(':')
			}
			out.Write(elem.json())
		}
		out.WriteByte(end)
		return out.Bytes()
	}
	return jsonText(v.text)
}

func jsonText(s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // texts of a file are UTF-8, so they can be encoded
		return []byte(`""`)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// cel returns the value as an expression.
func (v *value) cel() string {
	switch v.kind {
	case literal:
		if u, err := strconv.ParseUint(v.text, 10, 64); err == nil && u > 1<<63-1 {
			return v.text + "u"
		}
		return v.text
	case plain:
		return strconv.Quote(v.text)
	case list:
		elems := make([]string, len(v.list))
		for i, elem := range v.list {
			elems[i] = elem.cel()
		}
		return "[" + strings.Join(elems, ", ") + "]"
	case mapping:
		elems := make([]string, len(v.list))
		for i, elem := range v.list {
			elems[i] = strconv.Quote(v.keys[i]) + ": " + elem.cel()
		}
		return "{" + strings.Join(elems, ", ") + "}"
	}
	if e, ok := v.single(false); ok && !v.words {
		return e.cel()
	}
	return v.celText()
}

// maxSum is how many texts are joined with +: the language limits how deeply
// operators may be nested.
const maxSum = 20

// celText returns a text with expressions as an expression that makes a text.
func (v *value) celText() string {
	terms := make([]string, len(v.parts))
	for i, p := range v.parts {
		switch {
		case p.expr == nil:
			terms[i] = strconv.Quote(p.text)
		case p.expr.checked != nil && p.expr.checked.Type.Kind == celexpr.KindString:
			terms[i] = p.expr.cel()
		default:
			terms[i] = "text" + p.expr.cel()
		}
	}
	if len(terms) > maxSum {
		return "[" + strings.Join(terms, ", ") + "].join()"
	}
	return strings.Join(terms, " + ")
}

// cel returns the expression in parentheses.
func (e *expression) cel() string {
	source := strings.TrimSpace(e.source)
	if strings.Contains(source, "//") {
		source += "\n" // it may end in a comment
	}
	return "(" + source + ")"
}
