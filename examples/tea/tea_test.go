package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/local"
)

func TestTeaIsMadeByAWorkerOfItsOwn(t *testing.T) {
	t.Parallel()
	cluster, err := local.Open(t.Context(), local.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- run(ctx, strings.TrimPrefix(cluster.Endpoints()[0], "http://")) }()

	for kind, want := range map[string]string{"assam": "assam leaves in water for 1", "coffee": ""} {
		r, err := client.Start(ctx, cluster.Client(), tea, Order{Kind: kind, Cups: 1})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Wait(ctx)
		var failed *client.RunFailedError
		switch {
		case want == "" && (!errors.As(err, &failed) || failed.Cause == nil || failed.Cause.Kind != "no-tea"):
			t.Errorf("%s: got %q, %v", kind, got, err)
		case want != "" && (err != nil || got != want):
			t.Errorf("%s: got %q, %v", kind, got, err)
		}
	}
	stop()
	if err := <-worked; err != nil {
		t.Error(err)
	}
}
