package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/grapnel-dev/grapnel/internal/embedetcd"
)

// etcdDirVariable makes this program an etcd server instead: the data
// directory.
const etcdDirVariable = "GRAPNEL_BENCH_ETCD_DIR"

// etcdProcess is etcd as a process of its own, so that it has its own scheduler
// and garbage collector, as in a cluster. It ends when in is closed, be it by
// this process's end.
type etcdProcess struct {
	endpoint string
	pid      int
	in       io.Writer
	stop     func()
}

func startEtcd(ctx context.Context) (*etcdProcess, error) {
	dir, err := os.MkdirTemp("", "grapnel-bench-")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), etcdDirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = in.Close
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		_ = in.Close() // by the end of ctx, too
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, errors.Join(errors.New("etcd did not start"), err)
	}
	return &etcdProcess{endpoint: strings.TrimSpace(line), pid: cmd.Process.Pid, in: in, stop: stop}, nil
}

// serveEtcd is the other process: it prints its endpoint and runs until its
// input ends. The lines of that are files to write profiles to.
func serveEtcd(dir string) error {
	s, err := embedetcd.Start(context.Background(), embedetcd.Config{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(s.Endpoints()[0])
	told := make(chan error, 1)
	go func() { told <- serveProfiles(bufio.NewScanner(os.Stdin)) }() // ends with this process
	select {
	case err = <-told:
	case err = <-s.Failed():
	}
	return errors.Join(err, s.Close())
}
