package flowfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
)

// maxProblems is how many problems of one file are told; the others are only
// counted.
const maxProblems = 100

// Problem is something that is wrong in a file.
type Problem struct {
	// File is the name that the file was given by.
	File string
	// Line and Column are where, in characters and from 1; zero for the file as
	// a whole.
	Line, Column int
	// Message says what is wrong and what to do about it.
	Message string
}

// Error returns "file:line:column: message".
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Errors are all problems of a file, in the order of their places. It wraps
// [grapnel.ErrInvalid].
type Errors struct {
	Problems []*Problem
	// More is how many problems there are besides.
	More int
}

// Error returns the problems, each on a line of its own.
func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more problems", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns [grapnel.ErrInvalid].
func (e *Errors) Unwrap() error { return grapnel.ErrInvalid }

// problems collects the problems of one file.
type problems struct {
	file  string
	found []*Problem
	more  int // problems, or values with more of them, that were not looked at
}

// maxFound is how many problems are looked for.
const maxFound = 10 * maxProblems

// full reports whether there is no need to look for more.
func (p *problems) full() bool { return len(p.found) >= maxFound }

func (p *problems) add(at place, format string, args ...any) {
	p.found = append(p.found, &Problem{File: p.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)})
}

// err returns the problems as an *[Errors], or nil if there are none.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	list := slices.Clone(p.found)
	slices.SortStableFunc(list, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list = slices.CompactFunc(list, func(a, b *Problem) bool { return *a == *b })
	e := &Errors{Problems: list, More: p.more}
	if len(list) > maxProblems {
		e.Problems, e.More = list[:maxProblems], p.more+len(list)-maxProblems
	}
	return e
}

// quote quotes s for a message, shortened if it is long.
func quote(s string) string {
	const most = 60
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}
