package etcdstore

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/internal/embedetcd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs an etcd for the length of a test.
func serve(t testing.TB, cfg embedetcd.Config) *embedetcd.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.NoFsync = true
	s, err := embedetcd.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open connects to a server, closing the store at the end of the test.
func open(t testing.TB, s *embedetcd.Server, cfg Config) *Store {
	t.Helper()
	cfg.Endpoints = s.Endpoints()
	st, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}
