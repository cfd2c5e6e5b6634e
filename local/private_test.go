package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
)

func TestAPrivateClusterIsForItsProcessOnly(t *testing.T) {
	t.Parallel()
	cfg := local.Config{Dir: filepath.Join(t.TempDir(), "data"), Private: true}
	stale := filepath.Join(cfg.Dir, "tls-killed")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := local.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := os.Stat(stale); err == nil {
		t.Error("credentials of a process that was killed are still there")
	}
	run, err := client.Start(t.Context(), c.Client(), flow(func(_ context.Context, n int) (int, error) { return n, nil }), 1, client.WithID("r"))
	if err != nil || run.ID() != "r" {
		t.Fatalf("its own process cannot use it: %v", err)
	}

	keys, err := filepath.Glob(filepath.Join(cfg.Dir, "tls-*", "*.pem"))
	if err != nil || len(keys) != 3 {
		t.Fatalf("the credentials are %v, %v", keys, err)
	}
	for _, name := range keys {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	// Who can see the authority's certificate still cannot connect.
	url := c.Endpoints()[0]
	ca := filepath.Join(filepath.Dir(keys[0]), "ca.pem")
	for _, other := range []etcdstore.Config{
		{Endpoints: []string{strings.TrimPrefix(url, "https://")}},
		{Endpoints: []string{url}, CAFile: ca},
	} {
		st, err := etcdstore.Open(t.Context(), other)
		if err == nil {
			t.Errorf("a stranger got in with %+v", other)
			_ = st.Close()
		}
	}
}

func TestAPrivateClusterDoesNotListen(t *testing.T) {
	t.Parallel()
	if _, err := local.Open(t.Context(), local.Config{Private: true, Listen: "127.0.0.1:0"}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("Open returned %v", err)
	}
}

func TestAPrivateClusterLeavesNoKeysBehind(t *testing.T) {
	t.Parallel()
	cfg := local.Config{Dir: filepath.Join(t.TempDir(), "data"), Private: true}
	c, err := local.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(cfg.Dir, "tls-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
