//go:build linux

package commandtask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/internal/taskctx"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

const (
	guardArg  = "be-the-guard"
	workerArg = "be-a-worker"
)

// TestMain makes this binary what its arguments say: a guard, a worker that runs
// one command, or the tests.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case guardArg:
			exit(Guard(os.Stdin, os.Args[2]))
		case workerArg:
			exit(beAWorker(os.Args[2]))
		}
	}
	goleak.VerifyTestMain(m)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// beAWorker runs the command that is on standard input with this root.
func beAWorker(root string) error {
	var in Input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	r, err := Open(Config{Root: root, Guard: guardOfTests()})
	if err != nil {
		return err
	}
	_, err = r.Run(context.Background(), in)
	return errors.Join(err, r.Close())
}

func guardOfTests() []string { return []string{os.Args[0], guardArg} }

// open opens a runner that is closed with the test.
func open(t *testing.T, cfg Config) *Runner {
	t.Helper()
	if cfg.Root == "" {
		cfg.Root = shortDir(t)
	}
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(cfg.Root); err != nil || len(left) > 0 {
			t.Errorf("left in the root: %v, %v", left, err)
		}
	})
	return r
}

// shortDir is a test's folder whose path is short enough for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// beats are the heartbeats that an attempt has had.
type beats struct {
	mu   sync.Mutex
	all  []string
	fail error
}

func (b *beats) hear(_ context.Context, progress []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, string(progress))
	return b.fail
}

// attemptOf is the context of an attempt.
func attemptOf(ctx context.Context, b *beats) context.Context {
	return taskctx.With(ctx, &taskctx.Attempt{
		Run: "run 1", Workflow: "media", Node: "7", NodeName: "resize", Attempt: 2, Fence: 99,
		IdempotencyKey: "run%201/5/7", Heartbeat: b.hear,
	})
}

// failureOf returns the failure that an error is.
func failureOf(t *testing.T, err error) *workflow.Failure {
	t.Helper()
	f, ok := errors.AsType[*workflow.Failure](err)
	if !ok {
		t.Fatalf("%v is no failure", err)
	}
	return f
}

// wantFailure checks an error's kind, whether it is permanent, and its text.
func wantFailure(t *testing.T, err error, kind string, permanent bool, texts ...string) {
	t.Helper()
	f := failureOf(t, err)
	if f.Kind != kind || f.Permanent != permanent {
		t.Errorf("kind %s, permanent %v, want %s, %v: %s", f.Kind, f.Permanent, kind, permanent, f.Message)
	}
	for _, text := range texts {
		if !strings.Contains(f.Message, text) {
			t.Errorf("%q does not say %q", f.Message, text)
		}
	}
}

// await waits until ready returns true.
func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for pause := (store.Pause{}); !ready(); {
		if pause.Wait(ctx) != nil {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// awaitPID waits until a file has a process's number, and returns it.
func awaitPID(t *testing.T, file string) int {
	t.Helper()
	var pid int
	await(t, "a number in "+filepath.Base(file), func() bool {
		data, err := os.ReadFile(file)
		if err != nil || !strings.HasSuffix(string(data), "\n") {
			return false
		}
		_, err = fmt.Sscan(string(data), &pid)
		return err == nil
	})
	return pid
}

// alive reports whether a process runs; one that has ended and that nobody has
// waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
