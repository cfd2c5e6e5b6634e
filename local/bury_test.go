package local_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

func TestTheLeasesOfDeadProcessesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	cfg := local.Config{Dir: filepath.Join(t.TempDir(), "data")}
	c, err := local.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := store.NewKeys(client.DefaultNamespace)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	put := func(key string, m proto.Message) {
		t.Helper()
		value, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		lease, err := c.Store().Grant(t.Context(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Settle(t.Context(), c.Store(), store.Txn{Then: []store.Op{store.Put(key, value, lease.ID)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	session := func(name, host string, pid int) {
		p := &snapshot.Profile{Worker: grapnel.WorkerID(name), Host: host, PID: pid, Slots: 1}
		put(keys.Worker(p.Worker), p.Message())
		put(keys.Coordinator(name), &pb.Coordinator{Id: name, Host: host, Pid: uint32(pid)})
		for i := range 2 { // claims with leases of their own
			put(keys.Claim("r", snapshot.NodeKey(i))+name, &pb.Claim{Worker: name})
		}
	}
	session("dead", host, gone.ProcessState.Pid())
	session("earlier-me", host, os.Getpid())
	session("alive", host, os.Getppid())
	session("elsewhere", "not-"+host, gone.ProcessState.Pid())
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	if c, err = local.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, want := range map[string]bool{"dead": false, "earlier-me": false, "alive": true, "elsewhere": true} {
		of := []string{keys.Worker(grapnel.WorkerID(name)), keys.Coordinator(name)}
		for i := range 2 {
			of = append(of, keys.Claim("r", snapshot.NodeKey(i))+name)
		}
		for _, key := range of {
			if _, err := c.Store().Get(t.Context(), key); (err == nil) != want || err != nil && !errors.Is(err, grapnel.ErrNotFound) {
				t.Errorf("%s: %s is there: %v, want %v", name, key, err, want)
			}
		}
	}
}
