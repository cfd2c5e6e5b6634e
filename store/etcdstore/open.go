package etcdstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// probeKey is read when a store is opened. It need not exist, and the user need
// not be allowed to read it.
const probeKey = "/grapnel/"

// stragglers is how long, once a member has answered, the others have to tell
// their version.
const stragglers = 500 * time.Millisecond

// Open connects to etcd. It fails fast: with an error that wraps
// [grapnel.ErrUnavailable] and names each endpoint and what is wrong with it if
// none can be reached or there is no quorum, [store.ErrDenied] if etcd does not
// take the credentials, an [OldServerError], or [grapnel.ErrInvalid] for what is
// wrong with cfg, all of it in one error.
//
// ctx bounds the opening and not the life of the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	err := cfg.validate()
	if len(cfg.Endpoints) == 0 {
		err = errors.Join(err, fmt.Errorf("%w: no endpoints", grapnel.ErrInvalid))
	}
	tlsConfig, tlsErr := cfg.tlsConfig()
	if err = errors.Join(err, tlsErr); err != nil {
		return nil, err
	}
	if err := reach(ctx, cfg, tlsConfig); err != nil {
		return nil, err
	}
	client, err := dial(ctx, cfg, tlsConfig)
	if err != nil {
		return nil, err
	}
	s := newStore(client, cfg)
	if err := s.prove(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func clientConfig(cfg Config, tlsConfig *tls.Config) clientv3.Config {
	options := []grpc.DialOption{grpc.WithStatsHandler(sentWatcher{})}
	if cfg.ServerName != "" {
		// The name in a TLS config does not reach the handshake: etcd's client
		// puts the endpoint's host in its place.
		options = append(options, grpc.WithAuthority(cfg.ServerName))
	}
	return clientv3.Config{
		Endpoints:            cfg.Endpoints,
		DialTimeout:          cfg.DialTimeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		TLS:                  tlsConfig,
		Logger:               zap.NewNop(),
		DialOptions:          options,
	}
}

// reach asks each endpoint for a connection, without credentials, so that a
// member that cannot be reached is told from one that refuses them.
func reach(ctx context.Context, cfg Config, tlsConfig *tls.Config) error {
	client, err := clientv3.New(clientConfig(cfg, tlsConfig))
	if err != nil {
		return fmt.Errorf("%w: etcd client: %w", grapnel.ErrInvalid, err)
	}
	defer func() { _ = client.Close() }()
	answers := statuses(ctx, cfg, client)
	var unreachable []error
	for i, a := range answers {
		if f := diagnose(a.err); a.err != nil && f.is(grapnel.ErrUnavailable) {
			unreachable = append(unreachable, fmt.Errorf("%s: %s", cfg.Endpoints[i], describe(a.err)))
		}
	}
	if len(unreachable) < len(cfg.Endpoints) {
		for _, err := range unreachable {
			cfg.Logger.Warn("etcd endpoint cannot be reached", "error", err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("open etcd: %w: %w", contextError(ctx), errors.Join(unreachable...))
	}
	return fmt.Errorf("%w: open etcd: %w", grapnel.ErrUnavailable, errors.Join(unreachable...))
}

// dial makes the client, which signs in.
func dial(ctx context.Context, cfg Config, tlsConfig *tls.Config) (*clientv3.Client, error) {
	cc := clientConfig(cfg, tlsConfig)
	cc.Username, cc.Password = cfg.Username, cfg.Password
	client, err := clientv3.New(cc)
	if err != nil {
		return nil, fmt.Errorf("sign in to etcd as %q: %w", cfg.Username, readError(ctx, err))
	}
	return client, nil
}

// prove makes a real request, which needs a quorum, and looks at the servers'
// versions.
func (s *Store) prove(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, s.cfg.DialTimeout)
	defer cancel()
	if _, err := s.Get(bounded, probeKey); err != nil && !errors.Is(err, grapnel.ErrNotFound) && !errors.Is(err, store.ErrDenied) {
		if ctx.Err() == nil && !errors.Is(err, grapnel.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", grapnel.ErrUnavailable, err)
		}
		return fmt.Errorf("open etcd: no quorum of %v answers: %w", s.cfg.Endpoints, err)
	}
	for i, a := range statuses(ctx, s.cfg, s.client) {
		endpoint := s.cfg.Endpoints[i]
		if a.err != nil {
			s.cfg.Logger.Warn("version of an etcd member is not known", "endpoint", endpoint, "error", describe(a.err))
			continue
		}
		if err := s.identify(a.resp.Header, 0); err != nil {
			return fmt.Errorf("open etcd: endpoints of different clusters: %w", err)
		}
		if err := checkVersion(endpoint, a.resp.Version); err != nil {
			if !s.cfg.AllowOldServers {
				return err
			}
			s.cfg.Logger.Warn("etcd server is too old", "error", err)
		}
	}
	return nil
}

// memberStatus is what one endpoint answered.
type memberStatus struct {
	resp *pb.StatusResponse
	err  error
}

// statuses asks all endpoints at once. It goes past the client's own method,
// which keeps trying and then does not say what was wrong.
func statuses(ctx context.Context, cfg Config, client *clientv3.Client) []memberStatus {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	out := make([]memberStatus, len(cfg.Endpoints))
	var wg sync.WaitGroup
	for i, endpoint := range cfg.Endpoints {
		wg.Go(func() {
			conn, err := client.Dial(endpoint)
			if err != nil {
				out[i].err = err
				return
			}
			defer func() { _ = conn.Close() }()
			out[i].resp, out[i].err = pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{})
			if out[i].err == nil {
				time.AfterFunc(stragglers, cancel)
			}
		})
	}
	wg.Wait()
	return out
}
