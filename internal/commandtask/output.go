//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

const (
	// ringSize is how much of the end of standard error is kept.
	ringSize = 8 << 10
	// tailSize is how much of that fits into a failure, with room for what is
	// said before it.
	tailSize = workflow.MaxFailureText - 512
)

// bounded keeps what is written to it until that is more than an output may
// have, and then calls full, once.
type bounded struct {
	data []byte
	full func(error)
	over bool
}

func newBounded(full func(error)) *bounded { return &bounded{full: full} }

// Write never fails.
func (b *bounded) Write(p []byte) (int, error) {
	switch {
	case b.over:
	case len(b.data)+len(p) > grapnel.MaxPayload:
		b.over = true
		b.data = nil
		b.full(tooLarge("standard output"))
	default:
		b.data = append(b.data, p...)
	}
	return len(p), nil
}

func tooLarge(what string) error {
	return task.Fail(workflow.KindTooLarge, fmt.Errorf(
		"%s has more than %d bytes (grapnel.MaxPayload), which is as much as an output may have: let the command write it to a file or to an object store, and print where it is",
		what, grapnel.MaxPayload))
}

// ring keeps the last bytes that were written to it.
type ring struct {
	data []byte
	cut  bool // something came before
}

// Write never fails.
func (r *ring) Write(p []byte) (int, error) {
	r.data = append(r.data, p...)
	if over := len(r.data) - ringSize; over > 0 {
		r.data = append(r.data[:0], r.data[over:]...)
		r.cut = true
	}
	return len(p), nil
}

// text returns the end of what was written, for a failure: at most tailSize
// bytes of UTF-8, from the beginning of a line if there is one.
func (r *ring) text() string {
	text := strings.TrimSpace(printable(r.data))
	cut := r.cut
	if over := len(text) - tailSize; over > 0 {
		for !utf8.RuneStart(text[over]) {
			over++
		}
		text, cut = text[over:], true
	}
	if !cut {
		return text
	}
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < len(text)/2 {
		text = text[i+1:]
	}
	return "… " + text
}

// printable returns b as text: UTF-8, without what would make a terminal do
// something.
func printable(b []byte) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(b), "\uFFFD"))
}

// collect makes the output of a command that has succeeded.
func collect(in *Input, dir string, stdout []byte, redact *secret.Redactor) (Output, error) {
	var out Output
	var err error
	if in.Stdout != FormNone {
		if out.Stdout, err = encode("standard output", in.Stdout, stdout, redact); err != nil {
			return Output{}, err
		}
	}
	if len(in.Files) > 0 {
		if out.Files, err = readFiles(in.Files, dir, redact); err != nil {
			return Output{}, err
		}
	}
	if _, err := workflow.Encode(out); errors.Is(err, grapnel.ErrTooLarge) {
		return Output{}, tooLarge("the output, encoded as JSON,")
	}
	return out, nil
}

func readFiles(files map[string]File, dir string, redact *secret.Redactor) (map[string]json.RawMessage, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, badOutput(fmt.Errorf("the command's folder: %w", err))
	}
	defer func() { _ = root.Close() }() // nothing was written
	values := make(map[string]json.RawMessage, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		what := fmt.Sprintf("file %s (%s)", name, files[name].Path)
		data, err := readFile(root, files[name].Path, what)
		if err != nil {
			return nil, err
		}
		if values[name], err = encode(what, files[name].As, data, redact); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// readFile reads a regular file below root. It does not wait for anything.
func readFile(root *os.Root, path, what string) ([]byte, error) {
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, badOutput(fmt.Errorf("%s: %w", what, err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, badOutput(fmt.Errorf("%s: %w", what, err))
	}
	if !info.Mode().IsRegular() {
		return nil, badOutput(fmt.Errorf("%s: it is not a regular file", what))
	}
	data, err := io.ReadAll(io.LimitReader(file, grapnel.MaxPayload+1))
	if err != nil {
		return nil, badOutput(fmt.Errorf("%s: %w", what, err))
	}
	if len(data) > grapnel.MaxPayload {
		return nil, tooLarge(what)
	}
	return data, nil
}

// encode makes JSON of what a command has written.
func encode(what, form string, data []byte, redact *secret.Redactor) (json.RawMessage, error) {
	if form != FormJSON {
		text := redact.Text(strings.ToValidUTF8(string(data), "\uFFFD"))
		// A string is too large with the output that it belongs to.
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(text); err != nil {
			return nil, badOutput(fmt.Errorf("%s: %w", what, err))
		}
		return bytes.TrimSpace(buf.Bytes()), nil
	}
	var compact bytes.Buffer
	err := json.Unmarshal(data, new(json.RawMessage)) // tells where a mistake is, unlike Compact
	if err == nil {
		err = json.Compact(&compact, data)
	}
	if err != nil {
		return nil, badOutput(fmt.Errorf("%s is not JSON: %w", what, whereInJSON(data, err)))
	}
	masked, err := redact.JSON(compact.Bytes())
	if err != nil {
		return nil, badOutput(fmt.Errorf("%s: %w", what, err))
	}
	return masked, nil
}

// whereInJSON adds to a decoder's error the line and column that it is about.
func whereInJSON(data []byte, err error) error {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("it is empty")
	}
	before := data[:min(max(int(syntax.Offset)-1, 0), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}
