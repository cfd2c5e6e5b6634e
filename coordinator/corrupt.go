package coordinator

import (
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// reportCorrupt marks a run whose bytes do not decode, once. The bytes stay as
// they are, and the run is left alone until they change.
func (l *loop) reportCorrupt(r *run, cause error) {
	if r.corrupt {
		return
	}
	r.corrupt = true
	l.log.Error("run is corrupt", "run", r.id, "error", cause)
	value, err := proto.Marshal(&pb.Corrupt{Key: r.head.Key, Reason: cause.Error(), Revision: int64(r.rev)})
	if err != nil {
		l.log.Error("report of a corrupt run not encoded", "run", r.id, "error", err)
		return
	}
	m, guard, key := l.member, l.shardGuard(r.shard), l.keys.Corrupt(r.id)
	t := store.Txn{If: []store.Guard{store.Absent(key), guard}, Then: []store.Op{store.Put(key, value, 0)}}
	l.async(func() func() {
		_, err := store.Settle(m.Context(), l.st, t)
		return func() {
			if err != nil {
				l.log.Warn("corrupt run not reported; tried again", "run", r.id, "error", err)
				r.corrupt = false
				if l.shards[r.shard].active {
					l.wakes.set(r, l.clock.now().Add(retryUndecodable))
				}
			}
		}
	})
}
