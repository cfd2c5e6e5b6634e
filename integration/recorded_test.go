package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Faults of each run of a recorded workflow.
const (
	recordedWorkers  = 4
	workerKills      = 3
	coordinatorKills = 1
	// recordedLimit is many times what the largest recording takes.
	recordedLimit = 4 * time.Minute
	// recordedTries is how often a run is made that is over before its kills come
	// due, which happens if whoever watches it for them gets no processor.
	recordedTries = 4
)

// recordedRun is what is looked at of what grapnel run prints.
type recordedRun struct {
	Status           string          `json:"status"`
	WorkerKills      int             `json:"worker_kills"`
	CoordinatorKills int             `json:"coordinator_kills"`
	Tasks            int             `json:"tasks"`
	Completed        int             `json:"completed"`
	Executions       int             `json:"executions"`
	Kills            int             `json:"kills"`
	KillsLeft        int             `json:"kills_left"`
	Requeued         int             `json:"requeued"`
	Violations       *int            `json:"violations"`
	ViolationList    json.RawMessage `json:"violation_list"`
}

// TestRecordedWorkflows runs each recorded workflow in the folder that
// GRAPNEL_WFINSTANCES names, as processes of which some are killed, and has the
// history audited. Further variables, all optional:
//
//   - GRAPNEL_WFINSTANCES_SEEDS: seeds, separated by commas; the default is 1;
//   - GRAPNEL_WFINSTANCES_SHARE: k/n runs the k-th of n parts;
//   - GRAPNEL_WFINSTANCES_RESULTS: a file that gets a line of JSON for each run.
func TestRecordedWorkflows(t *testing.T) {
	files, seeds := recordedFiles(t), recordedSeeds(t)
	keep, err := share(os.Getenv("GRAPNEL_WFINSTANCES_SHARE"))
	if err != nil {
		t.Fatal(err)
	}
	exe := buildGrapnel(t)
	at := 0
	for _, seed := range seeds {
		for _, file := range files {
			at++
			if !keep(at - 1) {
				continue
			}
			// One after the other: each of them is a dozen processes.
			t.Run(fmt.Sprintf("%s/seed-%d", strings.TrimSuffix(filepath.Base(file), ".json"), seed), func(t *testing.T) {
				runRecorded(t, exe, file, seed)
			})
		}
	}
}

func runRecorded(t *testing.T, exe, file string, seed uint64) {
	var r recordedRun
	var report, progress []byte
	for try := 1; ; try++ {
		r, report, progress = playRecorded(t, exe, file, seed)
		if r.Violations == nil || *r.Violations != 0 {
			t.Errorf("violations: %s", r.ViolationList)
		}
		if r.KillsLeft == 0 || try == recordedTries || t.Failed() {
			break
		}
		t.Logf("it was over before %d of its kills came due; tried again", r.KillsLeft)
	}
	keepResult(t, report)
	if r.Status != "completed" || r.Completed != r.Tasks || r.Tasks == 0 {
		t.Errorf("it is %s with %d of %d tasks completed", r.Status, r.Completed, r.Tasks)
	}
	if r.Executions < r.Completed {
		t.Errorf("%d executions completed %d tasks", r.Executions, r.Completed)
	}
	if r.WorkerKills != workerKills || r.CoordinatorKills != coordinatorKills || r.Kills != workerKills+coordinatorKills {
		t.Errorf("%d workers and %d coordinators were killed, in total %d", r.WorkerKills, r.CoordinatorKills, r.Kills)
	}
	if r.Requeued < r.WorkerKills {
		t.Errorf("%d workers were killed with claims, %d tasks were requeued", r.WorkerKills, r.Requeued)
	}
	if t.Failed() {
		t.Logf("progress:\n%s\nreport:\n%s", progress, report)
	}
}

// playRecorded runs a recorded workflow once and returns its report, also as it
// was printed, and its progress.
func playRecorded(t *testing.T, exe, file string, seed uint64) (r recordedRun, report, told []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), recordedLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "run",
		"--wfformat", file, "--time-scale", "0.001", "--workers", strconv.Itoa(recordedWorkers),
		"--kill-workers", strconv.Itoa(workerKills), "--kill-coordinators", strconv.Itoa(coordinatorKills),
		"--seed", strconv.FormatUint(seed, 10), "-o", "json")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it ends its processes
	cmd.WaitDelay = time.Minute
	cmd.Env = environment()
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	failed := cmd.Run()
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %v; it printed %q: %v\n%s", cmd.Args, failed, out.String(), err, progress.String())
	}
	if failed != nil && r.KillsLeft == 0 { // kills that are left are a failure, too
		t.Errorf("%v: %v\n%s", cmd.Args, failed, progress.String())
	}
	return r, out.Bytes(), progress.Bytes()
}

// keepResult appends a report, in one line, to the file of results, if there is
// to be one.
func keepResult(t *testing.T, report []byte) {
	t.Helper()
	name := os.Getenv("GRAPNEL_WFINSTANCES_RESULTS")
	if name == "" {
		return
	}
	var line bytes.Buffer
	if err := json.Compact(&line, report); err != nil {
		t.Fatal(err)
	}
	line.WriteByte('\n')
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = line.WriteTo(f)
	if closeErr := f.Close(); err != nil || closeErr != nil {
		t.Fatalf("keep result: %v, %v", err, closeErr)
	}
}

// environment is that of the test without what would be taken for flags.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GRAPNEL_") {
			env = append(env, v)
		}
	}
	return env
}

// buildGrapnel builds the command, once for all runs.
func buildGrapnel(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "grapnel")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "../cmd/grapnel")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build grapnel: %v\n%s", err, out)
	}
	return exe
}

func recordedFiles(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("GRAPNEL_WFINSTANCES")
	switch {
	case dir == "" && os.Getenv("CI") == "true":
		t.Fatal("GRAPNEL_WFINSTANCES is not set")
	case dir == "":
		t.Skip("LEFT OUT: recorded workflows (GRAPNEL_WFINSTANCES is not set)")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded workflows in %s: %v", dir, err)
	}
	return files
}

func recordedSeeds(t *testing.T) []uint64 {
	t.Helper()
	list := os.Getenv("GRAPNEL_WFINSTANCES_SEEDS")
	if list == "" {
		return []uint64{1}
	}
	var seeds []uint64
	for s := range strings.SplitSeq(list, ",") {
		seed, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
		if err != nil {
			t.Fatalf("GRAPNEL_WFINSTANCES_SEEDS %q: %v", list, err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// share returns which indices belong to the part "k/n"; all belong to "".
func share(s string) (func(i int) bool, error) {
	if s == "" {
		return func(int) bool { return true }, nil
	}
	var k, n int
	if _, err := fmt.Sscanf(s, "%d/%d", &k, &n); err != nil || k < 1 || k > n || fmt.Sprintf("%d/%d", k, n) != s {
		return nil, fmt.Errorf("share %q is not k/n with k from 1 to n", s)
	}
	return func(i int) bool { return i%n == k-1 }, nil
}

func TestSharesMakeUpTheWhole(t *testing.T) {
	t.Parallel()
	const cases, parts = 39, 7
	seen := make([]int, cases)
	for k := range parts {
		in, err := share(fmt.Sprintf("%d/%d", k+1, parts))
		if err != nil {
			t.Fatal(err)
		}
		for i := range seen {
			if in(i) {
				seen[i]++
			}
		}
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("case %d is in %d shares", i, n)
		}
	}
	for _, bad := range []string{"0/7", "8/7", "1", "1/7x", "a/b"} {
		if _, err := share(bad); err == nil {
			t.Errorf("share %q was taken", bad)
		}
	}
}
