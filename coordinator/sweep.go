package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// sweep is the comparison of the view with a listing that is under way.
type sweep struct{ waiting *swept }

// swept is a shard as it was listed.
type swept struct {
	shard store.Shard
	rev   grapnel.Revision
	runs  map[grapnel.RunID]*revisions
	done  chan struct{} // closed when it has been compared
}

// revisions are the revisions of a run's keys.
type revisions struct {
	head   grapnel.Revision
	claims map[grapnel.NodeKey]grapnel.Revision
	mail   map[string]grapnel.Revision
}

// goal returns the revision that the view has to get to for the comparison.
func (s *sweep) goal() grapnel.Revision {
	if s.waiting == nil {
		return 0
	}
	return s.waiting.rev
}

// errWentBack: the store was restored from a backup, say, and nothing that was
// read from it before counts.
var errWentBack = errors.New("the store's revision went back")

// keepSweeping compares the view with what is stored, shard by shard, again and
// again. A watch that leaves nothing out needs no such thing; it is here because
// a run that an event was missed of would wait for ever.
func (l *loop) keepSweeping() {
	ticker := time.NewTicker(l.cfg.Sweep)
	defer ticker.Stop()
	var last grapnel.Revision
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-ticker.C:
		}
		var first grapnel.Revision // of this sweep
		complete := true
		for i := range store.Shards {
			sw, err := l.listShard(store.Shard(i))
			if l.ctx.Err() != nil {
				return
			}
			if err != nil {
				l.log.Warn("sweep interrupted", "error", err)
				complete = false
				break
			}
			if sw.rev < last {
				l.do(func() { l.failed = fmt.Errorf("%w: revision %d after %d", errWentBack, sw.rev, last) })
				return
			}
			last = sw.rev
			if first == 0 {
				first = sw.rev
			}
			l.do(func() { l.sweep.waiting = sw; l.compareSwept() })
			select {
			case <-l.ctx.Done():
				return
			case <-sw.done:
			}
		}
		if complete {
			l.log.Debug("sweep complete", "from_revision", first, "to_revision", last)
		}
		l.do(func() {
			maps.DeleteFunc(l.view.gone, func(_ grapnel.RunID, rev grapnel.Revision) bool { return rev <= first })
		})
	}
}

func (l *loop) listShard(s store.Shard) (*swept, error) {
	sw := &swept{shard: s, runs: map[grapnel.RunID]*revisions{}, done: make(chan struct{})}
	rev, err := l.listPages(store.ListRequest{Prefix: l.keys.ShardRuns(s), KeysOnly: true}, func(kvs []store.KV, _ grapnel.Revision) {
		for _, kv := range kvs {
			sw.add(l.keys, kv)
		}
	})
	sw.rev = rev
	return sw, err
}

func (sw *swept) add(keys store.Keys, kv store.KV) {
	k, ok := keys.ParseRun(kv.Key)
	if !ok {
		return
	}
	r := sw.runs[k.Run]
	if r == nil {
		r = &revisions{claims: map[grapnel.NodeKey]grapnel.Revision{}, mail: map[string]grapnel.Revision{}}
		sw.runs[k.Run] = r
	}
	switch k.Kind {
	case "head":
		r.head = kv.Mod
	case "claim":
		if node, ok := claimNode(k.ID); ok {
			r.claims[node] = kv.Mod
		}
	case "event":
		r.mail[kv.Key] = kv.Mod
	}
}

// compareSwept compares once the view has got to the revision that was listed:
// what has not changed since must be the same in both.
func (l *loop) compareSwept() {
	sw := l.sweep.waiting
	if sw == nil || l.view.listed && l.view.applied < sw.rev && l.member != nil {
		return
	}
	l.sweep.waiting = nil
	close(sw.done)
	if !l.view.listed || l.view.applied < sw.rev {
		return // next time
	}
	runs := l.shards[sw.shard].runs
	for id, r := range runs {
		if r.rev <= sw.rev && !r.agrees(sw.runs[id]) {
			l.repair(id)
		}
	}
	for id, listed := range sw.runs {
		if runs[id] == nil && l.view.gone[id] <= sw.rev && !listed.empty() {
			l.repair(id)
		}
	}
}

func (rv *revisions) empty() bool { return rv.head == 0 && len(rv.claims) == 0 && len(rv.mail) == 0 }

// agrees reports whether the view's run is as it was listed.
func (r *run) agrees(listed *revisions) bool {
	if listed == nil {
		return r.empty()
	}
	if r.head.Mod != listed.head || len(r.claims) != len(listed.claims) {
		return false
	}
	for node, mod := range listed.claims {
		if c := r.claims[node]; c == nil || c.mod != mod {
			return false
		}
	}
	if r.ended != 0 {
		return true // what is in its mailbox does not matter any more
	}
	if len(r.mail) != len(listed.mail) {
		return false
	}
	for _, m := range r.mail {
		if listed.mail[m.key] != m.mod {
			return false
		}
	}
	return true
}

// repair reads a run again of which the view had another idea.
func (l *loop) repair(id grapnel.RunID) {
	l.log.Error("the view of a run differed from what is stored; it is read again", "run", id)
	l.async(func() func() {
		kvs, rev, err := l.list(l.keys.Run(id))
		return func() {
			if err != nil {
				l.log.Warn("run not read again", "run", id, "error", err)
				return // the next sweep tries again
			}
			r := l.runFor(id, store.ShardOf(id))
			if r.rev > rev || !l.view.listed {
				return
			}
			l.emptyForListing(r, rev)
			for _, kv := range kvs {
				if k, ok := l.keys.ParseRun(kv.Key); ok {
					l.putListed(r, k, kv)
				}
			}
			l.refresh(r)
		}
	})
}
