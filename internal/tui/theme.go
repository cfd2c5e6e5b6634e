package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Theme says what lines may be made of. The zero Theme is without colours.
type Theme struct {
	// Color allows colours.
	Color bool
	// ASCII forbids characters beyond ASCII, beside those of texts.
	ASCII bool
}

// tone is what a colour means.
type tone int

const (
	plain tone = iota
	title
	dim
	good
	busy
	bad
	waiting
)

var tones = map[tone]ansi.Style{
	title:   ansi.NewStyle().Bold(),
	dim:     ansi.NewStyle().ForegroundColor(ansi.BrightBlack),
	good:    ansi.NewStyle().ForegroundColor(ansi.Green),
	busy:    ansi.NewStyle().ForegroundColor(ansi.Yellow),
	bad:     ansi.NewStyle().ForegroundColor(ansi.Red),
	waiting: ansi.NewStyle().ForegroundColor(ansi.Cyan),
}

func (t Theme) paint(as tone, s string) string {
	style, ok := tones[as]
	if !t.Color || !ok || s == "" {
		return s
	}
	return style.Styled(s)
}

// toneOf returns the tone of a state of runs and nodes, which is busy for those
// that are not known.
func toneOf(state string) tone {
	switch state {
	case "completed":
		return good
	case "failed", "timed-out":
		return bad
	case "cancelled", "skipped", "pending":
		return dim
	case "available", "waiting":
		return waiting
	}
	return busy
}

// State paints the name of a state of a run or node.
func (t Theme) State(state string) string { return t.paint(toneOf(state), Clean(state)) }

// Heading is the line above a block.
func (t Theme) Heading(s string) string { return t.paint(title, s) }

// between puts two texts at the ends of a line, or cuts the left one off.
func (t Theme) between(left, right string, width int) string {
	right = t.Fit(right, width)
	room := width - Width(right) - 2
	if room < 8 {
		return t.Fit(left, width)
	}
	left = t.Fit(left, room)
	return left + strings.Repeat(" ", width-Width(left)-Width(right)) + right
}

// dot separates small texts in a line.
func (t Theme) dot() string {
	if t.ASCII {
		return ", "
	}
	return " · "
}
