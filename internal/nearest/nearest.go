// Package nearest finds what a misspelt name may have meant.
package nearest

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxCompared bounds the comparisons made for the messages about one file.
	maxCompared = 1 << 18
	// maxComparedLen is the longest text, in bytes, that is compared.
	maxComparedLen = 200
)

// Speller knows the names that are right. It bounds the work done for all the
// misspelt ones it is asked about.
type Speller struct {
	known    []string
	compared int
}

// New returns a speller that knows these names. The zero Speller knows none.
func New(known ...string) *Speller { return &Speller{known: slices.Clone(known)} }

// Add makes the speller know another name.
func (sp *Speller) Add(name string) { sp.known = append(sp.known, name) }

// Nearest returns the known text that takes the fewest insertions, deletions
// and replacements of characters to make of s, the first of several. It is not
// ok if that takes more than a third of s, or too many texts were compared.
func (sp *Speller) Nearest(s string) (best string, ok bool) {
	if len(s) > maxComparedLen {
		return "", false
	}
	want := []rune(s)
	within := max(2, len(want)/3) + 1 // better than this
	for _, k := range sp.known {
		if len(k) > maxComparedLen || abs(utf8.RuneCountInString(k)-len(want)) >= within {
			continue
		}
		if sp.compared++; sp.compared > maxCompared {
			return "", false
		}
		if d := distance(want, []rune(k), within); d < within {
			best, ok, within = k, true, d
		}
	}
	return best, ok
}

// distance returns the edit distance of a and b, or some number of at least
// limit if it is not below limit.
func distance(a, b []rune, limit int) int {
	row := make([]int, len(b)+1) // distances of a[:i] and each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		least := row[0]
		for j := range b {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
			least = min(least, row[j+1])
		}
		if least >= limit {
			return least
		}
	}
	return row[len(b)]
}

func abs(n int) int { return max(n, -n) }

// Likely is Nearest for messages to people: of a short name that begins with
// another letter, nothing is near enough to be worth naming.
func Likely(s string, known ...string) (best string, ok bool) {
	const short = 5
	best, ok = New(known...).Nearest(s)
	if !ok || s == "" || best == "" {
		return "", false
	}
	if utf8.RuneCountInString(s) < short && !strings.EqualFold(s[:1], best[:1]) {
		return "", false
	}
	return best, true
}
