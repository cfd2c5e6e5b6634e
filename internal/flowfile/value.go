package flowfile

import (
	"encoding/json"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/internal/celexpr"
)

// value is a value of a file, which may have expressions in it.
type value struct {
	node *yaml.Node // for its place; nil for what is not in the file
	kind valueKind
	// text is the JSON of a literal, and the text of a text without expressions.
	text string
	// parts are those of a text with expressions.
	parts []part
	// list are the elements of a list, or the values of a map by keys.
	list []*value
	keys []string
	// words is set where a text is wanted, whatever the type of an expression.
	words bool
}

type valueKind uint8

const (
	literal valueKind = iota // null, a bool or a number
	plain                    // text
	mixed                    // text with expressions
	list
	mapping
)

// part is a piece of a text: text, or an expression.
type part struct {
	text string
	expr *expression
}

// expression is one ${{ … }}.
type expression struct {
	source string
	// node is the text that it is in, and start where in that text.
	node  *yaml.Node
	start int
	// checked is nil if something is wrong with it.
	checked *celexpr.Checked
}

func plainText(s string) *value { return &value{kind: plain, text: s} }

// single returns the expression that is all of the value, but for white space
// around it if trim is set.
func (v *value) single(trim bool) (*expression, bool) {
	if v.kind != mixed {
		return nil, false
	}
	var found *expression
	for _, p := range v.parts {
		switch {
		case p.expr != nil && found == nil:
			found = p.expr
		case p.expr != nil, !trim, strings.TrimSpace(p.text) != "":
			return nil, false
		}
	}
	return found, found != nil
}

// trimmed returns a value without the white space around its one expression.
func (v *value) trimmed() *value {
	if e, ok := v.single(true); ok {
		v.parts = []part{{expr: e}}
	}
	return v
}

// expressions calls visit for each expression in the value.
func (v *value) expressions(visit func(*expression)) {
	if v == nil {
		return
	}
	for _, p := range v.parts {
		if p.expr != nil {
			visit(p.expr)
		}
	}
	for _, elem := range v.list {
		elem.expressions(visit)
	}
}

// constant reports whether there is no expression in the value.
func (v *value) constant() bool {
	constant := true
	v.expressions(func(*expression) { constant = false })
	return constant
}

// any reads a value of any shape.
func (r *reader) any(n *yaml.Node, what string) *value {
	switch n.Kind {
	case yaml.SequenceNode:
		v := &value{node: n, kind: list}
		for _, elem := range n.Content {
			v.list = append(v.list, r.any(deref(elem), "an element of "+what))
		}
		return v
	case yaml.MappingNode:
		v := &value{node: n, kind: mapping}
		fields, _ := r.mapping(n, what)
		for _, f := range fields {
			v.keys = append(v.keys, f.name)
			v.list = append(v.list, r.any(f.value, f.name))
		}
		return v
	}
	if isText(n) {
		return r.template(n)
	}
	text := "null"
	switch n.ShortTag() {
	case "!!null":
	case "!!bool":
		text = strings.ToLower(n.Value)
	case "!!int":
		text = r.number(n, what)
	case "!!float":
		text = r.number(n, what)
	default:
		r.add(at(n), "%s has the tag %s, which means nothing here; leave the tag out", what, n.ShortTag())
	}
	return &value{node: n, kind: literal, text: text}
}

// number returns a number as JSON.
func (r *reader) number(n *yaml.Node, what string) string {
	text := strings.TrimPrefix(n.Value, "+")
	if json.Valid([]byte(text)) {
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return text
		}
		if _, err := strconv.ParseUint(text, 10, 64); err == nil {
			return text
		}
		if _, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, ".eE") {
			return text
		}
		r.add(at(n), "%s %s does not fit into 64 bits; put it in quotes to keep it as text", what, quote(n.Value))
		return "null"
	}
	r.add(at(n), "%s cannot be the number %s; write it in decimal digits, or put it in quotes if it is text", what, n.Value)
	return "null"
}

// words reads a value that is used as text: text with expressions, or a number
// or bool, which count as they are written.
func (r *reader) words(n *yaml.Node, what string) *value {
	switch {
	case isText(n):
		if i := strings.IndexByte(n.Value, 0); i >= 0 {
			r.add(r.src.inside(n, i), "%s has a zero byte in it", what)
		}
		v := r.template(n)
		v.words = true
		return v
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		return &value{node: n, kind: plain, text: n.Value}
	case n.Kind == yaml.ScalarNode:
		r.add(at(n), "%s is empty; write \"\" for an empty text", what)
	default:
		r.add(at(n), "%s must be text, not %s", what, describe(n))
	}
	return &value{node: n, kind: plain}
}

// maxExpressions is how many expressions a file may have.
const maxExpressions = 10_000

// template splits a text into its parts.
func (r *reader) template(n *yaml.Node) *value {
	text := n.Value
	if !strings.Contains(text, "${{") {
		return &value{node: n, kind: plain, text: text}
	}
	v := &value{node: n, kind: mixed}
	for done := 0; done < len(text); {
		i := strings.Index(text[done:], "${{")
		if i < 0 {
			v.parts = append(v.parts, part{text: text[done:]})
			break
		}
		if i > 0 {
			v.parts = append(v.parts, part{text: text[done : done+i]})
		}
		begin := done + i + len("${{")
		end := closing(text[begin:])
		if end < 0 {
			r.add(r.src.inside(n, done+i), "${{ without }}; close the expression")
			return &value{node: n, kind: plain}
		}
		if r.expressions++; r.expressions == maxExpressions+1 {
			r.add(r.src.inside(n, done+i), "the file has more than %d expressions; split the workflow", maxExpressions)
		}
		if r.expressions > maxExpressions {
			return &value{node: n, kind: plain}
		}
		v.parts = append(v.parts, part{expr: &expression{source: text[begin : begin+end], node: n, start: begin}})
		done = begin + end + len("}}")
	}
	return v
}

// bare makes an expression of a text without ${{ }}.
func bare(n *yaml.Node) *value {
	return &value{node: n, kind: mixed, parts: []part{{expr: &expression{source: n.Value, node: n}}}}
}

// closing returns where the }} is that ends an expression, or -1. Those in texts
// and comments, and those that close maps, don't.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		rest := s[i:]
		switch {
		case depth == 0 && strings.HasPrefix(rest, "}}"):
			return i
		case rest[0] == '{':
			depth++
		case rest[0] == '}':
			depth--
		case rest[0] == '"' || rest[0] == '\'':
			raw := i > 0 && s[i-1]|0x20 == 'r' || i > 1 && s[i-1]|0x20 == 'b' && s[i-2]|0x20 == 'r'
			n := quoted(rest, raw)
			if n < 0 {
				return strings.Index(s, "}}") // something is wrong with it; the checker will say what
			}
			i += n
			continue
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return strings.Index(s, "}}")
			}
			i += n
		}
		if depth < 0 {
			break
		}
		i++
	}
	return strings.Index(s, "}}")
}

// quoted returns how long the text in quotes is that s begins with, or -1.
func quoted(s string, raw bool) int {
	mark := s[:1]
	if strings.HasPrefix(s, strings.Repeat(mark, 3)) {
		mark = s[:3]
	}
	for i := len(mark); i < len(s); i++ {
		switch {
		case s[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(s[i:], mark):
			return i + len(mark)
		case s[i] == '\n' && len(mark) == 1:
			return -1
		}
	}
	return -1
}
