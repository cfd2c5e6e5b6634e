package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProgramPrintsTheSameEachTime(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/output.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the output is\n%s\nnot\n%s", out.String(), want)
	}
}

func TestWorkflowCountsWhatAPlainLoopCounts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files, err := makeText(folder, 5, 700)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r < 'a' || r > 'z' }) {
			want[word]++
		}
	}
	for _, parts := range []int{1, 3} {
		got, err := local.Run(t.Context(), local.Config{}, wordcount, Input{Folder: folder, Files: files, Parts: parts})
		if err != nil {
			t.Fatal(err)
		}
		if got.Words != 5*700 || got.Different != len(want) {
			t.Errorf("%d parts: %d words, %d different, not %d and %d", parts, got.Words, got.Different, 5*700, len(want))
		}
		if len(got.Top) != numTop {
			t.Fatalf("%d parts: the top is %v", parts, got.Top)
		}
		times := slices.Sorted(maps.Values(want))
		slices.Reverse(times)
		for i, c := range got.Top {
			if c.Times != want[c.Word] || c.Times != times[i] {
				t.Errorf("%d parts: place %d is %+v; the word is there %d times, and the place needs %d", parts, i+1, c, want[c.Word], times[i])
			}
		}
	}
}

func TestCountingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.txt"), []byte("One two, two; THREE three three."), 0o600); err != nil {
		t.Fatal(err)
	}
	split := Split{Folder: folder, File: "a.txt", Parts: 2}
	first, err := countWords(t.Context(), split)
	if err != nil {
		t.Fatal(err)
	}
	second, err := countWords(t.Context(), split)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) || first.Words != 6 {
		t.Errorf("counted %+v, then %+v", first, second)
	}
	var all []Added
	for i := range 2 {
		a, err := addCounts(t.Context(), Part{Folder: folder, Index: i, Counted: []Counted{second}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	got, err := mergeParts(t.Context(), all)
	want := Added{Words: 6, Different: 3, Top: []Count{{"three", 3}, {"two", 2}, {"one", 1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("added up to %+v, not %+v: %v", got, want, err)
	}
	left, err := filepath.Glob(filepath.Join(folder, "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind are %v: %v", left, err)
	}
}
