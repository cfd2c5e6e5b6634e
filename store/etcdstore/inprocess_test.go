package etcdstore

import (
	"errors"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
)

// An embedded server's own client calls the server directly. It is good for
// everything but many watches; see New.
func TestStoreOnAClientWithoutAConnection(t *testing.T) {
	t.Parallel()
	st, err := New(serve(t, embedetcd.Config{}).Client(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx := t.Context()
	w := st.Watch(ctx, store.WatchRequest{Prefix: "/k"})
	<-w
	res, err := st.Commit(ctx, store.Txn{If: []store.Guard{store.Absent("/k")}, Then: []store.Op{store.Put("/k", nil, 0)}})
	if err != nil || !res.Succeeded {
		t.Fatalf("commit: %+v, %v", res, err)
	}
	if b := <-w; b.Revision != res.Revision || len(b.Events) != 1 {
		t.Errorf("batch %+v", b)
	}
	lease, err := st.Grant(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.KeepAlive(ctx, lease.ID); err != nil {
		t.Error(err)
	}
	_, err = st.Commit(ctx, store.Txn{Then: []store.Op{store.Put("/big", make([]byte, 2<<20), 0)}})
	if !errors.Is(err, grapnel.ErrTooLarge) {
		t.Errorf("commit that is too large: %v", err)
	}
}

func TestCloseLeavesABorrowedClientOpen(t *testing.T) {
	t.Parallel()
	server := serve(t, embedetcd.Config{})
	st, err := New(server.Client(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := server.Client().Put(t.Context(), "/k", "v"); err != nil {
		t.Errorf("put by the client after the store was closed: %v", err)
	}
	if _, err := New(server.Client(), Config{InFlight: -1}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("store with a bad config: %v", err)
	}
}
