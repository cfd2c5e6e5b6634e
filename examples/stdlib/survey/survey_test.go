package survey_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/grapnel-dev/grapnel/examples/stdlib/survey"
)

// tree writes files and returns their folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestListLeavesOutWhatIsNoPackageOfTheLibrary(t *testing.T) {
	t.Parallel()
	src := tree(t, map[string]string{
		"net/net.go":              "package net",
		"net/http/http.go":        "package http",
		"net/http/testdata/x.go":  "package x",
		"net/_old/x.go":           "package x",
		"cmd/go/main.go":          "package main",
		"internal/cmd/cmd.go":     "package cmd",
		"vendor/other/other.go":   "package other",
		"gen/gen.go":              "//go:build ignore\n\npackage main",
		"only/only_test.go":       "package only",
		"text/readme.txt":         "no Go",
		"root.go":                 "package root",
		"unicode/utf8/tables.go":  "package utf8",
		"unicode/utf8/ignored.go": "//go:build ignore\n\npackage main",
	})
	got, err := survey.List(src)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"internal/cmd", "net", "net/http", "unicode/utf8"}; !reflect.DeepEqual(got, want) {
		t.Errorf("listed %v, not %v", got, want)
	}
}

func TestSurveyOfAPackage(t *testing.T) {
	t.Parallel()
	src := tree(t, map[string]string{
		"a/a.go": `// Package a is short. It is for tests.
package a

import (
	"os"
	"fmt"
)

type Bare struct{}

// Told has a comment.
type Told[T any] struct{}

func (*Told[T]) Method() {
	fmt.Println()
}

func (hidden) Exported() {}

type hidden struct{}

// All of these have one.
const (
	One = 1
	Two = 2
)

var X, Y = os.Args, 1
var Z int // beside it
`,
		"a/a_plan9.go": "package a\n\nimport \"os\"\n\n// Platform has a comment on one of two platforms.\nfunc Platform() {}\n",
		"a/a_unix.go":  "package a\n\nfunc Platform() {}\n",
		"a/gen.go":     "//go:build ignore\n\npackage main\n\nfunc Huge() {\n\n\n\n\n\n\n}\n",
		"a/a_test.go":  "package a\n\nfunc Test() {}\n",
	})
	got, err := survey.Of(src, "a")
	if err != nil {
		t.Fatal(err)
	}
	want := survey.Package{
		Path: "a", Synopsis: "Package a is short.", Files: 3, Lines: 29 + 6 + 3, Functions: 4,
		Longest: []survey.Function{
			{Name: "Told.Method", File: "a.go", Line: 14, Lines: 3},
			{Name: "hidden.Exported", File: "a.go", Line: 18, Lines: 1},
			{Name: "Platform", File: "a_plan9.go", Line: 6, Lines: 1},
			{Name: "Platform", File: "a_unix.go", Line: 3, Lines: 1},
		},
		Exported: 9, Undocumented: 4, Names: []string{"Bare", "Told.Method", "X", "Y"},
		Imports: []string{"fmt", "os"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("found\n%+v, not\n%+v", got, want)
	}
}

func TestSurveySaysWhichFileIsNotGo(t *testing.T) {
	t.Parallel()
	src := tree(t, map[string]string{"a/a.go": "package a\n\nfunc {"})
	if _, err := survey.Of(src, "a"); !errors.Is(err, survey.ErrSource) {
		t.Errorf("got %v", err)
	}
	if _, err := survey.Of(src, "gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a package that is not there: %v", err)
	}
}
