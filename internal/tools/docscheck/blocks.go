package main

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// mark is what a comment before a block asks for.
type mark string

const (
	markNone   mark = ""
	markRun    mark = "run"
	markOutput mark = "output"
	markFile   mark = "file"
	markSkip   mark = "skip"
)

// defaultLimit is how long a block may run that names no limit.
const defaultLimit = 2 * time.Minute

// block is a fenced block of code.
type block struct {
	at     string // file:line of its first line
	lang   string
	text   string
	mark   mark
	path   string        // for markFile
	limit  time.Duration // for markRun
	empty  bool          // for markRun: in an empty folder
	alike  alike         // for markOutput
	reason string        // for markSkip
	rest   bool          // for markSkip: also of the blocks after it
}

// shell reports whether a block is to be typed into a shell.
func (b *block) shell() bool { return b.lang == "sh" || b.lang == "bash" }

var (
	fence   = regexp.MustCompile("^( {0,3})(`{3,}|~{3,})\\s*([\\w+-]*)")
	comment = regexp.MustCompile(`^\s*<!--\s*docs-check:\s*(.*?)\s*-->\s*$`)
)

// parseBlocks returns the blocks of a Markdown text in order, and all marks
// that cannot be understood or stand before no block as one error.
func parseBlocks(file, text string) ([]block, error) {
	var (
		blocks []block
		errs   []error
		open   *block // the block being read
		end    string // the fence that ends it
		margin string
		next   = block{} // carries the mark of the block to come
		marked = false   // next has one
		rest   *block    // the mark of all blocks in shell that have none
	)
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", file, i+1)
		if open != nil {
			if strings.HasPrefix(strings.TrimSpace(line), end) && strings.Trim(strings.TrimSpace(line), end[:1]) == "" {
				blocks = append(blocks, *open)
				open = nil
				continue
			}
			open.text += strings.TrimPrefix(line, margin) + "\n"
			continue
		}
		if m := comment.FindStringSubmatch(line); m != nil {
			var err error
			if next, err = parseMark(m[1]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", at, err))
			}
			if marked = !next.rest; next.rest {
				skip := next
				rest, next = &skip, block{}
			}
			continue
		}
		if m := fence.FindStringSubmatch(line); m != nil {
			margin, end = m[1], m[2]
			next.at, next.lang = fmt.Sprintf("%s:%d", file, i+2), m[3]
			if next.shell() && next.mark == markNone && rest != nil {
				next.mark, next.reason = markSkip, rest.reason
			}
			opened := next
			open, next, marked = &opened, block{}, false
			continue
		}
		if marked && strings.TrimSpace(line) != "" {
			errs = append(errs, fmt.Errorf("%s: no block follows the docs-check comment", at))
			next, marked = block{}, false
		}
	}
	if open != nil {
		errs = append(errs, fmt.Errorf("%s: the block is not closed", open.at))
	}
	if marked {
		errs = append(errs, fmt.Errorf("%s: no block follows the last docs-check comment", file))
	}
	return blocks, errors.Join(errs...)
}

// parseMark reads what follows "docs-check:".
func parseMark(text string) (block, error) {
	word, rest, _ := strings.Cut(text, " ")
	b := block{mark: mark(word)}
	switch {
	case b.mark == markRun:
		b.limit = defaultLimit
		for word := range strings.FieldsSeq(rest) {
			if word == "empty" {
				b.empty = true
				continue
			}
			var err error
			if b.limit, err = time.ParseDuration(word); err != nil || b.limit <= 0 {
				return b, fmt.Errorf("docs-check: %q is not a time limit", word)
			}
		}
	case b.mark == markOutput:
		var err error
		if b.alike, err = parseAlike(rest); err != nil {
			return b, err
		}
	case b.mark == markFile && rest != "":
		b.path = rest
	case b.mark == markSkip && strings.TrimSpace(strings.TrimPrefix(rest, "rest")) != "":
		b.reason, b.rest = strings.CutPrefix(rest, "rest ")
	default:
		return b, fmt.Errorf("docs-check: %q is none of run [empty] [LIMIT], output [times] [hashes] [numbers], file PATH, skip [rest] REASON", text)
	}
	return b, nil
}

// checkBlock checks what can be checked of a block without running it.
func checkBlock(ctx context.Context, b block) error {
	switch {
	case b.mark == markRun && !b.shell():
		return fmt.Errorf("%s: only blocks marked sh or bash can be run, not %q", b.at, b.lang)
	case b.mark == markNone && b.shell():
		return fmt.Errorf("%s: nothing says whether these commands are run: put <!-- docs-check: run --> or <!-- docs-check: skip REASON --> before them", b.at)
	case b.mark == markFile:
		want, err := os.ReadFile(b.path)
		if err != nil {
			return fmt.Errorf("%s: %w", b.at, err)
		}
		if strings.TrimSpace(string(want)) != strings.TrimSpace(b.text) {
			return fmt.Errorf("%s: the block is not what is in %s", b.at, b.path)
		}
	case b.shell():
		cmd := exec.CommandContext(ctx, "bash", "-n")
		cmd.Stdin = strings.NewReader(b.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: bash -n: %w\n%s", b.at, err, out)
		}
	case b.lang == "go" && strings.HasPrefix(strings.TrimSpace(b.text), "package "):
		if _, err := parser.ParseFile(token.NewFileSet(), b.at, b.text, parser.AllErrors); err != nil {
			return err
		}
	}
	return nil
}

// checkOrder checks that outputs have a block that makes them, and that only the
// first block to run wants an empty folder.
func checkOrder(blocks []block) error {
	ran := false
	for _, b := range blocks {
		switch {
		case b.mark == markOutput && !ran:
			return fmt.Errorf("%s: this is the output of no block: none is run before it", b.at)
		case b.mark == markRun && b.empty && ran:
			return fmt.Errorf("%s: only the first block to run may begin in an empty folder", b.at)
		}
		ran = ran || b.mark == markRun
	}
	return nil
}
