package etcdstore

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Get returns the current value of key; see [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.KV, error) {
	if key == "" {
		return store.KV{}, fmt.Errorf("%w: get without a key", grapnel.ErrInvalid)
	}
	resp, err := s.get(ctx, key)
	if err != nil {
		return store.KV{}, fmt.Errorf("get %q: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return store.KV{}, fmt.Errorf("get %q: %w", key, grapnel.ErrNotFound)
	}
	return decodeKV(resp.Kvs[0]), nil
}

// List returns a page; see [store.Store]. The [store.CompactedError] of a
// listing does not say how far back it could have gone.
func (s *Store) List(ctx context.Context, r store.ListRequest) (store.Page, error) {
	limit := r.Limit
	if limit == 0 {
		limit = store.DefaultPage
	}
	if limit < 0 || r.Revision < 0 {
		return store.Page{}, fmt.Errorf("%w: list %q with limit %d at revision %d", grapnel.ErrInvalid, r.Prefix, r.Limit, r.Revision)
	}
	from, end := r.Prefix, clientv3.GetPrefixRangeEnd(r.Prefix)
	if r.Prefix == "" {
		from, end = "\x00", "\x00" // etcd's way to say: all keys
	}
	if r.After >= from {
		from = r.After + "\x00"
	}
	opts := []clientv3.OpOption{
		clientv3.WithRange(end), clientv3.WithLimit(int64(limit)), clientv3.WithRev(int64(r.Revision)),
	}
	if r.KeysOnly {
		opts = append(opts, clientv3.WithKeysOnly())
	}
	resp, err := s.get(ctx, from, opts...)
	if err != nil {
		return store.Page{}, fmt.Errorf("list %q: %w", r.Prefix, err)
	}
	page := store.Page{
		KVs:      make([]store.KV, len(resp.Kvs)),
		Revision: r.Revision,
		More:     resp.More,
	}
	if page.Revision == 0 {
		page.Revision = grapnel.Revision(resp.Header.GetRevision())
	}
	for i, kv := range resp.Kvs {
		page.KVs[i] = decodeKV(kv)
		if r.KeysOnly {
			page.KVs[i].Lease = 0 // which servers before 3.7 tell
		}
	}
	return page, nil
}

func (s *Store) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var resp *clientv3.GetResponse
	err := s.read(ctx, func(ctx context.Context) (_ *pb.ResponseHeader, err error) {
		if resp, err = s.client.Get(ctx, key, opts...); err != nil {
			return nil, err
		}
		return resp.Header, nil
	})
	return resp, err
}

// read makes a linearizable request that writes nothing, as often as it takes
// within the request time-out.
func (s *Store) read(ctx context.Context, request func(context.Context) (*pb.ResponseHeader, error)) error {
	limited, cancel := s.limit(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for pause := (store.Pause{}); ; {
		known := s.identity.known()
		header, err := request(limited)
		if err == nil {
			return s.identify(header, known)
		}
		if diagnose(err).passing && pause.Wait(limited) == nil {
			continue
		}
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		return readError(ctx, err)
	}
}

// limit bounds a request by the request time-out, if ctx does not end earlier,
// and by the life of the store.
func (s *Store) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
