package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/wfrun"
)

// childArg makes the test binary one of the demo's processes.
const childArg = "-demo-child"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childArg {
		if err := run(context.Background(), []string{"role", os.Args[2]}, os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// library makes a library of n packages.
func fakeLibrary(t *testing.T, n int) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "src")
	for i := range n {
		dir := filepath.Join(src, fmt.Sprintf("p%02d", i), "q")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := "package q\n\nimport \"errors\"\n\nfunc F() error { return errors.ErrUnsupported }\n" + strings.Repeat("// More.\n", i)
		if err := os.WriteFile(filepath.Join(dir, "q.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return src
}

// demonstrate runs the demo and returns what it says and the report's files.
func demonstrate(t *testing.T, source string, kill int) (said string, files map[string]string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	var told bytes.Buffer
	cfg := wfrun.Config{TTL: wfrun.MinTTL, RoleArgs: []string{childArg}, Progress: &told}
	o := options{source: source, out: out, kill: kill, seed: 1, workers: 2}
	if err := demo(t.Context(), o, cfg, &told); err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(data)
	}
	return told.String(), files
}

func TestReportIsTheSameWithAndWithoutKills(t *testing.T) {
	t.Parallel()
	source := fakeLibrary(t, 60)
	said, calm := demonstrate(t, source, 0)
	if !strings.Contains(said, "killed    nobody") || !strings.Contains(said, " 0 promises broken") {
		t.Errorf("without kills it says\n%s", said)
	}
	said, killed := demonstrate(t, source, 1)
	if !regexp.MustCompile(`killed    worker-\d by SIGKILL, after \d+ tasks, with [1-4] claims?: p\d\d/q`).MatchString(said) {
		t.Errorf("with a kill it says\n%s", said)
	}
	if !regexp.MustCompile(`requeued  [1-9]\d* of \d+ executions`).MatchString(said) {
		t.Errorf("nothing was requeued:\n%s", said)
	}
	if len(calm) != 2 || len(killed) != 2 {
		t.Fatalf("wrote %d and %d files", len(calm), len(killed))
	}
	for name, text := range calm {
		if killed[name] != text {
			t.Errorf("%s is another one after a kill", name)
		}
		if strings.Contains(text, filepath.Dir(source)) {
			t.Errorf("%s names a path of this machine", name)
		}
	}
}

func TestSourceThatDoesNotParseFailsTheRunAndNamesTheFile(t *testing.T) {
	t.Parallel()
	source := fakeLibrary(t, 3)
	if err := os.WriteFile(filepath.Join(source, "p01", "q", "bad.go"), []byte("package q\n\nfunc {"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	cfg := wfrun.Config{TTL: wfrun.MinTTL, RoleArgs: []string{childArg}, Progress: &told}
	err := demo(t.Context(), options{source: source, out: t.TempDir(), workers: 1}, cfg, &told)
	if !errors.Is(err, wfrun.ErrNotClean) || !strings.Contains(err.Error(), "bad.go:3") {
		t.Errorf("got %v", err)
	}
}

func TestMistakesInTheCommandLineAreTold(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"unexpected argument": {"now"},
		"-wings":              {"-wings", "2"},
		"no Go package":       {"-source", t.TempDir()},
		"no such file":        {"-source", filepath.Join(t.TempDir(), "gone")},
	} {
		err := run(t.Context(), args, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, not one with %q", args, err, want)
		}
		if !strings.HasPrefix(want, "no such") && !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%q: %v is not grapnel.ErrInvalid", args, err)
		}
	}
}
