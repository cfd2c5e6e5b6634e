package memstore_test

import (
	"context"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/store/storetest"
)

// open returns an empty store that is closed with the test.
func open(t testing.TB, opts ...memstore.Option) *memstore.Store {
	t.Helper()
	s := memstore.New(opts...)
	t.Cleanup(s.Close)
	return s
}

func TestStoreKeepsWhatThePortPromises(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) }, storetest.Options{
		Parallel: true,
		Compact: func(_ context.Context, s store.Store, rev grapnel.Revision) error {
			return s.(*memstore.Store).Compact(rev)
		},
	})
}
