package flowfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/nearest"
)

// reader reads the nodes of one file. Its methods report what is wrong and go
// on with what there is.
type reader struct {
	problems
	src         *source
	expressions int // how many there are
}

func at(n *yaml.Node) place { return place{n.Line, n.Column} }

// deref returns what an alias stands for.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) > 0 && strings.Contains(n.Content[0].Value, "${{") {
			return "a mapping, which the colon in it makes of it; put the whole value in quotes"
		}
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	}
	return quote(n.Value)
}

// field is a key of a mapping with its value.
type field struct {
	name  string
	key   *yaml.Node
	value *yaml.Node // no alias
}

// mapping returns the fields of a mapping in their order, those without
// problems. What is what messages call it.
func (r *reader) mapping(n *yaml.Node, what string) ([]field, bool) {
	n = deref(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		r.add(at(n), "%s is empty; it must be a mapping (key: value)", what)
		return nil, false
	}
	if n.Kind != yaml.MappingNode {
		r.add(at(n), "%s must be a mapping (key: value), not %s", what, describe(n))
		return nil, false
	}
	var fields []field
	first := map[string]place{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), deref(n.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode:
			r.add(at(n.Content[i]), "a key in %s must be text, not %s", what, describe(key))
			continue
		case key.ShortTag() == "!!merge":
			r.add(at(n.Content[i]), "merge keys (<<) are not supported; repeat the keys, or use an alias for a whole value")
			continue
		case strings.Contains(key.Value, "${{"):
			r.add(at(n.Content[i]), "a key cannot have an expression in it; only values can")
			continue
		}
		if before, dup := first[key.Value]; dup {
			r.add(at(n.Content[i]), "%s is in %s twice, first in line %d; remove one", key.Value, what, before.line)
			continue
		}
		first[key.Value] = at(n.Content[i])
		fields = append(fields, field{key.Value, n.Content[i], value})
	}
	return fields, true
}

// object is mapping for one whose keys are fixed.
func (r *reader) object(n *yaml.Node, what string, keys []string) (map[string]field, bool) {
	fields, ok := r.mapping(n, what)
	if !ok {
		return nil, false
	}
	byName := make(map[string]field, len(fields))
	for _, f := range fields {
		if !slices.Contains(keys, f.name) {
			if other, ok := synonyms[f.name]; ok && slices.Contains(keys, other) {
				r.add(at(f.key), "%s has no key %s; did you mean %s?", what, quote(f.name), other)
				continue
			}
			r.add(at(f.key), "%s has no key %s%s", what, quote(f.name), suggest(f.name, keys, "it has "))
			continue
		}
		byName[f.name] = f
	}
	return byName, true
}

// synonyms are what other tools call keys that files have.
var synonyms = map[string]string{
	"name": "workflow", "jobs": "tasks", "steps": "tasks", "vars": "inputs", "parameters": "inputs",
	"command": "run", "cmd": "run", "script": "run", "shell": "run", "environment": "env",
	"cwd": "dir", "working-directory": "dir", "working_directory": "dir",
	"depends_on": "needs", "depends-on": "needs", "dependencies": "needs", "after": "needs",
	"when": "if", "condition": "if", "foreach": "for_each", "matrix": "for_each", "withItems": "for_each", "with_items": "for_each",
	"concurrency": "parallel", "max-parallel": "parallel", "parallelism": "parallel",
	"retries": "retry", "retryStrategy": "retry", "timeout-minutes": "timeout", "timeout_seconds": "timeout", "activeDeadlineSeconds": "timeout",
	"limit": "attempts", "max_attempts": "attempts", "delay": "backoff", "interval": "backoff", "non_retryable": "except",
	"uri": "url", "json": "body", "data": "body", "status": "expect", "expected_status": "expect", "output": "outputs",
}

// suggest ends a message about an unknown name.
func suggest(name string, known []string, otherwise string) string {
	if near, ok := nearest.Likely(name, known...); ok {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	if len(known) == 0 {
		return ""
	}
	return "; " + otherwise + strings.Join(known, ", ")
}

// list returns the elements of a list.
func (r *reader) list(n *yaml.Node, what string) ([]*yaml.Node, bool) {
	if n.Kind != yaml.SequenceNode {
		r.add(at(n), "%s must be a list, not %s", what, describe(n))
		return nil, false
	}
	elems := make([]*yaml.Node, len(n.Content))
	for i, elem := range n.Content {
		elems[i] = deref(elem)
	}
	return elems, true
}

// isText reports whether n is a scalar that reads as text. What looks like a
// date is text here.
func isText(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp")
}

// text returns a text without expressions.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if !isText(n) {
		way := ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
			way = "; put it in quotes"
		}
		r.add(at(n), "%s must be text, not %s%s", what, describe(n), way)
		return "", false
	}
	if i := strings.Index(n.Value, "${{"); i >= 0 {
		r.add(r.src.inside(n, i), "%s cannot have an expression in it", what)
		return "", false
	}
	return n.Value, true
}

// name returns a text that is a name by the rules of package grapnel.
func (r *reader) name(n *yaml.Node, what string) string {
	s, ok := r.text(n, what)
	if !ok {
		return ""
	}
	if grapnel.ValidateName(what, s) != nil {
		r.add(at(n), "%s cannot be %s; it is 1 to %d characters of A-Z a-z 0-9 . _ and -", what, quote(s), grapnel.MaxName)
		return ""
	}
	return s
}

// maxIdentifier is the longest name of a task, input or the like, in bytes.
const maxIdentifier = 100

// identifier reports whether the name in a key can be used in expressions.
func (r *reader) identifier(key *yaml.Node, what string) bool {
	name := deref(key).Value
	ok := name != "" && len(name) <= maxIdentifier
	for i, c := range []byte(name) {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		ok = ok && (letter || i > 0 && (c == '-' || c >= '0' && c <= '9'))
	}
	if !ok {
		r.add(at(key), "%s cannot be named %s; a name begins with a letter or _, goes on with letters, digits, _ and -, and has at most %d characters",
			what, quote(name), maxIdentifier)
	}
	return ok
}

// integer returns a whole number from low to high.
func (r *reader) integer(n *yaml.Node, what string, low, high int) (int, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if i, err := strconv.Atoi(n.Value); err == nil && i >= low && i <= high {
			return i, true
		}
	}
	r.add(at(n), "%s must be a whole number from %d to %d, not %s", what, low, high, describe(n))
	return 0, false
}

// float returns a number from low to high.
func (r *reader) float(n *yaml.Node, what string, low, high float64) float64 {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f >= low && f <= high {
			return f
		}
	}
	r.add(at(n), "%s must be a number from %v to %v, not %s", what, low, high, describe(n))
	return 0
}

// boolean returns true or false.
func (r *reader) boolean(n *yaml.Node, what string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true"), true
	}
	r.add(at(n), "%s must be true or false, not %s", what, describe(n))
	return false, false
}

// duration returns a time span of more than nothing.
func (r *reader) duration(n *yaml.Node, what string) time.Duration {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		r.add(at(n), "%s needs a unit: write %ss for seconds, or another of ms, s, m and h", what, n.Value)
		return 0
	}
	s, ok := r.text(n, what)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		r.add(at(n), "%s cannot be %s; it is a number with a unit, such as 500ms, 30s, 5m or 1h30m", what, quote(s))
		return 0
	case d <= 0:
		r.add(at(n), "%s must be more than nothing; leave it out for no limit", what)
		return 0
	}
	return d
}
