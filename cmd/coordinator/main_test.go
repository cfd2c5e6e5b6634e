package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs the command until it ends or ctx does.
func run(ctx context.Context, args ...string) error {
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	return cmd.ExecuteContext(ctx)
}

func cluster(t *testing.T) (c *local.Cluster, endpoint string) {
	t.Helper()
	c, err := local.Open(t.Context(), local.Config{Namespace: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, strings.TrimPrefix(c.Endpoints()[0], "http://")
}

func TestWhatCannotWorkIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	_, endpoint := cluster(t)
	for _, tt := range []struct {
		arg  string
		want error
	}{
		{"stray", grapnel.ErrInvalid},
		{"--stray", grapnel.ErrInvalid},
		{"--ttl=1ms", grapnel.ErrInvalid},
		{"--sweep=-1s", grapnel.ErrInvalid},
		{"--namespace=a/b", grapnel.ErrInvalid},
		{"", grapnel.ErrUnavailable},
	} {
		args := []string{"--endpoints", endpoint, tt.arg}
		if tt.arg == "" {
			args = []string{"--endpoints", "127.0.0.1:1"}
		}
		if err := run(t.Context(), args...); !errors.Is(err, tt.want) {
			t.Errorf("with %q the command returned %v, want %v", args, err, tt.want)
		}
	}
}

func TestItCoordinatesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	c, endpoint := cluster(t)
	keys, err := store.NewKeys("default")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches := c.Store().Watch(ctx, store.WatchRequest{Prefix: keys.Coordinators()})
	<-batches // it is open
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, "--endpoints", endpoint, "--retention", "-1s", "--sink", filepath.Join(t.TempDir(), "records"))
	}()
	for b := range batches {
		if len(b.Events) > 0 {
			cancel() // it has joined
		}
	}
	if err := <-done; err != nil {
		t.Errorf("the command returned %v", err)
	}
	if page, err := c.Store().List(t.Context(), store.ListRequest{Prefix: keys.Coordinators()}); err != nil || len(page.KVs) != 0 {
		t.Errorf("it has not resigned: %v, %v", page.KVs, err)
	}
}

func TestItsReferenceIsComplete(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), "reference"); err != nil {
		t.Errorf("%v", err)
	}
}
