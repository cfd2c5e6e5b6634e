package wfrun

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/internal/wfformat"
	"github.com/grapnel-dev/grapnel/worker"
)

// settings are what a child is told, as a line of JSON on its standard input:
// arguments would show a password to everybody on the machine.
type settings struct {
	Name string `json:"name"`
	// Etcd is how a worker or coordinator reaches etcd, in which namespace it
	// works, and how each role logs.
	Etcd  cli.Connection `json:"etcd"`
	TTL   time.Duration  `json:"ttl,omitempty"`
	Slots int            `json:"slots,omitempty"`
	// Data is etcd's folder. Remove makes etcd's process remove it in the end, as
	// the parent does, which may be dead by then.
	Data   string `json:"data,omitempty"`
	Remove bool   `json:"remove,omitempty"`
}

// etcdReady is the line that etcd's process writes once it serves.
type etcdReady struct {
	Endpoints []string `json:"endpoints"`
}

// Serve is what a child does: it plays a role, as told on stdin, until stdin or
// ctx ends. The process does nothing else. Register adds to a worker, before it
// runs, the tasks of [Config.Definition]; nil adds none. Errors wrap
// [grapnel.ErrInvalid] for a role or settings that are none, or are the role's
// own.
func Serve(ctx context.Context, which string, register func(*worker.Worker), stdin io.Reader, stdout, stderr io.Writer) error {
	// A terminal's Ctrl-C goes to all processes; it is the parent's to stop the
	// children, in their order. And a dead parent reads no logs, which is no
	// reason not to stop well.
	signal.Ignore(os.Interrupt, syscall.SIGPIPE)
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%w: role %q is for grapnel's own use: no settings on standard input: %w", grapnel.ErrInvalid, which, err)
	}
	var s settings
	if err := json.Unmarshal(line, &s); err != nil {
		return fmt.Errorf("%w: settings of role %q: %w", grapnel.ErrInvalid, which, err)
	}
	log := hclog.New(&hclog.LoggerOptions{Name: s.Name, Level: hclog.LevelFromString(s.Etcd.LogLevel), Output: stderr})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Reading cannot be cut short: this goroutine lasts as long as the process.
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, there is no parent any more
		cancel(grapnel.ErrStopping)
	}()
	switch role(which) {
	case roleEtcd:
		return serveEtcd(ctx, s, stdout, log)
	case roleCoordinator:
		return serveCoordinator(ctx, s, log)
	case roleWorker:
		return serveWorker(ctx, s, register, log)
	}
	return fmt.Errorf("%w: role %q", grapnel.ErrInvalid, which)
}

// listenAddress is where etcd's process listens: on a free port, for this
// machine only.
const listenAddress = "127.0.0.1:0"

func serveEtcd(ctx context.Context, s settings, stdout io.Writer, log hclog.Logger) (err error) {
	if s.Remove {
		defer func() { err = errors.Join(err, os.RemoveAll(s.Data)) }()
	}
	server, err := embedetcd.Start(ctx, embedetcd.Config{Dir: s.Data, Listen: listenAddress})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(etcdReady{Endpoints: server.Endpoints()}); err != nil {
		return errors.Join(fmt.Errorf("tell the endpoints: %w", err), server.Close())
	}
	log.Info("etcd serves", "endpoints", server.Endpoints())
	select {
	case <-ctx.Done():
		return server.Close()
	case err := <-server.Failed():
		return errors.Join(err, server.Close())
	}
}

// startEtcd starts etcd's process and returns once it serves.
func startEtcd(ctx context.Context, cfg *Config, s settings) (*process, []string, error) {
	p, out, err := start(cfg, roleEtcd, s, true)
	if err != nil {
		return nil, nil, err
	}
	// A child that ends closes its output, which ends the reading.
	stopKill := context.AfterFunc(ctx, func() { p.kill() })
	line, readErr := bufio.NewReader(out).ReadBytes('\n')
	_ = out.Close() // never fails; nothing more is written
	if !stopKill() {
		<-p.ended
		return nil, nil, context.Cause(ctx)
	}
	var ready etcdReady
	if err := json.Unmarshal(line, &ready); readErr != nil || err != nil {
		if readErr == nil {
			p.kill()
			return nil, nil, fmt.Errorf("etcd's process wrote %q: %w", line, err)
		}
		<-p.ended
		return nil, nil, p.ending()
	}
	return p, ready.Endpoints, nil
}

// margin is how long before its expiry a lease is no longer trusted. It fits
// MinTTL and etcd's usual election timeout.
func margin(ttl time.Duration) time.Duration { return min(claim.DefaultMargin, ttl/2) }

func serveCoordinator(ctx context.Context, s settings, log hclog.Logger) (err error) {
	st, err := s.Etcd.Open(ctx, log)
	if err != nil {
		return unlessStopping(ctx, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c, err := coordinator.New(coordinator.Config{
		Store: st, Namespace: s.Etcd.Namespace, Name: s.Name, TTL: s.TTL, Margin: margin(s.TTL), Logger: log,
		Retention: -1, // the run is looked at once it has ended
	})
	if err != nil {
		return err
	}
	return unlessStopping(ctx, c.Run(ctx))
}

func serveWorker(ctx context.Context, s settings, register func(*worker.Worker), log hclog.Logger) (err error) {
	st, err := s.Etcd.Open(ctx, log)
	if err != nil {
		return unlessStopping(ctx, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	w, err := worker.New(worker.Config{
		Store: st, Namespace: s.Etcd.Namespace, Name: s.Name, Slots: s.Slots, TTL: s.TTL, Margin: margin(s.TTL), Logger: log,
		Grace: -1, // when it is asked to stop, nobody waits for a task any more
	})
	if err != nil {
		return err
	}
	worker.Handle(w, wfformat.SleepTask, wfformat.Sleep)
	if register != nil {
		register(w)
	}
	return unlessStopping(ctx, w.Run(ctx))
}

// unlessStopping returns err, unless it only says that the child was asked to
// stop.
func unlessStopping(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err())) {
		return nil
	}
	return err
}
