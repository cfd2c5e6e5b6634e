package tui

import (
	"slices"
	"strings"
)

// Column is a column of a [Table].
type Column struct {
	Title string
	// Right aligns cells to the right, as numbers should be.
	Right bool
	// Middle cuts text out of the middle rather than off the end: names that
	// begin alike differ in how they end.
	Middle bool
	// Min is the width to which a column with much text may shrink; zero means
	// that it doesn't shrink.
	Min int
	// Drop is from 1 on for columns that may be left out where there is no room;
	// those with the largest numbers go first.
	Drop int
}

const gutter = 2 // cells between columns

// Table returns a line of titles and one for each row, at most width cells wide.
// Columns that don't fit shrink, then are dropped; if that is not enough, lines
// are cut off. Cells may be painted, but have to be clean.
func (t Theme) Table(width int, columns []Column, rows [][]string) []string {
	natural := make([]int, len(columns))
	for i, c := range columns {
		natural[i] = Width(c.Title)
		for _, row := range rows {
			natural[i] = max(natural[i], Width(row[i]))
		}
	}
	widths, shown := layout(width, columns, natural)
	line := func(cells func(i int) string) string {
		var b strings.Builder
		for k, i := range shown {
			cell := cells(i)
			if columns[i].Middle {
				cell = t.fitMiddle(cell, widths[i])
			}
			switch {
			case columns[i].Right:
				cell = t.padLeft(cell, widths[i])
			case k+1 < len(shown):
				cell = t.Pad(cell, widths[i])
			default:
				cell = t.Fit(cell, widths[i])
			}
			if k > 0 {
				b.WriteString(strings.Repeat(" ", gutter))
			}
			b.WriteString(cell)
		}
		return t.Fit(strings.TrimRight(b.String(), " "), width)
	}
	lines := []string{t.paint(dim, line(func(i int) string { return columns[i].Title }))}
	for _, row := range rows {
		lines = append(lines, line(func(i int) string { return row[i] }))
	}
	return lines
}

// layout decides which columns are shown, and how wide.
func layout(width int, columns []Column, natural []int) (widths, shown []int) {
	for i := range columns {
		shown = append(shown, i)
	}
	for {
		least := gutter * (len(shown) - 1)
		for _, i := range shown {
			least += leastOf(columns[i], natural[i])
		}
		drop := -1
		for _, i := range shown {
			if columns[i].Drop > 0 && (drop < 0 || columns[i].Drop > columns[drop].Drop) {
				drop = i
			}
		}
		if least <= width || drop < 0 {
			break
		}
		shown = slices.DeleteFunc(shown, func(i int) bool { return i == drop })
	}
	widths = slices.Clone(natural)
	for {
		total, widest := gutter*(len(shown)-1), -1
		for _, i := range shown {
			total += widths[i]
			if widths[i] > leastOf(columns[i], natural[i]) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if total <= width || widest < 0 {
			return widths, shown
		}
		widths[widest]--
	}
}

func leastOf(c Column, natural int) int {
	if c.Min == 0 {
		return natural
	}
	return min(natural, max(c.Min, Width(c.Title)))
}
