package flowfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// Limits of files.
const (
	// MaxFileSize is the largest file that is read, in bytes.
	MaxFileSize = 1 << 20
	// maxNodes is how many YAML nodes a file may have once its aliases are
	// replaced by what they stand for.
	maxNodes = 100_000
	// maxDepth is how deeply nodes may be nested.
	maxDepth = 50
)

// place is a place in a file, in characters and from 1.
type place struct{ line, column int }

// source is the text of a file.
type source struct {
	text   string
	starts []int // of lines, in bytes

	// The scalar whose inside was last asked for, and what was found out.
	scalar  *yaml.Node
	aligned *aligner
	found   bool
}

func newSource(text string) *source {
	s := &source{text: text, starts: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.starts = append(s.starts, i+1)
		}
	}
	return s
}

// place returns where the byte at i is.
func (s *source) place(i int) place {
	i = min(max(i, 0), len(s.text))
	line, found := slices.BinarySearch(s.starts, i)
	if !found {
		line--
	}
	return place{line + 1, utf8.RuneCountInString(s.text[s.starts[line]:i]) + 1}
}

// index returns which byte is at a place.
func (s *source) index(at place) int {
	if at.line < 1 || at.line > len(s.starts) {
		return len(s.text)
	}
	i := s.starts[at.line-1]
	for column := at.column; column > 1 && i < len(s.text); column-- {
		_, n := utf8.DecodeRuneInString(s.text[i:])
		i += n
	}
	return i
}

// line returns a line without its end.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.starts) {
		return ""
	}
	line, _, _ := strings.Cut(s.text[s.starts[n-1]:], "\n")
	return strings.TrimSuffix(line, "\r")
}

// readable checks that data can be read as YAML at all, and returns it without
// a byte order mark.
func readable(p *problems, data []byte) (*source, bool) {
	switch {
	case len(data) > MaxFileSize:
		p.add(place{}, "the file has %d bytes, at most %d are read; split the workflow", len(data), MaxFileSize)
		return nil, false
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		p.add(place{1, 1}, "the file is in UTF-16; save it in UTF-8")
		return nil, false
	}
	src := newSource(string(bytes.TrimPrefix(data, []byte("\ufeff"))))
	for i, r := range src.text {
		switch r {
		case utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(src.text[i:]); n == 1 {
				p.add(src.place(i), "byte %#x is not UTF-8; save the file in UTF-8", src.text[i])
				return nil, false
			}
		case '\r':
			if !strings.HasPrefix(src.text[i:], "\r\n") {
				p.add(src.place(i), "a carriage return without a newline; save the file with the line ends of Unix or Windows")
				return nil, false
			}
		case '\u0085', '\u2028', '\u2029':
			// YAML has them end a line, editors don't.
			p.add(src.place(i), "the line separator U+%04X; write it as \"\\u%04x\" in double quotes", r, r)
			return nil, false
		}
	}
	return src, true
}

// document parses the one YAML document of a file.
func (s *source) document(p *problems) (*yaml.Node, bool) {
	var docs []yaml.Node
	if err := yaml.Load([]byte(s.text), &docs, yaml.WithAllDocuments()); err != nil {
		s.syntax(p, err)
		return nil, false
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 {
		p.add(place{1, 1}, "the file is empty; a workflow begins with its name: \"workflow: NAME\"")
		return nil, false
	}
	if len(docs) > 1 {
		p.add(place{docs[1].Line, docs[1].Column}, "a second document begins here; a file holds one workflow, so put this one into a file of its own")
		return nil, false
	}
	root := docs[0].Content[0]
	x := expansion{problems: p, open: map[*yaml.Node]bool{}}
	return root, x.check(root, 1)
}

// expansion checks that a document is finite and of bearable size once its
// aliases are replaced.
type expansion struct {
	problems *problems
	nodes    int
	open     map[*yaml.Node]bool // anchored nodes that this one is in
}

func (x *expansion) check(n *yaml.Node, depth int) bool {
	x.nodes++
	at := place{n.Line, n.Column}
	switch {
	case x.nodes > maxNodes:
		x.problems.add(at, "the file has more than %d values once its aliases are replaced; write less of it with aliases", maxNodes)
		return false
	case depth > maxDepth:
		x.problems.add(at, "this is nested more than %d levels deep", maxDepth)
		return false
	}
	if n.Kind == yaml.AliasNode {
		if x.open[n.Alias] {
			x.problems.add(at, "*%s stands for something that it is itself a part of", n.Value)
			return false
		}
		return x.check(n.Alias, depth)
	}
	if n.Anchor != "" {
		x.open[n] = true
		defer delete(x.open, n)
	}
	for _, c := range n.Content {
		if !x.check(c, depth+1) {
			return false
		}
	}
	return true
}

// syntax reports why a text is no YAML.
func (s *source) syntax(p *problems, err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		p.add(place{1, 1}, "the file is not YAML: %v", err)
		return
	}
	at := place{e.Mark.Line, e.Mark.Column}
	if at.line < 1 {
		at = place{1, 1}
	}
	// Errors at the end of the text may be put behind it.
	at = s.place(s.index(at))
	line := s.line(at.line)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	rest := s.text[s.index(at):]
	switch {
	case strings.Contains(indent, "\t"):
		p.add(place{at.line, strings.IndexByte(indent, '\t') + 1}, "a tab cannot be part of the indentation; use spaces")
	case strings.Contains(e.Message, "mapping values are not allowed"):
		p.add(at, "there cannot be a colon followed by a space here; put a value that has one in quotes, and close each [ and { before it")
	case strings.HasPrefix(e.Message, "unknown anchor"):
		p.add(at, "no anchor before this is named %s", strings.TrimSuffix(strings.TrimPrefix(e.Message, "unknown anchor '"), "' referenced"))
	case strings.Contains(e.Message, "cannot start any token") && rest != "":
		p.add(at, "a value cannot begin with %s; put it in quotes", firstRune(rest))
	case strings.Contains(line, "${{") && !strings.Contains(e.ContextMsg, "quoted scalar"):
		p.add(at, "this is not YAML (%s); put the whole value with ${{ }} in quotes, as braces and colons have a meaning of their own in YAML", e.Message)
	default:
		text := "this is not YAML: " + e.Message
		if e.ContextMsg != "" {
			text += " " + e.ContextMsg
			if e.ContextMark.Line > 0 && e.ContextMark.Line != at.line {
				text += fmt.Sprintf(" that begins in line %d", e.ContextMark.Line)
			}
		}
		if strings.Contains(e.ContextMsg, "block") {
			text += "; see that everything that belongs together is indented alike"
		}
		p.add(at, "%s", text)
	}
}

func firstRune(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	return fmt.Sprintf("%q", string(r))
}
