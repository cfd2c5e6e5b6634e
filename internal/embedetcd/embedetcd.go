// Package embedetcd runs an etcd server of one member inside a process: for
// tests, for local.Run, and for "grapnel dev". It is etcd's own server, and its
// data can be given to a stand-alone one.
package embedetcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"github.com/grapnel-dev/grapnel"
)

// Config configures a [Server].
type Config struct {
	// Dir keeps the data. It is made if it is not there, and stays when the
	// server is closed. One server at a time can use it. Required.
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
	// CertFile and KeyFile have the server's certificate and key, in PEM; with
	// both clients connect by TLS. TrustedCAFile has the authorities that must
	// have signed the clients' certificates; empty asks for none.
	CertFile, KeyFile, TrustedCAFile string
	// ProgressInterval is how often an idle watch is told how far it has got;
	// zero means 10 s.
	ProgressInterval time.Duration
	// Logger gets why the server ends the process, if it does, as an error. Its
	// other errors and its warnings are information: there are some at each stop.
	// Nil means none.
	Logger hclog.Logger
	// StartTimeout bounds how long the server may take to be ready; zero means
	// 30 s.
	StartTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = anyPort
	}
	if c.ProgressInterval == 0 {
		c.ProgressInterval = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = 30 * time.Second
	}
	return c
}

// validate returns all that is wrong with a config that has its defaults.
func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{grapnel.ErrInvalid}, args...)...))
	}
	if c.Dir == "" {
		bad("no data directory")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen address %q: %v", c.Listen, err)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		bad("TLS needs both a certificate file and a key file")
	}
	if c.TrustedCAFile != "" && c.CertFile == "" {
		bad("client certificates can be asked for only with a certificate of the server")
	}
	if c.QuotaBytes < 0 || c.ProgressInterval < 0 || c.StartTimeout < 0 {
		bad("quota, progress interval and start time-out cannot be negative")
	}
	return errors.Join(errs...)
}

// Server is a running etcd server.
type Server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	rpc    *rpcServers
	lock   *fileutil.LockedFile
	url    string

	closing  sync.Once
	closeErr error // set by closing
}

// The election is over as soon as it begins in a cluster of one, so short ticks
// only make it start sooner. They also set the shortest lease: 1 s.
const (
	tickMs     = 20
	electionMs = 200
)

const anyPort = "127.0.0.1:0"

// portAttempts is how often a free port is looked for, in case another process
// takes it between the look and its use.
const portAttempts = 5

// Start runs a server and waits until it is ready. Errors wrap
// [grapnel.ErrInvalid] for a directory in use and for settings that cannot be
// used, all of them in one error. ctx bounds the start and not the life of the
// server.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	lock, err := lockDir(ctx, cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.StartTimeout,
		fmt.Errorf("%w: not ready within %v", grapnel.ErrUnavailable, cfg.StartTimeout))
	defer cancel()
	for attempt := 1; ; attempt++ {
		rpc := new(rpcServers)
		e, at, err := startEtcd(ctx, cfg, rpc)
		if err == nil {
			return &Server{etcd: e, client: v3client.New(e.Server), rpc: rpc, lock: lock, url: at.String()}, nil
		}
		_, port, _ := net.SplitHostPort(cfg.Listen)
		if errors.Is(err, syscall.EADDRINUSE) && port == "0" && attempt < portAttempts {
			continue
		}
		return nil, errors.Join(fmt.Errorf("embedded etcd in %s: %w", cfg.Dir, err), lock.Close())
	}
}

// startEtcd starts a server, waits until it is ready, and returns where it
// listens.
func startEtcd(ctx context.Context, cfg Config, rpc *rpcServers) (*embed.Etcd, url.URL, error) {
	at, err := address(ctx, cfg)
	if err != nil {
		return nil, at, err
	}
	c := serverConfig(cfg, at)
	c.ServiceRegister = rpc.add
	e, err := embed.StartEtcd(c)
	if err != nil {
		return nil, at, err
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, at, nil
	case err = <-e.Err():
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	e.Close()
	return nil, at, err
}

// address is where to listen, with a free port in place of port 0. Etcd can
// listen on port 0 by itself, but then tells clients to connect to port 0.
func address(ctx context.Context, cfg Config) (url.URL, error) {
	at := url.URL{Scheme: "http", Host: cfg.Listen}
	if cfg.CertFile != "" {
		at.Scheme = "https"
	}
	if at.Port() != "0" {
		return at, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return at, fmt.Errorf("find a free port: %w", err)
	}
	at.Host = l.Addr().String()
	return at, l.Close()
}

func serverConfig(cfg Config, at url.URL) *embed.Config {
	c := embed.NewConfig()
	c.Name = "grapnel"
	c.Dir = filepath.Join(cfg.Dir, dataDir)
	c.TickMs, c.ElectionMs = tickMs, electionMs
	c.UnsafeNoFsync = cfg.NoFsync
	c.QuotaBackendBytes = cfg.QuotaBytes
	if cfg.MaxTxnOps != 0 {
		c.MaxTxnOps = cfg.MaxTxnOps
	}
	c.WatchProgressNotifyInterval = cfg.ProgressInterval
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(cfg.Logger))
	if cfg.CertFile != "" {
		c.ClientTLSInfo = transport.TLSInfo{
			CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
			TrustedCAFile: cfg.TrustedCAFile, ClientCertAuth: cfg.TrustedCAFile != "",
		}
	}
	// Nobody is going to connect, but there has to be an address, which must be
	// the same at each start.
	peer := []url.URL{{Scheme: "http", Host: anyPort}}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{at}, []url.URL{at}
	c.ListenPeerUrls, c.AdvertisePeerUrls = peer, peer
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	// A new directory is a new cluster, and clients can tell. The id that comes
	// out of it is kept in the directory.
	c.InitialClusterToken = uuid.NewString()
	return c
}

// Endpoints are the URLs that clients connect to.
func (s *Server) Endpoints() []string { return []string{s.url} }

// Client returns a client that reaches the server without a connection. It is
// closed with the server. It is for a few requests and not for what the roles
// do: when many of its watches end at once, client and server wait for each
// other for ever, because nothing between them buffers.
func (s *Server) Client() *clientv3.Client { return s.client }

// Failed delivers the error that makes the server stop by itself.
func (s *Server) Failed() <-chan error { return s.etcd.Err() }

// Close stops the server, waits until it has, and gives the directory up.
// Requests of other processes have a moment to end, and are cut off then. It may
// be called more than once.
func (s *Server) Close() error {
	s.closing.Do(func() {
		err := s.client.Close()
		if errors.Is(err, context.Canceled) { // how this kind of client says that it is closed
			err = nil
		}
		s.rpc.stop()
		s.etcd.Close()
		s.closeErr = errors.Join(err, s.lock.Close())
	})
	return s.closeErr
}
