package wfformat

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
)

// maxProblems is how many problems of one file are told apart; the others are
// only counted.
const maxProblems = 100

// Problem is something that is wrong in a file. It wraps [grapnel.ErrInvalid].
type Problem struct {
	// File is the name that was given to [Parse].
	File string
	// Place is the place in the JSON, such as
	// workflow.specification.tasks[3].parents[0], or "line 3, column 7" in what
	// is no JSON. It is empty for the file as a whole.
	Place string
	// Text says what is wrong there.
	Text string
}

// Error returns "file: place: text".
func (p Problem) Error() string {
	if p.Place == "" {
		return p.File + ": " + p.Text
	}
	return p.File + ": " + p.Place + ": " + p.Text
}

// Unwrap returns [grapnel.ErrInvalid].
func (p Problem) Unwrap() error { return grapnel.ErrInvalid }

// problems collects the problems of one file.
type problems struct {
	file string
	errs []error
	more int // problems beyond maxProblems
}

// full reports whether a further problem would only be counted.
func (p *problems) full() bool { return len(p.errs) >= maxProblems }

func (p *problems) add(place, format string, args ...any) {
	if p.full() {
		p.more++
		return
	}
	p.errs = append(p.errs, Problem{File: p.file, Place: place, Text: fmt.Sprintf(format, args...)})
}

// err joins the problems; nil if there are none.
func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.errs, Problem{File: p.file, Text: fmt.Sprintf("and %d more problems", p.more)})...)
	}
	return errors.Join(p.errs...)
}

// quote quotes s for a message, shortened if it is long.
func quote(s string) string {
	const most = 150
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%q... (%d bytes)", s[:cut], len(s))
}
