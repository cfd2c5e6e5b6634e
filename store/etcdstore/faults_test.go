package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
)

// deafProxy forwards connections to a server and can swallow its replies.
type deafProxy struct {
	listener net.Listener
	to       string
	deaf     atomic.Bool
	wg       sync.WaitGroup
}

func newDeafProxy(t *testing.T, endpoint string) *deafProxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &deafProxy{listener: l, to: strings.TrimPrefix(endpoint, "http://")}
	p.wg.Go(p.serve)
	t.Cleanup(func() { _ = l.Close(); p.wg.Wait() })
	return p
}

func (p *deafProxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		done := func() { _ = client.Close(); _ = server.Close() }
		p.wg.Go(func() { defer done(); _, _ = io.Copy(server, client) })
		p.wg.Go(func() { defer done(); _, _ = io.Copy(p.hears(client), server) })
	}
}

func (p *deafProxy) hears(w io.Writer) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		if p.deaf.Load() {
			return len(b), nil
		}
		return w.Write(b)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestLostReplyIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := serve(t, embedetcd.Config{})
	p := newDeafProxy(t, s.Endpoints()[0])
	st, err := Open(t.Context(), Config{Endpoints: []string{p.listener.Addr().String()}, RequestTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	p.deaf.Store(true)
	_, err = st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/k", []byte("v"), 0)}})
	if !errors.Is(err, grapnel.ErrUnknown) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("commit: %v, want an unknown outcome", err)
	}
	if _, err := st.Get(t.Context(), "/k"); !errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("get: %v, want unavailable", err)
	}
	resp, err := s.Client().Get(t.Context(), "/k")
	if err != nil || len(resp.Kvs) != 1 {
		t.Errorf("the commit did not arrive: %v, %v", resp, err)
	}
}

func TestStoreRecoversFromARestartWithoutHelp(t *testing.T) {
	t.Parallel()
	cfg := embedetcd.Config{Dir: t.TempDir(), NoFsync: true}
	s, err := embedetcd.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	st, err := Open(t.Context(), Config{Endpoints: s.Endpoints(), RequestTimeout: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	w := st.Watch(t.Context(), store.WatchRequest{Prefix: "/k/"})
	<-w

	// Writers go on all the while.
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var failed, acknowledged sync.Map
	for i := range 8 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("/k/%d/%d", i, n)
				switch _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put(key, nil, 0)}}); {
				case err == nil:
					acknowledged.Store(key, true)
				case errors.Is(err, grapnel.ErrUnknown), errors.Is(err, grapnel.ErrUnavailable):
					failed.Store(key, err)
				default:
					t.Errorf("commit: %v", err)
				}
			}
		})
	}
	seen := make(map[string]bool)
	receive := func(enough func() bool) {
		t.Helper()
		for !enough() {
			b := <-w
			if b.Err != nil {
				t.Fatalf("watch: %v", b.Err)
			}
			for _, e := range b.Events {
				if seen[e.KV.Key] {
					t.Errorf("the watch delivered %s twice", e.KV.Key)
				}
				seen[e.KV.Key] = true
			}
		}
	}
	receive(func() bool { return len(seen) >= 50 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/down", nil, 0)}}); !errors.Is(err, grapnel.ErrUnavailable) || errors.Is(err, grapnel.ErrUnknown) {
		t.Errorf("commit while there is no server: %v, want unavailable", err)
	}
	if _, err := st.Get(t.Context(), "/down"); !errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("get while there is no server: %v, want unavailable", err)
	}
	cfg.Listen = strings.TrimPrefix(s.Endpoints()[0], "http://")
	serve(t, cfg)
	before := len(seen)
	receive(func() bool { return len(seen) >= before+50 })
	stop()
	writers.Wait()
	if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/k/last", nil, 0)}}); err != nil {
		t.Fatal(err)
	}
	receive(func() bool { return seen["/k/last"] })
	acknowledged.Range(func(key, _ any) bool {
		if _, err := st.Get(t.Context(), key.(string)); err != nil {
			t.Errorf("acknowledged: %v", err)
		}
		if !seen[key.(string)] {
			t.Errorf("the watch left out %s", key)
		}
		return true
	})
	count := 0
	failed.Range(func(any, any) bool { count++; return true })
	if count == 0 {
		t.Error("nobody noticed the restart")
	}
}

func TestAnotherClusterEndsTheStore(t *testing.T) {
	t.Parallel()
	s, err := embedetcd.Start(t.Context(), embedetcd.Config{Dir: t.TempDir(), NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	st := open(t, s, Config{})
	w := st.Watch(t.Context(), store.WatchRequest{Prefix: "/"})
	<-w
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, embedetcd.Config{Listen: strings.TrimPrefix(s.Endpoints()[0], "http://")})

	var changed *ClusterChangedError
	for !errors.As(err, &changed) {
		if _, err = st.Get(t.Context(), "/k"); errors.Is(err, grapnel.ErrNotFound) {
			t.Fatal("the other cluster's answer was taken")
		}
	}
	if !errors.Is(err, grapnel.ErrUnavailable) || changed.OldCluster == changed.NewCluster {
		t.Errorf("error %v", err)
	}
	if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Delete("/k")}}); !errors.As(err, &changed) {
		t.Errorf("commit: %v", err)
	}
	var last store.Batch
	for b := range w {
		last = b
	}
	if !errors.As(last.Err, &changed) {
		t.Errorf("watch ended with %+v", last)
	}
}

func TestRestoredBackupEndsTheStore(t *testing.T) {
	t.Parallel()
	dir, backup := t.TempDir(), t.TempDir()+"/backup"
	s, err := embedetcd.Start(t.Context(), embedetcd.Config{Dir: dir, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	listen := strings.TrimPrefix(s.Endpoints()[0], "http://")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if s, err = embedetcd.Start(t.Context(), embedetcd.Config{Dir: dir, Listen: listen, NoFsync: true}); err != nil {
		t.Fatal(err)
	}
	st := open(t, s, Config{})
	if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/k", nil, 0)}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, embedetcd.Config{Dir: backup, Listen: listen})

	var changed *ClusterChangedError
	for !errors.As(err, &changed) {
		if _, err = st.Get(t.Context(), "/k"); errors.Is(err, grapnel.ErrNotFound) {
			t.Fatal("an answer from the past was taken")
		}
	}
	if changed.OldCluster != changed.NewCluster || changed.NewRevision >= changed.OldRevision {
		t.Errorf("error %v", err)
	}
}

func TestIdentityComparesWithWhatWasKnownBeforeTheRequest(t *testing.T) {
	t.Parallel()
	var id identity
	header := func(cluster uint64, rev int64) *pb.ResponseHeader {
		return &pb.ResponseHeader{ClusterId: cluster, Revision: rev}
	}
	early := id.known()
	id.saw(header(7, 10))
	if err := id.check(header(7, 5), early); err != nil {
		t.Errorf("answer that was overtaken: %v", err)
	}
	if err := id.check(header(7, 10), id.known()); err != nil {
		t.Errorf("same revision: %v", err)
	}
	if err := id.check(header(7, 9), id.known()); err == nil {
		t.Error("revision that went back was taken")
	}
	if err := id.check(header(7, 1), 0); err != nil {
		t.Errorf("answer that is not linearizable: %v", err)
	}
	if err := id.check(header(8, 11), 0); err == nil {
		t.Error("another cluster was taken")
	}
	if err := id.check(nil, id.known()); err != nil {
		t.Errorf("answer without a header: %v", err)
	}
}

func TestFullStoreRefusesPutsAndTakesDeletions(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{QuotaBytes: 2 << 20}), Config{})
	put := func(i int) error {
		_, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put(fmt.Sprint("/k/", i), make([]byte, 200<<10), 0)}})
		return err
	}
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = put(n)
	}
	if !errors.Is(err, grapnel.ErrOverCapacity) {
		t.Fatalf("commit %d: %v", n, err)
	}
	// From the second time on it is certain.
	if err := put(n); !errors.Is(err, grapnel.ErrOverCapacity) || errors.Is(err, grapnel.ErrUnknown) {
		t.Errorf("commit under the alarm: %v", err)
	}
	if _, err := st.Get(t.Context(), fmt.Sprint("/k/", n)); !errors.Is(err, grapnel.ErrNotFound) {
		t.Errorf("get of what was refused: %v", err)
	}
	if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.DeletePrefix("/k/")}}); err != nil {
		t.Errorf("deletion: %v", err)
	}
	// And recovers once there is space.
	ctx, client := t.Context(), st.client
	resp, err := client.Get(ctx, "/k/0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, resp.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Defragment(ctx, client.Endpoints()[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AlarmDisarm(ctx, new(clientv3.AlarmMember)); err != nil {
		t.Fatal(err)
	}
	if err := put(0); err != nil {
		t.Errorf("commit after space was made: %v", err)
	}
	if st.quota.seen.Load() != nil {
		t.Error("the alarm is still believed in")
	}
}

func TestTooLargeCommitFailsNoNeighbour(t *testing.T) {
	t.Parallel()
	st := open(t, serve(t, embedetcd.Config{MaxTxnOps: 20}), Config{InFlight: 1})
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			txn, want := store.Txn{Then: []store.Op{store.Put(fmt.Sprint("/k/", i), nil, 0)}}, error(nil)
			switch i {
			case 7: // over the size of a request
				txn.Then[0].Value, want = make([]byte, 1600<<10), grapnel.ErrTooLarge
			case 8: // over the size of a message
				txn.Then[0].Value, want = make([]byte, 3<<20), grapnel.ErrTooLarge
			case 9: // over the number of operations
				for n := range 20 {
					txn.Then = append(txn.Then, store.Put(fmt.Sprint("/n/", n), nil, 0))
				}
				want = grapnel.ErrTooLarge
			}
			if _, err := st.Commit(t.Context(), txn); !errors.Is(err, want) || errors.Is(err, grapnel.ErrUnknown) {
				t.Errorf("commit %d: %v, want %v", i, err, want)
			}
		})
	}
	wg.Wait()
}
