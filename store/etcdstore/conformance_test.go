package etcdstore

import (
	"context"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/storetest"
)

// TestStoreKeepsWhatThePortPromises runs the suite with the defaults, without
// shared requests, and with as many commits in a request as there can be.
func TestStoreKeepsWhatThePortPromises(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"defaults":              {},
		"one request at a time": {InFlight: 1},
		"no shared requests":    {InFlight: 64, MaxOps: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, embedetcd.Config{})
			st := open(t, server, cfg)
			storetest.Run(t, func(*testing.T) store.Store { return st }, storetest.Options{
				Compact: func(ctx context.Context, _ store.Store, rev grapnel.Revision) error {
					_, err := server.Client().Compact(ctx, int64(rev))
					return err
				},
			})
		})
	}
}
