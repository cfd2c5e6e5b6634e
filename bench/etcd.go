package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/grapnel-dev/grapnel/internal/embedetcd"
)

// etcdDirVariable makes this program an etcd server instead: the data
// directory.
const etcdDirVariable = "GRAPNEL_BENCH_ETCD_DIR"

// startEtcd runs etcd as a process of its own, so that it has its own scheduler
// and garbage collector, as in a cluster.
func startEtcd(ctx context.Context) (endpoint string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "grapnel-bench-")
	if err != nil {
		return "", nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), etcdDirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, errors.Join(errors.New("etcd did not start"), err)
	}
	return strings.TrimSpace(line), stop, nil
}

// serveEtcd is the other process: it prints its endpoint and runs until it is
// told to stop.
func serveEtcd(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s, err := embedetcd.Start(ctx, embedetcd.Config{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(s.Endpoints()[0])
	select {
	case <-ctx.Done():
	case err = <-s.Failed():
	}
	return errors.Join(err, s.Close())
}
