package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// wrongFolder is where the files are that have something wrong in them, each with
// the messages that it has to get; scripts know it as $WRONG.
const wrongFolder = "../../internal/flowfile/testdata/wrong"

// refusesAll ARG... executes grapnel run FILE ARG... for each wrong file of the
// working directory, and checks that it exits with 2, says what is wrong and
// nothing else, and does not connect to the address that it gives for NOBODY.
func refusesAll(ts *testscript.TestScript, _ bool, args []string) {
	paths, err := filepath.Glob(filepath.Join(ts.MkAbs("."), "*.yaml"))
	ts.Check(err)
	if len(paths) < 60 {
		ts.Fatalf("there are %d wrong files", len(paths))
	}
	etcd, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	var connected atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := etcd.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			_ = c.Close()
		}
	}()
	defer func() { <-done }()
	defer func() { ts.Check(etcd.Close()) }()
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "NOBODY", etcd.Addr().String())
	}
	for _, path := range paths {
		name := filepath.Base(path)
		exits(ts, false, append([]string{"2", "grapnel", "run", name}, args...))
		wrong := ts.ReadFile(strings.TrimSuffix(name, ".yaml") + ".txt")
		problems := "1 problem"
		if n := strings.Count(wrong, "\n"); n > 1 {
			problems = fmt.Sprintf("%d problems", n)
		}
		want := fmt.Sprintf("%sgrapnel: %s has %s; nothing was started\n", wrong, name, problems)
		if got := ts.ReadFile("stderr"); got != want {
			ts.Fatalf("of %s it says\n%s\nand not\n%s", name, got, want)
		}
		if out := ts.ReadFile("stdout"); out != "" {
			ts.Fatalf("the output for %s is %q", name, out)
		}
		if connected.Load() > 0 {
			ts.Fatalf("for %s it connected to etcd", name)
		}
	}
}
