package embedetcd_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
)

func start(t *testing.T, cfg embedetcd.Config) *embedetcd.Server {
	t.Helper()
	s, err := embedetcd.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServerKeepsItsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, embedetcd.Config{Dir: dir})
	if _, err := s.Client().Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, embedetcd.Config{Dir: dir})
	defer s.Close()
	resp, err := s.Client().Get(t.Context(), "k")
	if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "v" {
		t.Fatalf("get: %v, %v", resp, err)
	}
}

func TestServerListensOnAFreePort(t *testing.T) {
	t.Parallel()
	s := start(t, embedetcd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", NoFsync: true})
	defer s.Close()
	c, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
}

func TestServerRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, embedetcd.Config{Dir: dir, NoFsync: true})
	defer s.Close()
	if _, err := embedetcd.Start(t.Context(), embedetcd.Config{Dir: dir}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("second server: %v, want ErrInvalid", err)
	}
}

func TestServerRefusesAWrongAddress(t *testing.T) {
	t.Parallel()
	if _, err := embedetcd.Start(t.Context(), embedetcd.Config{Dir: t.TempDir(), Listen: "nowhere"}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("start: %v, want ErrInvalid", err)
	}
}

func TestServerRefusesADirectoryThatAStandAloneEtcdHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, embedetcd.Config{Dir: dir, NoFsync: true})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, "etcd", "member", "snap", "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := embedetcd.Start(t.Context(), embedetcd.Config{Dir: dir}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("start: %v, want ErrInvalid", err)
	}
}

func TestStartReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := embedetcd.Start(t.Context(), embedetcd.Config{Listen: "nowhere", CertFile: "cert", QuotaBytes: -1})
	if !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("start: %v, want ErrInvalid", err)
	}
	for _, want := range []string{"no data directory", `"nowhere"`, "key file", "quota"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if s, err := embedetcd.Start(ctx, embedetcd.Config{Dir: dir, NoFsync: true}); err == nil {
		_ = s.Close() // it was ready before it looked
	} else if !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
		t.Fatalf("start: %v, want the cause", err)
	}
	// The directory was given up.
	s := start(t, embedetcd.Config{Dir: dir, NoFsync: true})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMembersAreToldThePortThatServes(t *testing.T) {
	t.Parallel()
	s := start(t, embedetcd.Config{Dir: t.TempDir(), NoFsync: true})
	defer s.Close()
	resp, err := s.Client().MemberList(t.Context())
	if err != nil || len(resp.Members) != 1 || !slices.Equal(resp.Members[0].ClientURLs, s.Endpoints()) {
		t.Fatalf("members %v, %v; want one at %v", resp, err, s.Endpoints())
	}
}
