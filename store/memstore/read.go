package memstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.KV, error) {
	if key == "" {
		return store.KV{}, fmt.Errorf("%w: get without a key", grapnel.ErrInvalid)
	}
	if err := s.enter(ctx, false); err != nil {
		return store.KV{}, err
	}
	defer s.mu.Unlock()
	if kv, ok := s.current(key); ok {
		return kv, nil
	}
	return store.KV{}, fmt.Errorf("get %q: %w", key, grapnel.ErrNotFound)
}

// List implements [store.Store].
func (s *Store) List(ctx context.Context, r store.ListRequest) (store.Page, error) {
	if r.Limit < 0 || r.Revision < 0 {
		return store.Page{}, fmt.Errorf("%w: list %q with limit %d at revision %d", grapnel.ErrInvalid, r.Prefix, r.Limit, r.Revision)
	}
	if err := s.enter(ctx, false); err != nil {
		return store.Page{}, err
	}
	defer s.mu.Unlock()
	page, among := store.Page{Revision: r.Revision}, &s.keys
	switch {
	case r.Revision == 0:
		page.Revision, among = s.rev, &s.live
	case r.Revision < s.compacted:
		return store.Page{}, fmt.Errorf("list %q: %w", r.Prefix, &store.CompactedError{Revision: s.compacted})
	case r.Revision > s.rev:
		return store.Page{}, fmt.Errorf("%w: list at revision %d, which is to come", grapnel.ErrInvalid, r.Revision)
	}
	limit := r.Limit
	if limit == 0 {
		limit = store.DefaultPage
	}
	first := r.Prefix
	if r.After >= first {
		first = r.After + "\x00"
	}
	for key := range among.from(r.Prefix, first) {
		kv, ok := s.at(key, page.Revision)
		if !ok {
			continue
		}
		if len(page.KVs) == limit {
			page.More = true
			break
		}
		if r.KeysOnly {
			kv.Value, kv.Lease = nil, 0
		}
		page.KVs = append(page.KVs, kv)
	}
	return page, nil
}

// current returns the pair of a key as it is now. Called with mu held.
func (s *Store) current(key string) (store.KV, bool) { return s.at(key, s.rev+1) }

// at returns the pair of a key as of a revision. Called with mu held.
func (s *Store) at(key string, rev grapnel.Revision) (store.KV, bool) {
	for _, kv := range slices.Backward(s.pairs[key]) {
		if kv.Mod <= rev {
			if kv.Create == 0 {
				break
			}
			return kv, true
		}
	}
	return store.KV{}, false
}

// first returns the first of the keys that begin with prefix and exist. Called
// with mu held.
func (s *Store) first(prefix string) (store.KV, bool) {
	for key := range s.live.from(prefix, "") {
		return s.current(key)
	}
	return store.KV{}, false
}
