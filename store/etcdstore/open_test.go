package etcdstore

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
)

// refusing returns an address that nobody listens on.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silent returns an address that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestOpenNamesTheEndpointsThatCannotBeReached(t *testing.T) {
	t.Parallel()
	refused, mute := refusing(t), silent(t)
	const timeout = 300 * time.Millisecond
	began := time.Now()
	_, err := Open(t.Context(), Config{Endpoints: []string{refused, mute}, DialTimeout: timeout})
	if took := time.Since(began); took > 10*timeout {
		t.Errorf("open took %v", took)
	}
	if !errors.Is(err, grapnel.ErrUnavailable) {
		t.Fatalf("open: %v", err)
	}
	for _, want := range []string{refused, mute, "connection refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestOpenFailsFastWhereNobodyListens(t *testing.T) {
	t.Parallel()
	began := time.Now()
	_, err := Open(t.Context(), Config{Endpoints: []string{refusing(t)}, DialTimeout: time.Minute})
	if took := time.Since(began); took > 30*time.Second || !errors.Is(err, grapnel.ErrUnavailable) {
		t.Fatalf("open took %v: %v", took, err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, stop)
	defer cancel()
	if _, err := Open(ctx, Config{Endpoints: []string{silent(t)}, DialTimeout: time.Minute}); !errors.Is(err, stop) {
		t.Fatalf("open: %v, want the cause", err)
	}
}

func TestOpenMakesDoWithTheMembersThatAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, embedetcd.Config{})
	st, err := Open(t.Context(), Config{Endpoints: []string{refusing(t), silent(t), s.Endpoints()[0]}})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Get(t.Context(), "/k"); !errors.Is(err, grapnel.ErrNotFound) {
		t.Fatalf("get: %v", err)
	}
}

func TestOpenRefusesEndpointsOfDifferentClusters(t *testing.T) {
	t.Parallel()
	a, b := serve(t, embedetcd.Config{}), serve(t, embedetcd.Config{})
	_, err := Open(t.Context(), Config{Endpoints: []string{a.Endpoints()[0], b.Endpoints()[0]}})
	var changed *ClusterChangedError
	if !errors.As(err, &changed) || changed.OldCluster == changed.NewCluster {
		t.Fatalf("open: %v", err)
	}
}

func TestTLSFileProblemsNameTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.pem")
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{CAFile: missing}, []string{missing}},
		{Config{CAFile: empty}, []string{empty, "no certificate"}},
		{Config{CertFile: empty, KeyFile: missing}, []string{empty, missing}},
	} {
		c.cfg.Endpoints = []string{"etcd:2379"}
		_, err := Open(t.Context(), c.cfg)
		if !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("open: %v", err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := serve(t, embedetcd.Config{})
	admin := s.Client()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(admin.UserAdd(ctx, "root", "root-password"))
	must(admin.UserGrantRole(ctx, "root", "root"))
	must(admin.RoleAdd(ctx, "grapnel"))
	must(admin.RoleGrantPermission(ctx, "grapnel", "/grapnel/mine/", "/grapnel/mine0", 2))
	must(admin.UserAdd(ctx, "grapnel", "secret"))
	must(admin.UserGrantRole(ctx, "grapnel", "grapnel"))
	must(admin.AuthEnable(ctx))

	cfg := Config{Endpoints: s.Endpoints(), Username: "grapnel", Password: "wrong"}
	if _, err := Open(ctx, cfg); !errors.Is(err, store.ErrDenied) {
		t.Errorf("open with a wrong password: %v", err)
	} else if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the password is in: %v", err)
	}

	cfg.Password = "secret"
	var warnings strings.Builder
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: &warnings})
	st, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if warnings.Len() != 0 {
		t.Errorf("open warns: %s", warnings.String())
	}
	mine := store.Txn{Then: []store.Op{store.Put("/grapnel/mine/k", []byte("v"), 0)}}
	if _, err := st.Commit(ctx, mine); err != nil {
		t.Errorf("commit to my namespace: %v", err)
	}
	if _, err := st.Commit(ctx, store.Txn{Then: []store.Op{store.Put("/grapnel/theirs/k", nil, 0)}}); !errors.Is(err, store.ErrDenied) {
		t.Errorf("commit to another namespace: %v", err)
	}
	if _, err := st.Get(ctx, "/grapnel/theirs/k"); !errors.Is(err, store.ErrDenied) {
		t.Errorf("get from another namespace: %v", err)
	}
	if b := <-st.Watch(ctx, store.WatchRequest{Prefix: "/grapnel/theirs/"}); !errors.Is(b.Err, store.ErrDenied) {
		t.Errorf("watch of another namespace: %+v", b)
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	if b := <-st.Watch(watch, store.WatchRequest{Prefix: "/grapnel/mine/"}); b.Err != nil {
		t.Errorf("watch of my namespace: %+v", b)
	}
	// An outdated view of the users, or a token that has expired, is not the
	// caller's business.
	root, err := Open(ctx, Config{Endpoints: s.Endpoints(), Username: "root", Password: "root-password"})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	must(root.client.UserAdd(ctx, "somebody", "else"))
	if _, err := st.Commit(ctx, mine); err != nil {
		t.Errorf("commit after the users changed: %v", err)
	}
	anonymous := Config{Endpoints: s.Endpoints()}
	if a, err := Open(ctx, anonymous); err == nil {
		defer a.Close()
		if _, err := a.Get(ctx, "/grapnel/mine/k"); !errors.Is(err, store.ErrDenied) {
			t.Errorf("get without credentials: %v", err)
		}
	}
}
