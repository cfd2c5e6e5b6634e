package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/store"
)

// The variables that make the test a long one: how many kills, with which seed,
// and the file that gets a line for each run.
const (
	killsVariable   = "GRAPNEL_KILLS"
	seedVariable    = "GRAPNEL_KILL_SEED"
	resultsVariable = "GRAPNEL_KILL_RESULTS"
)

// killFlow is a chain, many tasks side by side, and a join. Each execution of a
// task writes a line when it begins.
const killFlow = `workflow: kill
inputs:
  log: {type: string}
  items: {type: int, default: 96}
tasks:
  first:
    run: echo "$GRAPNEL_NODE $GRAPNEL_FENCE" >> ${{ quote(inputs.log) }}; echo 1
  second:
    needs: first
    run: echo "$GRAPNEL_NODE $GRAPNEL_FENCE" >> ${{ quote(inputs.log) }}; sleep 0.05
  work:
    needs: second
    for_each: ${{ lists.range(inputs.items) }}
    parallel: 4
    run: echo "$GRAPNEL_NODE $GRAPNEL_FENCE" >> ${{ quote(inputs.log) }}; sleep 0.0$((${{ item }} % 8)); echo ${{ item }}
    outputs: {stdout: json}
  last:
    run: echo "$GRAPNEL_NODE $GRAPNEL_FENCE" >> ${{ quote(inputs.log) }}; echo $((${{ tasks.work.map(t, text(t.stdout)).join("+") }}))
    outputs: {stdout: json}
output: ${{ tasks.last.stdout }}
`

const killOutput = "4560" // 0 + 1 + … + 95

// killResult is a line of the results.
type killResult struct {
	Mode string `json:"mode"`
	Seed uint64 `json:"seed"`
	Run  string `json:"run"`
	// Moments are when the process was killed, counted from its start.
	Moments []int64 `json:"killed_after_ms"`
	// Reported counts the tasks that had been told as completed at the kills.
	Reported []int  `json:"completed_when_killed"`
	Status   string `json:"status"`
	Tasks    int    `json:"tasks"`
	Begun    int    `json:"executions"`
	Lost     int    `json:"lost"`
	// Repeated are executions that began after their task was told as completed.
	Repeated   []string `json:"repeated"`
	Violations []string `json:"violations"`
	Complete   bool     `json:"audit_complete"`
}

// killTest is one run that is killed on its way.
type killTest struct {
	*testing.T
	random *rand.Rand
	dir    string
	result killResult

	mu       sync.Mutex
	reported map[string]bool // guarded by mu; tasks that were told as completed
	known    map[string]bool // those of them that were when a process was killed last
}

// TestAKilledRunGoesOnWhereItWas kills "grapnel run" and "grapnel dev" at random
// moments until all kills are used up, each run as often as it takes to end.
func TestAKilledRunGoesOnWhereItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	kills := 6
	if n, err := strconv.Atoi(os.Getenv(killsVariable)); err == nil {
		kills = n
	}
	seed := rand.Uint64() >> 11
	if n, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64); err == nil {
		seed = n
	}
	t.Logf("seed %d; again with %s=%d %s=%d go test -run %s ./cmd/grapnel", seed, seedVariable, seed, killsVariable, kills, t.Name())
	random := rand.New(rand.NewPCG(seed, 0))
	for left, n := kills, 1; left > 0 && !t.Failed(); n++ {
		mode := [...]string{"run", "dev"}[n%2]
		t.Run(fmt.Sprintf("%s-%d", mode, n), func(t *testing.T) {
			k := &killTest{T: t, random: random, dir: t.TempDir(), reported: map[string]bool{}}
			k.result = killResult{Mode: mode, Seed: seed, Run: "kill-" + strconv.Itoa(n), Moments: []int64{}, Reported: []int{}, Repeated: []string{}, Violations: []string{}}
			k.write("flow.yaml", killFlow)
			k.write("log", "")
			most := min(left, (kills+1)/2, 3+random.IntN(6))
			if mode == "run" {
				k.killRuns(most)
			} else {
				k.killDevs(most)
			}
			left -= len(k.result.Moments)
			k.audit()
			k.save()
		})
	}
}

// killRuns kills at most so many processes of grapnel run, then lets one end.
func (k *killTest) killRuns(most int) {
	args := []string{"run", "flow.yaml", "--id", k.result.Run, "--data", "data", "--keep", "-o", "json", "--input", k.input()}
	for range most {
		p := k.start(args...)
		if ended := k.kill(p); ended {
			k.judge(p)
			return
		}
	}
	p := k.start(args...)
	k.wait(p)
	k.judge(p)
}

// killDevs kills at most so many processes of grapnel dev, under a grapnel run
// that follows its run throughout.
func (k *killTest) killDevs(most int) {
	address, err := freeAddress()
	if err != nil {
		k.Fatal(err)
	}
	args := []string{"dev", "--data", "data", "--listen", address}
	dev := k.start(args...)
	k.listens(address)
	follower := k.start("run", "flow.yaml", "--id", k.result.Run, "--endpoints", address, "-o", "json", "--input", k.input())
	k.begin(k.Context(), 1, follower.done) // or else it could not connect
	for range most {
		if done := k.killUnless(dev, follower.done); done {
			break
		}
		dev = k.start(args...)
	}
	k.wait(follower)
	k.judge(follower)
	select {
	case <-dev.done: // killed at the moment of the run's end
	default:
		if err := dev.cmd.Process.Signal(os.Interrupt); err != nil {
			k.Fatal(err)
		}
		k.wait(dev)
	}
}

// listens waits until somebody listens at the address.
func (k *killTest) listens(address string) {
	k.Helper()
	for pause := (store.Pause{}); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if pause.Wait(k.Context()) != nil {
			k.Fatal(err)
		}
	}
}

// process is a grapnel that runs.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	stdout  strings.Builder
	stderr  strings.Builder
	done    chan struct{} // closed at its end
	err     error         // set then
}

var completedLine = regexp.MustCompile(`^[0-9:.]+  (\S+) +completed +attempt`)

// start starts a grapnel, and reads from what it says which tasks completed.
func (k *killTest) start(args ...string) *process {
	k.Helper()
	p := &process{cmd: exec.CommandContext(k.Context(), "grapnel", args...), done: make(chan struct{})}
	p.cmd.Dir = k.dir
	p.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(k.dir, "state"), "GRAPNEL_ENDPOINTS=", "TMPDIR="+k.dir)
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		k.Fatal(err)
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		k.Fatal(err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(io.TeeReader(stderr, &p.stderr))
		for lines.Scan() {
			if m := completedLine.FindStringSubmatch(lines.Text()); m != nil {
				k.mu.Lock()
				k.reported[m[1]] = true
				k.mu.Unlock()
			}
		}
		p.err = cmp.Or(lines.Err(), p.cmd.Wait())
	}()
	return p
}

// kill kills a process at a random moment, unless it ends before.
func (k *killTest) kill(p *process) (ended bool) { return k.killUnless(p, p.done) }

// killUnless kills a process at a random moment, unless done comes before: some
// time after its start, or some time after some tasks have begun.
func (k *killTest) killUnless(p *process, done <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(k.Context())
	defer cancel()
	delay := time.Duration(k.random.IntN(1200)) * time.Millisecond
	if more := k.random.IntN(12); k.random.IntN(3) > 0 {
		delay = time.Duration(k.random.IntN(80)) * time.Millisecond
		if !k.begin(ctx, len(k.begun())+1+more, done) {
			return true
		}
	}
	moment := time.NewTimer(delay)
	defer moment.Stop()
	select {
	case <-done:
		return true
	case <-moment.C:
	}
	k.mu.Lock()
	reported := len(k.reported)
	k.mu.Unlock()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		k.Fatal(err)
	}
	<-p.done
	select {
	case <-done:
		if p.done != done { // the run ended while its process was killed
			return true
		}
	default:
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); !ok || exit.Exited() {
		return true // it was faster
	}
	k.result.Moments = append(k.result.Moments, time.Since(p.started).Milliseconds())
	k.result.Reported = append(k.result.Reported, reported)
	k.compare()
	return false
}

// begin waits until so many executions have begun in all, and reports whether
// they have before done came.
func (k *killTest) begin(ctx context.Context, n int, done <-chan struct{}) bool {
	for pause := (store.Pause{}); len(k.begun()) < n; {
		select {
		case <-done:
			return false
		default:
		}
		if pause.Wait(ctx) != nil {
			return false
		}
	}
	return true
}

// begun returns the tasks whose executions have begun, in order, as often as they
// have.
func (k *killTest) begun() []string {
	data, err := os.ReadFile(filepath.Join(k.dir, "log"))
	if err != nil {
		k.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, taskName(name))
	}
	return names
}

// compare is called after a kill. What has been told as completed must not begin
// from here on; whatever did so is found by the next call.
func (k *killTest) compare() {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := k.begun()
	for i := k.result.Begun; i < len(names); i++ {
		if k.known[names[i]] {
			k.result.Repeated = append(k.result.Repeated, names[i])
		}
	}
	k.result.Begun = len(names)
	k.known = map[string]bool{}
	for name := range k.reported {
		k.known[name] = true
	}
}

// wait waits for the end of a process that is to succeed.
func (k *killTest) wait(p *process) {
	k.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
		k.Errorf("%v went on for two minutes", p.cmd.Args)
	}
	if p.err != nil {
		k.Fatalf("%v: %v\n%s", p.cmd.Args, p.err, p.stderr.String())
	}
}

func (k *killTest) input() string { return fmt.Sprintf(`{"log": %q}`, filepath.Join(k.dir, "log")) }

func (k *killTest) write(name, text string) {
	k.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600); err != nil {
		k.Fatal(err)
	}
}
