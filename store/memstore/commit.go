package memstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Commit implements [store.Store].
func (s *Store) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	if err := t.Validate(); err != nil {
		return store.Result{}, err
	}
	if n := size(t); n > s.maxRequest {
		return store.Result{}, fmt.Errorf("%w: a transaction of %d bytes, at most %d are allowed", grapnel.ErrTooLarge, n, s.maxRequest)
	}
	if n := max(len(t.If), len(t.Then), len(t.Else)); n > s.maxOps {
		return store.Result{}, fmt.Errorf("%w: a transaction of %d operations, at most %d are allowed", grapnel.ErrTooLarge, n, s.maxOps)
	}
	if err := s.enter(ctx, writes(t)); err != nil {
		return store.Result{}, err
	}
	defer s.mu.Unlock()
	res := store.Result{Succeeded: true}
	for _, g := range t.If {
		res.Succeeded = res.Succeeded && s.holds(g)
	}
	ops := t.Then
	if !res.Succeeded {
		ops = t.Else
	}
	for _, o := range ops {
		if o.Kind == store.OpPut && o.Lease != 0 && s.leases[o.Lease] == nil {
			return store.Result{}, fmt.Errorf("put %q: lease %x: %w", o.Key, int64(o.Lease), store.ErrLeaseNotFound)
		}
	}
	next, changed := s.rev+1, len(s.log)
	res.Reads = make([]store.Read, len(ops))
	for i, o := range ops {
		res.Reads[i] = s.apply(next, o)
	}
	if len(s.log) > changed {
		s.rev = next
		s.notify(s.log[changed:])
	}
	res.Revision = s.rev
	return res, nil
}

func size(t store.Txn) int {
	n := 0
	for _, g := range t.If {
		n += len(g.Key)
	}
	for _, ops := range [][]store.Op{t.Then, t.Else} {
		for _, o := range ops {
			n += len(o.Key) + len(o.Value)
		}
	}
	return n
}

func writes(t store.Txn) bool {
	for _, ops := range [][]store.Op{t.Then, t.Else} {
		for _, o := range ops {
			if o.Writes() {
				return true
			}
		}
	}
	return false
}

func (s *Store) holds(g store.Guard) bool {
	kv, found := s.current(g.Key)
	switch g.Kind {
	case store.GuardAbsent:
		return !found
	case store.GuardExists:
		return found
	case store.GuardModIs:
		return kv.Mod == g.Rev
	case store.GuardCreateIs:
		return kv.Create == g.Rev
	case store.GuardCreateIsNot:
		return kv.Create != g.Rev
	case store.GuardPrefixEmpty:
		_, found = s.first(g.Key)
		return !found
	}
	return false
}

func (s *Store) apply(rev grapnel.Revision, o store.Op) store.Read {
	switch o.Kind {
	case store.OpPut:
		value := append([]byte{}, o.Value...)
		s.write(rev, store.Event{KV: store.KV{Key: o.Key, Value: value, Lease: o.Lease}})
	case store.OpDelete:
		if _, found := s.current(o.Key); found {
			s.write(rev, store.Event{Deleted: true, KV: store.KV{Key: o.Key}})
		}
	case store.OpDeletePrefix:
		for _, key := range slices.Collect(s.live.from(o.Key, "")) {
			s.write(rev, store.Event{Deleted: true, KV: store.KV{Key: key}})
		}
	case store.OpGet:
		kv, found := s.current(o.Key)
		return store.Read{KV: kv, Found: found}
	case store.OpGetFirst:
		kv, found := s.first(o.Key)
		return store.Read{KV: kv, Found: found}
	}
	return store.Read{}
}
