package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel/internal/mutation"
)

// verdict is what the tests of a row say about its mutation.
type verdict string

const (
	noticed     verdict = "noticed"
	survived    verdict = "SURVIVED"     // the tests pass without the guard
	unsound     verdict = "UNSOUND"      // the tests fail with the guard, or there are none
	noAssertion verdict = "NO ASSERTION" // a panic, a time-out or an exit, and no failed test
	notBuilt    verdict = "NOT BUILT"
)

// result is the outcome of a row.
type result struct {
	verdict verdict
	detail  string // one line
	output  string // of the tests, if the verdict is not noticed
}

// runner builds each package's tests once and runs them for many rows. It is
// not safe for concurrent use.
type runner struct {
	tmp      string // holds the test binaries
	timeout  time.Duration
	binaries map[string]built
}

type built struct {
	path   string
	output string // of the compiler
	err    error
}

func newRunner(timeout time.Duration) (*runner, error) {
	tmp, err := os.MkdirTemp("", "grapnel-mutations-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for test binaries: %w", err)
	}
	return &runner{tmp: tmp, timeout: timeout, binaries: map[string]built{}}, nil
}

// close removes the test binaries.
func (r *runner) close() { _ = os.RemoveAll(r.tmp) }

// run runs the tests of a row without and with its mutation.
func (r *runner) run(ctx context.Context, row row) result {
	bin := r.build(ctx, row.dir)
	if bin.err != nil {
		return result{verdict: notBuilt, detail: bin.err.Error(), output: bin.output}
	}
	plain, err := r.test(ctx, bin, row, "")
	switch {
	case err != nil:
		return result{verdict: unsound, detail: err.Error(), output: plain.output}
	case !plain.passed:
		return result{verdict: unsound, detail: "fails with the guard in place", output: plain.output}
	case len(plain.ran) == 0:
		return result{verdict: unsound, detail: "no test matches " + row.tests}
	}
	mutant, err := r.test(ctx, bin, row, row.name)
	switch {
	case err != nil:
		return result{verdict: noAssertion, detail: err.Error(), output: mutant.output}
	case mutant.passed:
		return result{verdict: survived, detail: strings.Join(mutant.ran, " "), output: mutant.output}
	case mutant.crash != "" || len(mutant.failed) == 0:
		return result{verdict: noAssertion, detail: mutant.crash, output: mutant.output}
	}
	return result{verdict: noticed, detail: "by " + strings.Join(mutant.failed, " ")}
}

// build compiles the tests of a package, or returns what it compiled before.
func (r *runner) build(ctx context.Context, dir string) built {
	if b, ok := r.binaries[dir]; ok {
		return b
	}
	b := built{path: filepath.Join(r.tmp, strconv.Itoa(len(r.binaries))+".test")}
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "mutation", "-o", b.path, dir).CombinedOutput()
	b.output = string(out)
	if err == nil {
		// go test -c succeeds, and writes nothing, where there is no test file.
		_, err = os.Stat(b.path)
	}
	if err != nil {
		b.err = fmt.Errorf("build tests of %s: %w", dir, err)
	}
	r.binaries[dir] = b
	return b
}

// report is what one run of a test binary did.
type report struct {
	passed bool
	ran    []string // top-level tests
	failed []string // top-level tests
	crash  string   // the first line of a panic, a time-out or a fatal error
	output string
}

// test runs a row's tests with one mutation, or with none if the name is
// empty. Its error says that the run could not be made sense of.
func (r *runner) test(ctx context.Context, bin built, row row, name string) (report, error) {
	args := []string{"tool", "test2json", bin.path, "-test.v=test2json", "-test.run=" + row.tests, "-test.timeout=" + r.timeout.String()}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = row.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, mutation.Variable+"=") })
	// Package rapid keeps what failed, to repeat it: not a failure that is meant.
	cmd.Env = append(cmd.Env, mutation.Variable+"="+name, "RAPID_NOFAILFILE=1")
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	rep, parseErr := parse(stdout.Bytes())
	rep.output += stderr.String()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return rep, fmt.Errorf("run tests: %w", err)
	}
	rep.passed = err == nil
	return rep, parseErr
}

// parse reads the events of test2json.
func parse(events []byte) (report, error) {
	var (
		rep    report
		output strings.Builder
	)
	for dec := json.NewDecoder(bytes.NewReader(events)); dec.More(); {
		var ev struct{ Action, Test, Output string }
		if err := dec.Decode(&ev); err != nil {
			return rep, fmt.Errorf("read test events: %w", err)
		}
		top := ev.Test != "" && !strings.Contains(ev.Test, "/")
		switch {
		case ev.Action == "output":
			output.WriteString(ev.Output)
			if rep.crash == "" && isCrash(ev.Output) {
				rep.crash = strings.TrimSpace(ev.Output)
			}
			// Not the action "fail", which a test also has whose process exits.
			if top && strings.HasPrefix(ev.Output, "--- FAIL: "+ev.Test+" ") {
				rep.failed = append(rep.failed, ev.Test)
			}
		case ev.Action == "run" && top:
			rep.ran = append(rep.ran, ev.Test)
		}
	}
	rep.output = output.String()
	return rep, nil
}

// isCrash reports whether a line of output begins the end of a test process
// rather than of a test.
func isCrash(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
}
