package wfrun

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

// childArg makes the test binary play a child; what follows is how it behaves,
// and its role.
const childArg = "-wfrun-child"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == childArg {
		os.Exit(child(os.Args[2], os.Args[3]))
	}
	goleak.VerifyTestMain(m)
}

func child(behaviour, which string) int {
	switch behaviour {
	case "real":
		if err := Serve(context.Background(), which, registerGreeting, os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	case "crash":
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return 1
		}
		fmt.Fprintln(os.Stderr, "out of luck")
		return 3
	case "deaf": // until it is killed
		fmt.Println("ready")
		select {}
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return 1
	}
	return 0
}

// startChild starts a child and waits until it is up.
func startChild(t *testing.T, behaviour string) *process {
	t.Helper()
	p, out, err := start(&Config{RoleArgs: []string{childArg, behaviour}}, roleWorker, settings{Name: "child-1"}, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the child wrote %q: %v", line, err)
	}
	return p
}

func TestChildStopsWhenItsInputEnds(t *testing.T) {
	t.Parallel()
	p := startChild(t, "obedient")
	if err := p.stop(time.Minute); err != nil {
		t.Error(err)
	}
	if err := p.surprise(); err != nil {
		t.Errorf("a stop is no surprise: %v", err)
	}
	if p.kill() {
		t.Error("a child that had ended was killed")
	}
}

func TestChildThatDoesNotStopIsKilled(t *testing.T) {
	t.Parallel()
	p := startChild(t, "deaf")
	err := p.stop(time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("got %v", err)
	}
	if !p.hasEnded() {
		t.Error("the child was not waited for")
	}
}

func TestKilledChildHasEndedAndIsNoSurprise(t *testing.T) {
	t.Parallel()
	p := startChild(t, "deaf")
	if !p.kill() {
		t.Error("a live child was not killed")
	}
	if !p.hasEnded() || p.surprise() != nil {
		t.Errorf("ended %v, surprise %v", p.hasEnded(), p.surprise())
	}
}

func TestChildThatEndsByItselfIsASurpriseWithItsLastWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, _, err := start(&Config{RoleArgs: []string{childArg, "crash"}, Logs: dir}, roleWorker, settings{Name: "child-2"}, false)
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	for _, err := range []error{p.surprise(), p.stop(time.Minute)} {
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "out of luck") {
			t.Errorf("got %v", err)
		}
	}
	log, err := os.ReadFile(dir + "/child-2.log")
	if err != nil || string(log) != "out of luck\n" {
		t.Errorf("the log holds %q: %v", log, err)
	}
}

func TestFleetReportsAChildThatEndsByItself(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	cfg := &Config{RoleArgs: []string{childArg, "obedient"}}
	f := newFleet(cfg, cli.Connection{}, func(err error) { failed <- err })
	t.Cleanup(f.close)
	if err := f.add(roleWorker); err != nil { // it stops well, but nobody asked it to
		t.Fatal(err)
	}
	p := f.holder("worker-1.0190-abc")
	if p == nil {
		t.Fatal("the worker is not found by the id of its session")
	}
	if f.withPID(p.pid()) != p {
		t.Error("the worker is not found by its process id")
	}
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !strings.Contains(err.Error(), "worker-1 ended by itself") {
		t.Errorf("got %v", err)
	}
}

func TestFleetThatIsClosedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	cfg := &Config{RoleArgs: []string{childArg, "obedient"}}
	f := newFleet(cfg, cli.Connection{}, func(err error) { t.Errorf("reported: %v", err) })
	var all []*process
	for range 3 {
		if err := errors.Join(f.add(roleWorker), f.add(roleCoordinator)); err != nil {
			t.Fatal(err)
		}
	}
	all = append(all, f.live...)
	if err := f.stop(roleWorker); err != nil {
		t.Error(err)
	}
	f.close()
	for _, p := range all {
		if !p.hasEnded() {
			t.Errorf("%s was not waited for", p.name)
		}
	}
	if err := f.add(roleWorker); err != nil || len(f.live) != 0 {
		t.Errorf("a closed fleet started a process: %v", err)
	}
}

func TestEtcdsProcessRemovesItsFolderWhenItsInputEnds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	cfg := &Config{RoleArgs: []string{childArg, "real"}}
	s := settings{Name: "etcd", Data: dir, Remove: true, Etcd: cli.Connection{LogLevel: cli.DefaultLogLevel}}
	p, endpoints, err := startEtcd(t.Context(), cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	if len(endpoints) != 1 || !strings.HasPrefix(endpoints[0], "http://127.0.0.1:") {
		t.Errorf("it listens at %v", endpoints)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if err := p.stdin.Close(); err != nil { // as if the parent were dead
		t.Fatal(err)
	}
	<-p.ended
	if _, err := os.Stat(dir); p.err != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it ended with %v, and its folder is there: %v", p.err, err)
	}
}

func TestEtcdThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{RoleArgs: []string{childArg, "real"}}
	s := settings{Name: "etcd", Data: file, Etcd: cli.Connection{LogLevel: cli.DefaultLogLevel}}
	if _, _, err := startEtcd(t.Context(), cfg, s); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got %v", err)
	}
}
