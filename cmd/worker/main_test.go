package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs the command until it ends or ctx does, and returns what it said.
func run(ctx context.Context, args ...string) (told string, err error) {
	var out bytes.Buffer
	cmd := cli.NewWorkerBinary()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err = cmd.ExecuteContext(ctx)
	return out.String(), err
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
		{"--slots=-1", grapnel.ErrInvalid},
		{"--queues=a/b", grapnel.ErrInvalid},
		{"--namespace=a/b", grapnel.ErrInvalid},
		{"", grapnel.ErrUnavailable},
	} {
		args := []string{"--endpoints", endpoint, tt.arg}
		if tt.arg == "" {
			args = []string{"--endpoints", "127.0.0.1:1"}
		}
		if _, err := run(t.Context(), args...); !errors.Is(err, tt.want) {
			t.Errorf("with %q the command returned %v, want %v", args, err, tt.want)
		}
	}
}

func TestItSaysThatItHasNoTasksAndShowsUpUntilItIsStopped(t *testing.T) {
	t.Parallel()
	c, endpoint := cluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	keys, err := store.NewKeys("default")
	if err != nil {
		t.Fatal(err)
	}
	batches := c.Store().Watch(ctx, store.WatchRequest{Prefix: keys.Workers()})
	<-batches // it is open
	type result struct {
		told string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		told, err := run(ctx, "--endpoints", endpoint, "--queues", "cpu,gpu", "--slots", "3")
		done <- result{told, err}
	}()
	for b := range batches {
		for _, ev := range b.Events {
			p, err := snapshot.DecodeProfile(ev.KV)
			if !ev.Deleted && (err != nil || p.Slots != 3 || len(p.Queues) != 2 || len(p.Tasks) != 0) {
				t.Errorf("the worker describes itself as %+v, %v", p, err)
			}
			cancel()
		}
	}
	r := <-done
	if r.err != nil || !strings.Contains(r.told, "has no tasks") {
		t.Errorf("the command returned %v and said %q", r.err, r.told)
	}
	if page, err := c.Store().List(t.Context(), store.ListRequest{Prefix: keys.Workers()}); err != nil || len(page.KVs) != 0 {
		t.Errorf("it has not left: %v, %v", page.KVs, err)
	}
}

func TestItsReferenceIsComplete(t *testing.T) {
	t.Parallel()
	if _, err := run(t.Context(), "reference"); err != nil {
		t.Errorf("%v", err)
	}
}
