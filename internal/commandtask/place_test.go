//go:build linux

package commandtask

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
)

func TestAnAttemptsFolderIsRemovedHoweverItEnds(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	for name, in := range map[string]Input{
		"success":         {Shell: `mkdir -p a/b; echo x >a/b/c; echo y >"$TMPDIR/z"`},
		"failure":         {Shell: "echo x >y; exit 1"},
		"output":          {Shell: "yes"},
		"not started":     {Argv: []string{"none"}},
		"write-protected": {Shell: "mkdir -p a/b/c; echo x >a/b/c/d; chmod 0 a/b/c; chmod 500 a/b a; ln -s /etc/passwd a2"},
	} {
		_, _ = r.Run(attemptOf(t.Context(), &beats{}), in) // only what it leaves counts
		entries, err := os.ReadDir(r.place.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if n := e.Name(); n != lockFile && n != socketFile {
				t.Errorf("%s leaves %s", name, n)
			}
		}
	}
}

// workerProcess is a worker in a process of its own, which runs one command.
func workerProcess(t *testing.T, root string, in Input) *exec.Cmd {
	t.Helper()
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], workerArg, root)
	cmd.Stdin = strings.NewReader(string(data))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// guardOf returns the number of a worker's guard.
func guardOf(t *testing.T, worker int) int {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", itoa(worker), "-f", guardArg).Output()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skipf("LEFT OUT: who guards a worker (%v)", err)
	}
	if err != nil {
		t.Fatalf("worker %d has no guard: pgrep: %v", worker, err)
	}
	var pid int
	if err := json.Unmarshal(out, &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func itoa(n int) string { return strings.TrimSpace(string(must(json.Marshal(n)))) }

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

func TestWhenTheWorkerIsKilledItsCommandsAndFoldersGo(t *testing.T) {
	t.Parallel()
	root, dir := shortDir(t), shortDir(t)
	w := workerProcess(t, root, Input{Shell: "trap '' TERM" + family + "while :; do sleep 60; done", Env: map[string]string{"OUT": dir}})
	pids := awaitFamily(t, dir)
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = w.Wait() // it was killed
	await(t, "the end of all", func() bool { return !alive(pids[0]) && !alive(pids[1]) && !alive(pids[2]) })
	await(t, "an empty root", func() bool {
		left, err := os.ReadDir(root)
		return err == nil && len(left) == 0
	})
	wantDead(t, pids)
}

func TestAtWhateverMomentAWorkerIsKilledNothingOfItStays(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	root := shortDir(t)
	mark := "GRAPNEL_TEST_MARK=" + root
	in := Input{
		Shell: "while :; do (setsid sleep 600 & sleep 600 & sleep 600) & sleep 0.01; done",
		Env:   map[string]string{"GRAPNEL_TEST_MARK": root},
	}
	began := 0
	for range 12 {
		w := workerProcess(t, root, in)
		<-time.After(time.Duration(random.IntN(200)) * time.Millisecond) // the moment
		if len(marked(mark)) > 0 {
			began++
		}
		if err := w.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = w.Wait() // it was killed
		await(t, fmt.Sprintf("seed %d: the end of all", seed), func() bool { return len(marked(mark)) == 0 })
		// A folder without a lock is one that was not finished.
		await(t, fmt.Sprintf("seed %d: no folder", seed), func() bool {
			left, err := filepath.Glob(filepath.Join(root, prefix+"*", lockFile))
			return err == nil && len(left) == 0
		})
	}
	t.Logf("seed %d: %d of 12 commands had begun", seed, began)
}

// marked returns the processes whose environment has this setting.
func marked(setting string) []string {
	var found []string
	environs, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is fine
	for _, path := range environs {
		if env, err := os.ReadFile(path); err == nil && strings.Contains(string(env), setting+"\x00") {
			found = append(found, path)
		}
	}
	return found
}

func TestTheNextWorkerRemovesWhatIsProvablyDead(t *testing.T) {
	t.Parallel()
	root, dir := shortDir(t), shortDir(t)
	dead := workerProcess(t, root, Input{Shell: `echo $$ >"$OUT/dead"; exec sleep 600`, Env: map[string]string{"OUT": dir}})
	living := workerProcess(t, root, Input{Shell: `echo $$ >"$OUT/living"; exec sleep 600`, Env: map[string]string{"OUT": dir}})
	pid := awaitPID(t, filepath.Join(dir, "dead"))
	livingPID := awaitPID(t, filepath.Join(dir, "living"))
	before, err := filepath.Glob(filepath.Join(root, prefix+"*"))
	if err != nil || len(before) != 2 {
		t.Fatalf("%v, %v", before, err)
	}
	// The guard first, or it would clean up.
	guard, err := os.FindProcess(guardOf(t, dead.Process.Pid))
	if err == nil {
		err = errors.Join(guard.Kill(), dead.Process.Kill())
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait() // it was killed
	await(t, "the guard's end", func() bool { return !alive(guard.Pid) })
	await(t, "the command's end, which the kernel sees to", func() bool { return !alive(pid) })
	// What looks like a worker's folder and is none.
	for _, name := range []string{prefix + "without", "other"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "other", lockFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadDir(root)
	if err != nil || len(after) != 4 { // the living one's, the new one's and the two others
		t.Errorf("left: %v, %v", after, err)
	}
	if !alive(livingPID) {
		t.Error("the living worker's command was killed")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	// Asked to stop with its command, the living one leaves nothing either.
	if p, err := os.FindProcess(livingPID); err != nil || p.Kill() != nil {
		t.Error("not killed", err)
	}
	if err := living.Wait(); err == nil {
		t.Error("a killed command is a success")
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAGuardThatIsGoneIsToldAndStopsNothing(t *testing.T) {
	t.Parallel()
	root := shortDir(t)
	r, err := Open(Config{Root: root, Guard: guardOfTests()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.guard.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, "the guard's end", func() bool { return !alive(r.guard.cmd.Process.Pid) })
	out, err := r.Run(attemptOf(t.Context(), &beats{}), Input{Argv: []string{"echo"}})
	if err != nil || string(out.Stdout) != `"\n"` {
		t.Errorf("%s, %v", out.Stdout, err)
	}
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "the guard") {
		t.Errorf("closing returns %v", err)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"root is a file": {Config{Root: file}, "not a directory"},
		"root too long":  {Config{Root: filepath.Join(dir, strings.Repeat("x", 100))}, "--work-dir"},
		"pass =":         {Config{Root: dir, PassEnv: []string{"A=B"}}, `"A=B"`},
		"pass reserved":  {Config{Root: dir, PassEnv: []string{"GRAPNEL_FENCE"}}, "GRAPNEL_FENCE"},
		"secrets":        {Config{Root: dir, Secrets: secret.Policy{Dirs: []string{file}}}, "not a folder"},
	} {
		if r, err := Open(tt.cfg); !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if r, err := Open(Config{Root: dir, Guard: []string{filepath.Join(dir, "none")}}); err == nil {
		t.Errorf("a guard that is not there: %v", r)
	}
	if left, err := filepath.Glob(filepath.Join(dir, prefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestTheDefaultRootMustBeTheUsersOwn(t *testing.T) {
	dir := shortDir(t)
	t.Setenv("TMPDIR", dir)
	r, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(r.place.dir)
	if filepath.Dir(root) != dir || !strings.HasPrefix(filepath.Base(root), "grapnel-") {
		t.Errorf("the root is %s", root)
	}
	if err := errors.Join(r.Close(), os.Chmod(root, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{}); !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), "--work-dir") {
		t.Errorf("others may write to it, and: %v", err)
	}
	if err := errors.Join(os.Remove(root), os.Symlink(shortDir(t), root)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("it is a link, and: %v", err)
	}
}
