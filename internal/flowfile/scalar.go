package flowfile

import (
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// inside returns where in the file the byte at offset of a scalar's value is.
// Where quotes, escapes and folded lines leave doubt, it is where the scalar
// begins.
func (s *source) inside(n *yaml.Node, offset int) place {
	begin := place{n.Line, n.Column}
	if n.Kind != yaml.ScalarNode {
		return begin
	}
	if s.aligned == nil || s.scalar != n {
		a := aligner{src: s.text, value: n.Value, style: n.Style}
		s.scalar, s.aligned = n, &a
		s.found = a.align(s.index(begin))
	}
	a := s.aligned
	if !s.found {
		return begin
	}
	switch {
	case offset < len(a.at):
		return s.place(a.at[max(offset, 0)])
	case len(a.at) > 0:
		// Behind the last character, but not beyond its line.
		last := a.at[len(a.at)-1]
		if s.text[last] == '\n' {
			return s.place(last)
		}
		_, size := utf8.DecodeRuneInString(s.text[last:])
		return s.place(last + size)
	}
	return begin
}

// aligner finds for each byte of a scalar's value the byte of the file that it
// was made of. It is guided by the value, so that it needs to know little of how
// lines are folded.
type aligner struct {
	src, value string
	style      yaml.Style
	i          int   // in src
	at         []int // by byte of value
	indent     int   // of a block
}

func (a *aligner) align(start int) bool {
	a.i = start
	a.properties()
	block := a.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case block:
		if !a.blockHeader() {
			return false
		}
	case a.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		a.i++ // the quote
	}
	for len(a.at) < len(a.value) {
		if a.i >= len(a.src) || !a.step() {
			return false
		}
	}
	return true
}

// properties skips an anchor and a tag.
func (a *aligner) properties() {
	for a.i < len(a.src) && (a.src[a.i] == '&' || a.src[a.i] == '!') {
		a.i += len(a.src[a.i:]) - len(strings.TrimLeft(a.src[a.i:], "&!"+tokenChars))
		a.i += len(a.src[a.i:]) - len(strings.TrimLeft(a.src[a.i:], " \t"))
	}
}

const tokenChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:%<>"

// blockHeader skips the first line of a block and finds its indentation.
func (a *aligner) blockHeader() bool {
	end := strings.IndexByte(a.src[a.i:], '\n')
	if end < 0 {
		return false
	}
	if strings.ContainsAny(strings.SplitN(a.src[a.i:a.i+end], "#", 2)[0], "123456789") {
		return false // indentation by number: rare
	}
	a.i += end + 1
	for rest := a.src[a.i:]; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		text := strings.TrimLeft(line, " ")
		if strings.TrimSuffix(text, "\r") != "" {
			a.indent = len(line) - len(text)
			break
		}
		rest = after
	}
	a.dedent()
	return true
}

// dedent skips the indentation of a block's line.
func (a *aligner) dedent() {
	for n := 0; n < a.indent && a.i < len(a.src) && a.src[a.i] == ' '; n++ {
		a.i++
	}
}

// step matches one thing.
func (a *aligner) step() bool {
	want := a.value[len(a.at)]
	c := a.src[a.i]
	switch {
	case a.style&yaml.DoubleQuotedStyle != 0 && c == '\\':
		return a.escape()
	case a.style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(a.src[a.i:], "''"):
		return want == '\'' && a.take(1, 2)
	case a.style&yaml.LiteralStyle != 0:
		if c == '\r' && strings.HasPrefix(a.src[a.i:], "\r\n") {
			a.i++
			c = '\n'
		}
		if c != want || !a.take(1, 1) {
			return false
		}
		if c == '\n' {
			a.dedent()
		}
		return true
	case a.breakAhead():
		return a.fold()
	}
	return c == want && a.take(1, 1)
}

// take matches n bytes of the value with size bytes of the source.
func (a *aligner) take(n, size int) bool {
	for range n {
		a.at = append(a.at, a.i)
	}
	a.i += size
	return true
}

// breakAhead reports whether the line ends here, but for white space that goes
// with its end. In a folded block white space stays.
func (a *aligner) breakAhead() bool {
	space := " \t\r"
	if a.style&yaml.FoldedStyle != 0 {
		space = "\r"
	}
	return strings.HasPrefix(strings.TrimLeft(a.src[a.i:], space), "\n")
}

// blankAhead reports whether nothing but white space is left of the line.
func (a *aligner) blankAhead() bool {
	return strings.HasPrefix(strings.TrimLeft(a.src[a.i:], " \t\r"), "\n")
}

// fold matches the end of a line, and empty lines behind it, with the space or
// line breaks that they became.
func (a *aligner) fold() bool {
	begin := len(a.at)
	if a.value[begin] == ' ' {
		a.take(1, 0)
	}
	for len(a.at) < len(a.value) && a.value[begin] == '\n' && a.value[len(a.at)] == '\n' {
		a.take(1, 0)
	}
	if len(a.at) == begin {
		return false
	}
	a.i += strings.IndexByte(a.src[a.i:], '\n') + 1
	if a.style&yaml.FoldedStyle == 0 {
		a.i += len(a.src[a.i:]) - len(strings.TrimLeft(a.src[a.i:], " \t\r\n"))
		return true
	}
	for a.blankAhead() {
		a.i += strings.IndexByte(a.src[a.i:], '\n') + 1
	}
	a.dedent()
	return true
}

// escape matches an escape in double quotes.
func (a *aligner) escape() bool {
	rest := a.src[a.i:]
	if len(rest) < 2 {
		return false
	}
	size := 2
	switch rest[1] {
	case 'x':
		size = 4
	case 'u':
		size = 6
	case 'U':
		size = 10
	case '\n', '\r': // the line goes on
		a.i++
		a.i += len(a.src[a.i:]) - len(strings.TrimLeft(a.src[a.i:], " \t\r\n"))
		return true
	}
	if len(rest) < size {
		return false
	}
	// Whatever it stands for is one character.
	_, n := utf8.DecodeRuneInString(a.value[len(a.at):])
	return a.take(n, size)
}
