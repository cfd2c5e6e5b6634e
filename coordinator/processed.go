package coordinator

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// quietShards is how many times less often a shard is recorded in which nothing
// happens.
const quietShards = 30

// history is what was recorded of shards when the coordinator began.
type history struct {
	// rev is the revision as of which that was read, and from which history is
	// read where nothing was recorded; zero before.
	rev grapnel.Revision
	// unrecorded has the shards of which nothing is known to be recorded.
	unrecorded [store.Shards]bool
}

// read takes in the records as of a revision.
func (h *history) read(keys store.Keys, kvs []store.KV, rev grapnel.Revision) {
	h.rev = rev
	for i := range h.unrecorded {
		key := keys.Processed(store.Shard(i))
		h.unrecorded[i] = !slices.ContainsFunc(kvs, func(kv store.KV) bool { return kv.Key == key })
	}
}

// writeProcessed records, for each active shard, the revision up to which no
// loss of it is left to be counted. Whoever owns it next reads history from
// there on.
func (l *loop) writeProcessed() {
	now := l.clock.now()
	var open map[store.Shard]grapnel.Revision // oldest loss not counted
	for i := range l.shards {
		s, sh := store.Shard(i), &l.shards[i]
		if !sh.active || sh.recording || now < l.recordAt(sh) {
			continue
		}
		if open == nil {
			open = l.openLosses()
		}
		rev := l.view.applied
		if at, ok := open[s]; ok {
			rev = min(rev, at-1)
		}
		sh.recordAt = now
		if rev <= sh.processed {
			continue
		}
		sh.busy, sh.recording = false, true
		l.record(s, rev)
	}
}

// recordAt returns when a shard is to be recorded next.
func (l *loop) recordAt(sh *shard) workflow.Moment {
	every := l.cfg.Processed
	if !sh.busy {
		every *= quietShards
	}
	return sh.recordAt.Add(every)
}

func (l *loop) nextProcessed() workflow.Moment {
	var next workflow.Moment
	for i := range l.shards {
		if sh := &l.shards[i]; sh.active && !sh.recording {
			if at := l.recordAt(sh); next == 0 || at < next {
				next = at
			}
		}
	}
	return next
}

// openLosses returns the revision of the oldest loss not counted, by shard.
func (l *loop) openLosses() map[store.Shard]grapnel.Revision {
	open := map[store.Shard]grapnel.Revision{}
	for r := range l.view.lossy {
		for _, lo := range r.losses {
			if at, ok := open[r.shard]; !ok || lo.at < at {
				open[r.shard] = lo.at
			}
		}
	}
	return open
}

func (l *loop) record(s store.Shard, rev grapnel.Revision) {
	m := l.member
	t := store.Txn{
		If:   []store.Guard{l.shardGuard(s)},
		Then: []store.Op{store.Put(l.keys.Processed(s), encodeProcessed(rev), 0)},
	}
	l.async(func() func() {
		res, err := store.Settle(m.Context(), l.st, t)
		return func() {
			sh := &l.shards[s]
			sh.recording = false
			switch {
			case l.member != m:
			case err != nil:
				l.log.Warn("processed revision not recorded", "shard", s, "error", err)
				sh.busy = true
			case res.Succeeded:
				sh.processed = max(sh.processed, rev)
			}
		}
	})
}

func encodeProcessed(rev grapnel.Revision) []byte {
	value, err := proto.Marshal(&pb.Processed{Revision: int64(rev)})
	if err != nil {
		panic(err) // a number always has an encoding
	}
	return value
}
