//go:build linux

package commandtask

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
)

// family is a command with a child and a grandchild, all of which write their
// numbers into the folder $OUT and hold the pipes open. What they do on SIGTERM
// comes first.
const family = `
echo $$ >"$OUT/parent.new"; mv "$OUT/parent.new" "$OUT/parent"
(
	sh -c 'trap "" TERM; echo $$ >"$OUT/grandchild.new"; mv "$OUT/grandchild.new" "$OUT/grandchild"; while :; do sleep 60; done' &
	sh -c 'echo $$ >"$OUT/child.new"; mv "$OUT/child.new" "$OUT/child"; exec sleep 600' &
	wait
) &
`

// result is what came of a call of Run.
type result struct {
	out Output
	err error
}

// begin runs a command.
func begin(ctx context.Context, r *Runner, in Input) <-chan result {
	done := make(chan result, 1)
	go func() {
		out, err := r.Run(ctx, in)
		done <- result{out, err}
	}()
	return done
}

func awaitFamily(t *testing.T, dir string) []int {
	t.Helper()
	var pids []int
	for _, name := range []string{"parent", "child", "grandchild"} {
		pid := awaitPID(t, filepath.Join(dir, name))
		if !alive(pid) {
			t.Errorf("the %s is not alive", name)
		}
		pids = append(pids, pid)
	}
	return pids
}

func wantDead(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
}

func TestWhatEndsAnAttemptEndsItsWholeProcessGroup(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		trap  string
		grace time.Duration
		cause error
	}{
		"it dies of SIGTERM":       {"", time.Hour, grapnel.ErrCancelled},
		"it says goodbye":          {"trap 'echo bye >\"$OUT/bye\"; exit 0' TERM", time.Hour, grapnel.ErrTimedOut},
		"it does not hear SIGTERM": {"trap '' TERM", 50 * time.Millisecond, grapnel.ErrClaimLost},
		"there is no grace":        {"trap '' TERM", -1, grapnel.ErrStopping},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			r := open(t, Config{KillGrace: tt.grace})
			ctx, cancel := context.WithCancelCause(attemptOf(t.Context(), &beats{}))
			defer cancel(nil)
			done := begin(ctx, r, Input{Shell: tt.trap + family + "wait; wait; while :; do sleep 60; done", Env: map[string]string{"OUT": dir}})
			pids := awaitFamily(t, dir)
			cancel(tt.cause)
			got := <-done
			if got.err == nil || !strings.Contains(got.err.Error(), "the command was stopped: "+tt.cause.Error()) {
				t.Errorf("it returned %+v, %v", got.out, got.err)
			}
			await(t, "the end of all", func() bool { return !alive(pids[0]) && !alive(pids[1]) && !alive(pids[2]) })
			if _, err := os.Stat(filepath.Join(dir, "bye")); strings.Contains(tt.trap, "bye") != (err == nil) {
				t.Errorf("it said goodbye: %v", err == nil)
			}
		})
	}
}

func TestAStoppedProcessGroupEndsToo(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	r := open(t, Config{KillGrace: time.Hour})
	ctx, cancel := context.WithCancelCause(attemptOf(t.Context(), &beats{}))
	defer cancel(nil)
	done := begin(ctx, r, Input{Shell: `echo $$ >"$OUT/pid"; kill -STOP $$; sleep 600`, Env: map[string]string{"OUT": dir}})
	awaitPID(t, filepath.Join(dir, "pid"))
	cancel(grapnel.ErrCancelled)
	if got := <-done; got.err == nil {
		t.Errorf("it returned %+v", got.out)
	}
}

func TestWhatACommandLeavesBehindIsKilledAndItsResultCounts(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	r := open(t, Config{})
	in := Input{
		Shell: family + `while ! [ -e "$OUT/grandchild" ] || ! [ -e "$OUT/child" ]; do sleep 0.01; done; echo done`,
		Env:   map[string]string{"OUT": dir},
	}
	out, err := r.Run(attemptOf(t.Context(), &beats{}), in)
	if err != nil || string(out.Stdout) != `"done\n"` {
		t.Errorf("%s, %v", out.Stdout, err)
	}
	pids := []int{awaitPID(t, filepath.Join(dir, "child")), awaitPID(t, filepath.Join(dir, "grandchild"))}
	await(t, "the end of both", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
}

func TestAProcessThatGotAwayDoesNotHoldTheAttemptUp(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	r := open(t, Config{})
	in := Input{
		Shell: `setsid sh -c 'echo $$ >"$OUT/pid.new"; mv "$OUT/pid.new" "$OUT/pid"; exec sleep 600' & while ! [ -e "$OUT/pid" ]; do sleep 0.01; done; echo done`,
		Env:   map[string]string{"OUT": dir},
	}
	out, err := r.Run(attemptOf(t.Context(), &beats{}), in)
	pid := awaitPID(t, filepath.Join(dir, "pid"))
	if !alive(pid) {
		t.Error("it did not get away, so nothing is shown")
	}
	if p, findErr := os.FindProcess(pid); findErr != nil || p.Kill() != nil {
		t.Errorf("process %d not killed", pid)
	}
	if err != nil || string(out.Stdout) != `"done\n"` {
		t.Errorf("%s, %v", out.Stdout, err)
	}
}

func TestAnAttemptThatHasEndedBeforeItBeganStartsNothing(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	r := open(t, Config{})
	ctx, cancel := context.WithCancelCause(attemptOf(t.Context(), &beats{}))
	cancel(grapnel.ErrCancelled)
	if _, err := r.Run(ctx, Input{Shell: `echo >"$OUT/started"`, Env: map[string]string{"OUT": dir}}); err == nil {
		t.Error("it succeeded")
	}
	if _, err := os.Stat(filepath.Join(dir, "started")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it started: %v", err)
	}
}

func TestClosingKillsWhatStillRuns(t *testing.T) {
	t.Parallel()
	root, dir := shortDir(t), shortDir(t)
	r, err := Open(Config{Root: root, KillGrace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// One that runs, and one that has an hour for its goodbyes.
	ctx, cancel := context.WithCancelCause(attemptOf(t.Context(), &beats{}))
	defer cancel(nil)
	first := begin(ctx, r, Input{Shell: family + "while :; do sleep 60; done", Env: map[string]string{"OUT": dir}})
	second := begin(ctx, r, Input{Shell: `trap 'echo >"$OUT/asked"' TERM; echo $$ >"$OUT/pid"; while :; do sleep 0.01; done`, Env: map[string]string{"OUT": dir}})
	pids := append(awaitFamily(t, dir), awaitPID(t, filepath.Join(dir, "pid")))
	cancel(grapnel.ErrStopping)
	await(t, "SIGTERM", func() bool {
		_, err := os.Stat(filepath.Join(dir, "asked"))
		return err == nil
	})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, done := range []<-chan result{first, second} {
		if got := <-done; got.err == nil {
			t.Errorf("it returned %+v", got.out)
		}
	}
	await(t, "the end of all", func() bool { return !slices.ContainsFunc(pids, alive) })
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
