package etcdstore

import (
	"context"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/store/storetest"
)

// TestMemoryBehavesAsEtcdDoes is here, not with the store in memory, because a
// server has to be run for it.
func TestMemoryBehavesAsEtcdDoes(t *testing.T) {
	t.Parallel()
	server := serve(t, embedetcd.Config{})
	etcd := storetest.Side{
		Name: "etcd", Store: open(t, server, Config{}),
		Compact: func(ctx context.Context, rev grapnel.Revision) error {
			_, err := server.Client().Compact(ctx, int64(rev))
			return err
		},
	}
	for range 6 {
		mem := memstore.New()
		t.Cleanup(mem.Close)
		storetest.Differential(t, storetest.Side{
			Name: "memory", Store: mem,
			Compact: func(_ context.Context, rev grapnel.Revision) error { return mem.Compact(rev) },
		}, etcd, storetest.DifferentialOptions{Calls: 400})
	}
}
