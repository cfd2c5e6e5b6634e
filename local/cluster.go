package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
	"github.com/grapnel-dev/grapnel/worker"
)

// Config configures [Run] and [Open]. The zero value works.
type Config struct {
	// Dir keeps etcd's data, for the next time; empty means a temporary folder
	// that is removed at the end. A folder is for one process at a time. Whoever
	// opens it again does not wait for the leases of processes of this host that
	// are dead: what they were at is offered again at once.
	Dir string
	// Listen is the host:port at which other processes may connect to etcd;
	// empty means a free port of the loopback interface.
	Listen string
	// Private lets nobody but this process connect, not even other users of this
	// host: the connection is by TLS, with keys that are made when the cluster is
	// opened, in Dir, which then only this user can read. It is not for Listen.
	Private bool
	// Namespace is whose runs the cluster looks after; empty means
	// [client.DefaultNamespace].
	Namespace string
	// Slots is how many nodes a worker of this process executes at a time; zero
	// means [worker.DefaultSlots].
	Slots int
	// Register is called with each worker of this process before it runs: for
	// tasks that were made without an implementation. It may be nil.
	Register func(w *worker.Worker)
	// Logger may be nil.
	Logger hclog.Logger
}

// Cluster is etcd and a coordinator in this process. Use [Open], and
// [Cluster.Close].
type Cluster struct {
	cfg    Config
	etcd   *embedetcd.Server
	st     *etcdstore.Store
	c      *client.Client
	remove string // the temporary folder, or empty
	// credentials is the folder of those of a private cluster, or empty.
	credentials string

	ctx  context.Context // ends with the cause that the cluster stops for
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // the coordinator

	closing sync.Once
	closed  error // of the first Close
}

var errClosed = errors.New("local cluster closed")

// Open starts a cluster and returns once it is ready to take runs. Ctx bounds
// the opening and not the life of the cluster. Errors wrap
// [grapnel.ErrInvalid] if Dir is in use or Listen is no address, or are those of
// the parts.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	c := &Cluster{cfg: cfg}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open a local cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context) error {
	dir := c.cfg.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "grapnel-"); err != nil {
			return err
		}
		c.remove = dir
	}
	// What is in a temporary folder need not survive the machine.
	server := embedetcd.Config{Dir: dir, Listen: c.cfg.Listen, NoFsync: c.remove != "", Logger: c.cfg.Logger.Named("etcd")}
	var keys credentials
	var err error
	if c.cfg.Private {
		if c.cfg.Listen != "" {
			return fmt.Errorf("%w: a private cluster cannot listen for others, at %s", grapnel.ErrInvalid, c.cfg.Listen)
		}
		if keys, err = newCredentials(dir); err != nil {
			return err
		}
		c.credentials = keys.dir
		server.CertFile, server.KeyFile, server.TrustedCAFile = keys.cert, keys.key, keys.ca
	}
	if c.etcd, err = embedetcd.Start(ctx, server); err != nil {
		return err
	}
	if err = removeCredentials(dir, keys.dir); err != nil {
		return err
	}
	// Not the server's own client, which comes to a standstill when many watches
	// end at once.
	if c.st, err = etcdstore.Open(ctx, etcdstore.Config{
		Endpoints: c.etcd.Endpoints(), CAFile: keys.ca, CertFile: keys.cert, KeyFile: keys.key, Logger: c.cfg.Logger,
	}); err != nil {
		return err
	}
	if c.c, err = client.New(client.Config{Store: c.st, Namespace: c.cfg.Namespace, Logger: c.cfg.Logger}); err != nil {
		return err
	}
	if c.remove == "" {
		if err = c.bury(ctx); err != nil {
			return err
		}
	}
	co, err := coordinator.New(coordinator.Config{Store: c.st, Namespace: c.cfg.Namespace, Name: "local", Logger: c.cfg.Logger})
	if err != nil {
		return err
	}
	c.wg.Go(func() {
		if err := co.Run(c.ctx); err != nil {
			c.stop(err)
		}
	})
	c.wg.Go(func() {
		select {
		case err := <-c.etcd.Failed():
			c.stop(fmt.Errorf("embedded etcd stopped: %w", err))
		case <-c.ctx.Done():
		}
	})
	return nil
}

// namespace is whose runs the cluster looks after.
func (c *Cluster) namespace() string { return cmp.Or(c.cfg.Namespace, client.DefaultNamespace) }

// Client returns a client of the cluster.
func (c *Cluster) Client() *client.Client { return c.c }

// Store returns the cluster's store. It is closed with the cluster.
func (c *Cluster) Store() store.Store { return c.st }

// Endpoints are the URLs at which other processes reach etcd.
func (c *Cluster) Endpoints() []string { return c.etcd.Endpoints() }

// Failed is closed when a part of the cluster has stopped by itself, or the
// cluster was closed; Err then says why.
func (c *Cluster) Failed() <-chan struct{} { return c.ctx.Done() }

// Err returns nil while the cluster is up.
func (c *Cluster) Err() error {
	if err := context.Cause(c.ctx); err != nil {
		return fmt.Errorf("local cluster: %w", err)
	}
	return nil
}

// Close stops everything and waits until it has stopped. It does not stop
// workers of [Cluster.Work]: end their contexts first. It may be called more
// than once.
func (c *Cluster) Close() error {
	c.closing.Do(func() { c.closed = c.close() })
	return c.closed
}

func (c *Cluster) close() error {
	c.stop(errClosed)
	c.wg.Wait()
	var errs []error
	if c.st != nil {
		errs = append(errs, c.st.Close())
	}
	if c.etcd != nil {
		errs = append(errs, c.etcd.Close())
	}
	if c.credentials != "" {
		errs = append(errs, os.RemoveAll(c.credentials))
	}
	if c.remove != "" {
		errs = append(errs, os.RemoveAll(c.remove))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close a local cluster: %w", err)
	}
	return nil
}
