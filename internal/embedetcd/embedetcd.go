// Package embedetcd runs an etcd server of one member inside a process: for
// tests, for local.Run, and for "grapnel dev".
package embedetcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"github.com/grapnel-dev/grapnel"
)

// Config configures a [Server].
type Config struct {
	// Dir keeps the data. It is made if it is not there. Required.
	Dir string
	// Listen is the host:port that clients connect to; port 0 takes a free one.
	// Empty means a free port of the loopback interface.
	Listen string
	// NoFsync trades durability against the machine's crash for speed. For
	// tests.
	NoFsync bool
	// QuotaBytes is how large the database may grow; zero means 2 GiB.
	QuotaBytes int64
	// MaxTxnOps is etcd's --max-txn-ops; zero means 128.
	MaxTxnOps uint
	// StartTimeout bounds how long the server may take to be ready; zero means
	// 30 s.
	StartTimeout time.Duration
}

// Server is a running etcd server.
type Server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	lock   *os.File
	url    string
}

// The election is over as soon as it begins in a cluster of one, so short ticks
// only make it start sooner. They also set the shortest lease: 1 s.
const (
	tickMs     = 20
	electionMs = 200
)

const anyPort = "127.0.0.1:0"

// Start runs a server and waits until it is ready. Errors wrap
// [grapnel.ErrInvalid] for a directory in use or a wrong address.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, fmt.Errorf("%w: embedded etcd without a data directory", grapnel.ErrInvalid)
	}
	if cfg.Listen == "" {
		cfg.Listen = anyPort
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded etcd: data directory: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded etcd in %s: %w", cfg.Dir, err), s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) error {
	c, err := serverConfig(cfg)
	if err != nil {
		return err
	}
	if s.etcd, err = embed.StartEtcd(c); err != nil {
		return err
	}
	timer := time.NewTimer(cfg.StartTimeout)
	defer timer.Stop()
	select {
	case <-s.etcd.Server.ReadyNotify():
	case err := <-s.etcd.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("%w: not ready within %v", grapnel.ErrUnavailable, cfg.StartTimeout)
	}
	s.url = "http://" + s.etcd.Clients[0].Addr().String()
	s.client = v3client.New(s.etcd.Server)
	return nil
}

func serverConfig(cfg Config) (*embed.Config, error) {
	c := embed.NewConfig()
	c.Name = "grapnel"
	c.Dir = filepath.Join(cfg.Dir, "etcd")
	c.TickMs, c.ElectionMs = tickMs, electionMs
	c.UnsafeNoFsync = cfg.NoFsync
	c.QuotaBackendBytes = cfg.QuotaBytes
	if cfg.MaxTxnOps != 0 {
		c.MaxTxnOps = cfg.MaxTxnOps
	}
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if _, _, err := net.SplitHostPort(cfg.Listen); err != nil {
		return nil, fmt.Errorf("%w: listen address %q: %w", grapnel.ErrInvalid, cfg.Listen, err)
	}
	client := []url.URL{{Scheme: "http", Host: cfg.Listen}}
	// Nobody is going to connect, but there has to be an address.
	peer := []url.URL{{Scheme: "http", Host: anyPort}}
	c.ListenClientUrls, c.AdvertiseClientUrls = client, client
	c.ListenPeerUrls, c.AdvertisePeerUrls = peer, peer
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	return c, nil
}

// lockDir takes the directory for this process. Etcd itself would wait for
// whoever has it without a word.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = fmt.Errorf("%w: data directory %s is in use by another process: %w", grapnel.ErrInvalid, dir, err)
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Endpoints are the URLs that clients connect to.
func (s *Server) Endpoints() []string { return []string{s.url} }

// Client returns a client that reaches the server without a connection. It is
// closed with the server.
func (s *Server) Client() *clientv3.Client { return s.client }

// Failed delivers the error that makes the server stop by itself.
func (s *Server) Failed() <-chan error { return s.etcd.Err() }

// Close stops the server and waits until it has.
func (s *Server) Close() error {
	var errs []error
	if s.client != nil {
		if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if s.etcd != nil {
		s.etcd.Close()
	}
	if err := s.lock.Close(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
