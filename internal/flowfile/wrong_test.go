package flowfile_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

var update = flag.Bool("update", false, "write the messages of wrong files, and golden files, anew")

// wrongFiles returns the files that have something wrong in them.
func wrongFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d wrong files, error %v", len(files), err)
	}
	return files
}

func TestEachWrongFileHasItsMessages(t *testing.T) {
	t.Parallel()
	for _, path := range wrongFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			data := read(t, path)
			f, err := flowfile.Parse(filepath.Base(path), data)
			if err == nil {
				t.Fatalf("the file is taken for right: %+v", f)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

func TestNothingComesOfAWrongFile(t *testing.T) {
	t.Parallel()
	for _, path := range wrongFiles(t) {
		f, err := flowfile.Load(path)
		var all *flowfile.Errors
		if f != nil || !errors.As(err, &all) || !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%s: file %v, error %v", path, f, err)
			continue
		}
		text := string(read(t, path))
		last := flowfile.Problem{}
		for _, p := range all.Problems {
			if p.File != path || p.Message == "" {
				t.Errorf("%s: problem %+v", path, p)
			}
			if p.Line < last.Line || p.Line == last.Line && p.Column < last.Column {
				t.Errorf("%s: %v comes behind %v", path, p, last)
			}
			if !inside(text, p.Line, p.Column) {
				t.Errorf("%s: %v is not in the file", path, p)
			}
			last = *p
		}
	}
}

// inside reports whether a place is in a text, or of the text as a whole.
func inside(text string, line, column int) bool {
	if line == 0 && column == 0 {
		return true
	}
	lines := strings.Split(text, "\n")
	return line >= 1 && line <= len(lines) && column >= 1 && column <= len([]rune(lines[line-1]))+1
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares with a file, which -update writes.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, path)); got != want {
		t.Errorf("%s:\n got %s\nwant %s", path, got, want)
	}
}
