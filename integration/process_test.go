//go:build unix

package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
)

const (
	// processTTL is the TTL of the roles unless a test says otherwise.
	processTTL = 2 * time.Second
	// patience is how long a test waits for what must happen: many times what it
	// takes.
	patience = 45 * time.Second
)

// site is an etcd in this process, and coordinators and workers that are
// processes of their own.
type site struct {
	t      *testing.T
	ctx    context.Context // ends when the test's patience does
	dir    string
	server *embedetcd.Server
	listen string

	mu       sync.Mutex
	children []*child // guarded by mu
}

// space is a namespace of a site as a test sees it.
type space struct {
	*site
	namespace string
	keys      store.Keys
	st        *etcdstore.Store
	client    *client.Client
	signs     *signs
}

// newSite starts an etcd. All processes are gone and waited for when the test
// has ended, however it has.
func newSite(t *testing.T) *site {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the test's patience is over"))
	s := &site{t: t, ctx: ctx, dir: t.TempDir()}
	s.serve("")
	t.Cleanup(func() {
		for _, c := range s.all() {
			c.kill()
		}
		cancel()
		if err := s.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serve starts the server, again in its old place if listen is not empty. That
// may be taken for a moment: a client that dials a free port of its own machine
// can happen to get that very port for itself.
func (s *site) serve(listen string) {
	s.t.Helper()
	pause := store.Pause{}
	server, err := embedetcd.Start(s.ctx, embedetcd.Config{Dir: s.dir, Listen: listen, NoFsync: true})
	for errors.Is(err, syscall.EADDRINUSE) && pause.Wait(s.ctx) == nil {
		server, err = embedetcd.Start(s.ctx, embedetcd.Config{Dir: s.dir, Listen: listen, NoFsync: true})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.server, s.listen = server, strings.TrimPrefix(server.Endpoints()[0], "http://")
}

// space connects to a namespace. When the test has ended and the processes are
// gone, its history is audited.
func (s *site) space(namespace string) *space {
	s.t.Helper()
	keys, err := store.NewKeys(namespace)
	if err != nil {
		s.t.Fatal(err)
	}
	sp := &space{site: s, namespace: namespace, keys: keys}
	sp.st, sp.client = sp.connect()
	sp.signs = &signs{st: sp.st, namespace: namespace}
	return sp
}

// newSpace is a site of one namespace.
func newSpace(t *testing.T) *space {
	t.Helper()
	return newSite(t).space("tested")
}

// connect returns another connection and a client on it.
func (sp *space) connect() (*etcdstore.Store, *client.Client) {
	sp.t.Helper()
	st, err := etcdstore.Open(sp.ctx, etcdstore.Config{Endpoints: sp.server.Endpoints(), RequestTimeout: 2 * time.Second})
	if err != nil {
		sp.t.Fatal(err)
	}
	sp.t.Cleanup(func() { _ = st.Close() }) // its watches end with it
	return st, sp.clientOn(st)
}

func (sp *space) clientOn(st store.Store) *client.Client {
	sp.t.Helper()
	c, err := client.New(client.Config{Store: st, Namespace: sp.namespace})
	if err != nil {
		sp.t.Fatal(err)
	}
	return c
}

// audit stops all processes, checks the whole history against the promises, and
// that nothing is left behind. It is the last thing that a test does.
func (sp *space) audit() audit.Report {
	sp.t.Helper()
	sp.stopAll()
	report, err := audit.Read(sp.ctx, sp.st, sp.keys)
	if err != nil {
		sp.t.Fatal(err)
	}
	if !report.Complete {
		sp.t.Error("the audit has not seen all of the history")
	}
	for _, v := range report.Violations {
		sp.t.Errorf("violation: %v", v)
	}
	for _, kv := range sp.under(sp.keys.Runs()) {
		if k, ok := sp.keys.ParseRun(kv.Key); ok && k.Kind == "claim" {
			sp.t.Errorf("no ghost: %s is left", kv.Key)
		}
	}
	for _, prefix := range []string{sp.keys.Workers(), sp.keys.Inboxes(), sp.keys.Coordinators(), sp.keys.ShardOwners()} {
		// Those of processes that were killed go with their leases.
		sp.await("keys of processes are gone", prefix, func(kvs map[string]store.KV) bool { return len(kvs) == 0 })
	}
	return report
}

func (sp *space) under(prefix string) []store.KV {
	sp.t.Helper()
	page, err := sp.st.List(sp.ctx, store.ListRequest{Prefix: prefix, Limit: 10_000})
	if err != nil {
		sp.t.Fatal(err)
	}
	return page.KVs
}

// await waits until the keys under a prefix are as wanted.
func (sp *space) await(what, prefix string, wanted func(map[string]store.KV) bool) {
	sp.t.Helper()
	if err := watchUntil(sp.ctx, sp.st, prefix, wanted); err != nil {
		sp.t.Fatalf("wait until %s: %v", what, err)
	}
}

// child is a process of this binary in a role.
type child struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	output output
	ended  chan struct{} // closed once it has been waited for
	err    error         // valid once ended is closed
	asked  bool          // somebody here made it end
}

// output collects what a child writes.
type output struct {
	mu    sync.Mutex
	data  bytes.Buffer  // guarded by mu
	grown chan struct{} // guarded by mu; if not nil, closed by the next write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return o.data.Write(b)
}

// count returns how often something was written, and a channel that is closed
// when more is.
func (o *output) count(what string) (int, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown == nil {
		o.grown = make(chan struct{})
	}
	return strings.Count(o.data.String(), what), o.grown
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// worker starts a worker and returns once it has a session.
func (sp *space) worker(name string, change ...func(*roleSettings)) *child {
	sp.t.Helper()
	c := sp.start(roleSettings{Name: name}, change...)
	sp.session(name, "")
	return c
}

// session waits until a worker of this name has a session that is not old, and
// returns its id.
func (sp *space) session(name string, old grapnel.WorkerID) (id grapnel.WorkerID) {
	sp.t.Helper()
	sp.await("worker "+name+" has a session", sp.keys.Workers(), func(kvs map[string]store.KV) bool {
		for key := range kvs {
			w, _ := store.Unescape(strings.TrimPrefix(key, sp.keys.Workers()))
			if id = grapnel.WorkerID(w); strings.HasPrefix(w, name+".") && id != old {
				return true
			}
		}
		return false
	})
	return id
}

// coordinator starts a coordinator. It does not wait for it to own anything.
func (sp *space) coordinator(name string, change ...func(*roleSettings)) *child {
	sp.t.Helper()
	return sp.start(roleSettings{Name: name, Coordinator: true}, change...)
}

// owner starts a coordinator and returns once it owns all shards.
func (sp *space) owner(name string, change ...func(*roleSettings)) *child {
	sp.t.Helper()
	c := sp.coordinator(name, change...)
	sp.awaitOwner(c)
	return c
}

// standby starts a coordinator and returns once it is a member.
func (sp *space) standby(name string) *child {
	sp.t.Helper()
	c := sp.coordinator(name)
	sp.awaitMember(c, "")
	return c
}

// awaitOwner waits until a coordinator owns all shards.
func (sp *space) awaitOwner(c *child) {
	sp.t.Helper()
	sp.await(c.name+" owns all shards", sp.keys.ShardOwners(), func(kvs map[string]store.KV) bool {
		for _, kv := range kvs {
			if coordinatorIn(kv).GetPid() != uint32(c.pid()) {
				return false
			}
		}
		return len(kvs) == store.Shards
	})
}

// awaitMember waits until a coordinator is a member by another key than old, and
// returns the key.
func (sp *space) awaitMember(c *child, old string) (key string) {
	sp.t.Helper()
	sp.await(c.name+" is a member", sp.keys.Coordinators(), func(kvs map[string]store.KV) bool {
		for k, kv := range kvs {
			if key = k; k != old && coordinatorIn(kv).GetPid() == uint32(c.pid()) {
				return true
			}
		}
		return false
	})
	return key
}

func coordinatorIn(kv store.KV) *pb.Coordinator {
	v := &pb.Coordinator{}
	if proto.Unmarshal(kv.Value, v) != nil {
		return nil
	}
	return v
}

func (sp *space) start(s roleSettings, change ...func(*roleSettings)) *child {
	sp.t.Helper()
	s.Endpoints, s.Namespace, s.TTL = sp.server.Endpoints(), sp.namespace, processTTL
	for _, f := range change {
		f(&s)
	}
	settings, err := json.Marshal(s)
	if err != nil {
		sp.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		sp.t.Fatal(err)
	}
	c := &child{t: sp.t, name: s.Name, cmd: exec.Command(exe), ended: make(chan struct{})}
	c.cmd.Env = append(environment(), roleVariable+"="+string(settings))
	c.cmd.Stderr = &c.output
	c.cmd.SysProcAttr = childAttributes()
	c.cmd.WaitDelay = time.Second
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		sp.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		sp.t.Fatal(err)
	}
	go func() { // joined by kill, which each child gets at the end
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.children = append(sp.children, c)
	sp.t.Cleanup(func() {
		if sp.t.Failed() {
			sp.t.Logf("%s wrote:\n%s", c.name, &c.output)
		}
	})
	return c
}

// outage closes the server, has a look at the world without it, and starts it
// again.
func (s *site) outage(meanwhile func()) {
	s.t.Helper()
	if err := s.server.Close(); err != nil {
		s.t.Fatal(err)
	}
	meanwhile()
	s.serve(s.listen)
}

func (s *site) all() []*child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*child{}, s.children...)
}

// stopAll stops what runs: workers before the coordinators they need.
func (s *site) stopAll() {
	s.t.Helper()
	for _, c := range s.all() {
		if !c.asked {
			c.stop()
		}
	}
}

// says waits until a process has written something more often than before.
func (sp *space) says(c *child, what string, before int) {
	sp.t.Helper()
	for {
		n, grown := c.output.count(what)
		if n > before {
			return
		}
		select {
		case <-grown:
		case <-c.ended:
			sp.t.Fatalf("%s has ended and has not written %q", c.name, what)
		case <-sp.ctx.Done():
			sp.t.Fatalf("wait until %s writes %q: %v", c.name, what, context.Cause(sp.ctx))
		}
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// signal sends a signal to the process, which must be alive.
func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatalf("signal %v to %s: %v", s, c.name, err)
	}
}

// kill kills the process and waits for its end.
func (c *child) kill() {
	c.asked = true
	_ = c.cmd.Process.Kill() // fails only if it has ended
	<-c.ended
	_ = c.stdin.Close()
}

// pause stops the process until resume.
func (c *child) pause() { c.t.Helper(); c.signal(syscall.SIGSTOP) }

func (c *child) resume() { c.t.Helper(); c.signal(syscall.SIGCONT) }

// stop asks the process to stop and waits until it has done so well.
func (c *child) stop() {
	c.t.Helper()
	c.asked = true
	if c.hasEnded() {
		c.t.Errorf("%s ended by itself: %v", c.name, c.err)
		return
	}
	c.signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.ended:
		if c.err != nil {
			c.t.Errorf("%s did not stop well: %v", c.name, c.err)
		}
	case <-timer.C:
		c.t.Errorf("%s did not stop within %v", c.name, patience)
	}
}
