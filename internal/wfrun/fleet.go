package wfrun

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
)

// stopGrace is for how long a child is waited for before it is killed.
const stopGrace = 10 * time.Second

// fleet is the coordinators and workers of a run.
type fleet struct {
	cfg  *Config
	etcd cli.Connection
	// fail is told of a child that ends by itself.
	fail func(error)

	mu      sync.Mutex
	started map[role]int // guarded by mu; how many there ever were
	live    []*process   // guarded by mu
	closed  bool         // guarded by mu
	watches sync.WaitGroup
}

func newFleet(cfg *Config, etcd cli.Connection, fail func(error)) *fleet {
	return &fleet{cfg: cfg, etcd: etcd, fail: fail, started: map[role]int{}}
}

// add starts another process of a role.
func (f *fleet) add(r role) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.started[r]++
	name := fmt.Sprintf("%s-%d", r, f.started[r])
	p, _, err := start(f.cfg, r, settings{Name: name, Etcd: f.etcd, TTL: f.cfg.TTL, Slots: f.cfg.Slots}, false)
	if err != nil {
		return err
	}
	f.live = append(f.live, p)
	f.watches.Go(func() {
		<-p.ended
		f.mu.Lock()
		f.live = slices.DeleteFunc(f.live, func(q *process) bool { return q == p })
		f.mu.Unlock()
		if err := p.surprise(); err != nil {
			f.fail(err)
		}
	})
	return nil
}

// holder returns the worker process whose session has this id, or nil.
func (f *fleet) holder(w grapnel.WorkerID) *process {
	name := processName(w)
	return f.find(func(p *process) bool { return p.name == name })
}

// processName returns the name of the process that opened a session. Workers are
// named like their processes, and their ids begin with their names.
func processName(w grapnel.WorkerID) string {
	name, _, _ := strings.Cut(string(w), ".")
	return name
}

// withPID returns the live process with this id, or nil.
func (f *fleet) withPID(pid int) *process {
	return f.find(func(p *process) bool { return p.pid() == pid })
}

func (f *fleet) find(match func(*process) bool) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(f.live, match); i >= 0 {
		return f.live[i]
	}
	return nil
}

// stop stops the processes of a role, all at once, and waits for them.
func (f *fleet) stop(r role) error {
	f.mu.Lock()
	var some []*process
	for _, p := range f.live {
		if p.role == r {
			some = append(some, p)
		}
	}
	f.mu.Unlock()
	errs := make([]error, len(some))
	var wg sync.WaitGroup
	for i, p := range some {
		wg.Go(func() { errs[i] = p.stop(stopGrace) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// close kills what is left, and starts nothing any more.
func (f *fleet) close() {
	f.mu.Lock()
	f.closed = true
	left := slices.Clone(f.live)
	f.mu.Unlock()
	for _, p := range left {
		p.kill()
	}
	f.watches.Wait()
}
