package tui

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Clean makes a text from outside fit for one line: control characters become
// spaces, runs of white space one space, and what is not printed is left out.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200d': // a joiner is part of emojis
			return -1
		case r == unicode.ReplacementChar:
			return '?'
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// Width returns how many cells of a terminal a text takes; colours take none.
func Width(s string) int { return ansi.StringWidth(s) }

// Fit cuts a text off at width cells and marks that with an ellipsis. Colours
// survive.
func (t Theme) Fit(s string, width int) string {
	if width <= 0 {
		return ""
	}
	mark := "…"
	if t.ASCII {
		mark = strings.Repeat(".", min(2, width))
	}
	return ansi.Truncate(s, width, mark)
}

// fitMiddle is Fit that keeps the beginning and, if there is room for it, a
// third of the width from the end. The text has no colours.
func (t Theme) fitMiddle(s string, width int) string {
	tail := width / 3
	if Width(s) <= width || tail < 3 {
		return t.Fit(s, width)
	}
	end := ansi.TruncateLeft(s, Width(s)-tail, "")
	return t.Fit(s, width-Width(end)) + end
}

// Pad fits a text and fills it up to width cells.
func (t Theme) Pad(s string, width int) string {
	s = t.Fit(s, width)
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}

// padLeft is Pad with the filling before the text.
func (t Theme) padLeft(s string, width int) string {
	s = t.Fit(s, width)
	return strings.Repeat(" ", max(0, width-Width(s))) + s
}

// Elapsed shows a duration in at most six cells or so: 0.3s, 12s, 3m05s, 2h07m,
// 3d04h. A negative one, as clocks that differ make it, counts as none.
func Elapsed(d time.Duration) string {
	d = max(d, 0)
	s := int64(d / time.Second)
	switch {
	case s < 10:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/(24*3600), s/3600%24)
}

// wrap breaks a clean text at spaces into at most most lines of a width; the
// last one is cut off if there is more.
func (t Theme) wrap(s string, width, most int) []string {
	var lines []string
	for s != "" && len(lines) < most {
		if len(lines)+1 == most || Width(s) <= width {
			return append(lines, t.Fit(s, width))
		}
		line := ansi.Truncate(s, width, "")
		if at := strings.LastIndexByte(line, ' '); at > width/3 && s[len(line)] != ' ' {
			line = line[:at]
		}
		if line == "" {
			return append(lines, t.Fit(s, width))
		}
		lines = append(lines, strings.TrimRight(line, " "))
		s = strings.TrimLeft(s[len(line):], " ")
	}
	return lines
}
