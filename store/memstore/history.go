package memstore

import (
	"fmt"
	"slices"
	"sort"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// write records a change at revision rev, the next one. Called with mu held.
func (s *Store) write(rev grapnel.Revision, ev store.Event) {
	key := ev.KV.Key
	before, existed := s.current(key)
	if existed {
		ev.Previous = before
		if l := s.leases[before.Lease]; l != nil {
			delete(l.keys, key)
		}
	}
	ev.KV.Mod = rev
	if ev.Deleted {
		s.live.remove(key)
	} else {
		ev.KV.Create = rev
		if existed {
			ev.KV.Create = before.Create
		}
		if l := s.leases[ev.KV.Lease]; l != nil {
			l.keys[key] = struct{}{}
		}
		s.live.insert(key)
	}
	if _, known := s.pairs[key]; !known {
		s.keys.insert(key)
	}
	s.pairs[key] = append(s.pairs[key], ev.KV)
	s.log = append(s.log, ev)
}

// Compact forgets what is needed only to read or watch revisions before rev. It
// returns [grapnel.ErrInvalid] for a revision that is to come and a
// [store.CompactedError] for one that was compacted. Watches that have yet to
// deliver what is forgotten deliver it all the same.
func (s *Store) Compact(rev grapnel.Revision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rev > s.rev {
		return fmt.Errorf("%w: compact revision %d, which is to come", grapnel.ErrInvalid, rev)
	}
	if rev <= s.compacted {
		return &store.CompactedError{Revision: s.compacted}
	}
	s.compacted = rev
	i := sort.Search(len(s.log), func(i int) bool { return s.log[i].KV.Mod >= rev })
	s.log = slices.Clone(s.log[i:])
	for key, v := range s.pairs {
		oldest := sort.Search(len(v), func(i int) bool { return v[i].Mod > rev }) - 1
		if v = v[max(oldest, 0):]; len(v) == 1 && v[0].Create == 0 && v[0].Mod <= rev {
			delete(s.pairs, key)
			s.keys.remove(key)
			continue
		}
		s.pairs[key] = slices.Clone(v)
	}
	return nil
}
