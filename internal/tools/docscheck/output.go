package main

import (
	"fmt"
	"regexp"
	"strings"
)

// anything is what stands in a document for lines that are left out, or inside of
// a line for what is left out there.
const anything = "…"

// alike are the kinds of text in which an output may differ from the document.
type alike struct {
	times, hashes, numbers bool
}

func parseAlike(text string) (alike, error) {
	var a alike
	for word := range strings.FieldsSeq(text) {
		switch word {
		case "times":
			a.times = true
		case "hashes":
			a.hashes = true
		case "numbers":
			a.numbers = true
		default:
			return a, fmt.Errorf("docs-check: output: %q is none of times, hashes, numbers", word)
		}
	}
	return a, nil
}

var (
	ofTime   = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|\d\d:\d\d:\d\d(\.\d+)?|\b(\d+(\.\d+)?(ns|µs|ms|s|m|h))+\b`)
	ofHash   = regexp.MustCompile(`\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b`)
	ofNumber = regexp.MustCompile(`\d+(\.\d+)?`)
	ofMany   = regexp.MustCompile(`(<number> [a-z]+?)s\b`)
	spaces   = regexp.MustCompile(`[ \t]+`)
)

// lines returns the lines of a text with what may differ replaced. Where
// something may, columns may be wider or narrower, too.
func (a alike) lines(text string) []string {
	for _, of := range []struct {
		wanted bool
		expr   *regexp.Regexp
		put    string
	}{{a.times, ofTime, "<time>"}, {a.hashes, ofHash, "<hash>"}, {a.numbers, ofNumber, "<number>"}} {
		if of.wanted {
			text = of.expr.ReplaceAllLiteralString(text, of.put)
		}
	}
	if a.numbers { // of one thing there may be more
		text = ofMany.ReplaceAllString(text, "$1")
	}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range all {
		line = strings.TrimRight(line, " \t\r")
		if a != (alike{}) {
			line = strings.TrimSpace(spaces.ReplaceAllString(line, " "))
		}
		all[i] = line
	}
	return all
}

// compare returns an error that names the first line of the document that the
// output does not have where it should.
func compare(b block, output string) error {
	shown, want := strings.Split(strings.TrimRight(b.text, "\n"), "\n"), b.alike.lines(b.text)
	got := strings.Join(b.alike.lines(output), "\n") + "\n"
	exprs := make([]string, len(want))
	for i, line := range want {
		if strings.TrimSpace(line) == anything {
			exprs[i] = `(?:[^\n]*\n)*?`
			continue
		}
		exprs[i] = strings.ReplaceAll(regexp.QuoteMeta(line), anything, `[^\n]*`) + `\n`
	}
	begins := func(n int) bool {
		return regexp.MustCompile(`^` + strings.Join(exprs[:n], "")).MatchString(got)
	}
	if regexp.MustCompile(`^` + strings.Join(exprs, "") + `$`).MatchString(got) {
		return nil
	}
	for n := range want {
		if !begins(n + 1) {
			return fmt.Errorf("%s: line %d is not what was printed: %s", b.at, n+1, shown[n])
		}
	}
	return fmt.Errorf("%s: more was printed than is shown; put %s where lines are left out", b.at, anything)
}
