package coordinator

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// acquireRetry is how long after a failed attempt a shard that nobody owns is
// tried again.
const acquireRetry = workflow.Moment(250)

// shard is what is known of a shard and its owner.
type shard struct {
	runs map[grapnel.RunID]*run

	taken     bool             // somebody's key is there, as far as known
	seen      grapnel.Revision // when that was
	acquiring bool             // a commit that takes it is on its way
	retryAt   workflow.Moment

	owned  grapnel.Revision // the create revision of this member's key; zero if it has none
	active bool             // owned, and the view is as new as the ownership

	busy      bool             // something happened since processed was recorded
	recording bool             // a record is on its way
	processed grapnel.Revision // as recorded last
	recordAt  workflow.Moment
}

// wants reports whether this coordinator tries to own a shard that nobody owns.
// It is the only place to change for coordinators to share shards in another
// way: all else goes by what is owned.
func (l *loop) wants(store.Shard) bool { return true }

// resetOwners takes in who owns which shard.
func (l *loop) resetOwners(kvs []store.KV, rev grapnel.Revision) {
	found := map[string]store.KV{}
	for _, kv := range kvs {
		found[kv.Key] = kv
	}
	for i := range l.shards {
		s := store.Shard(i)
		if kv, ok := found[l.keys.ShardOwner(s)]; ok {
			l.ownerIs(s, kv, rev)
		} else {
			l.ownerGone(s, rev)
		}
	}
	l.settled = true
}

func (l *loop) ownerChanged(ev store.Event) {
	n, err := strconv.ParseUint(strings.TrimPrefix(ev.KV.Key, l.keys.ShardOwners()), 16, 8)
	s := store.Shard(n)
	switch {
	case err != nil || l.keys.ShardOwner(s) != ev.KV.Key:
	case ev.Deleted:
		l.ownerGone(s, ev.KV.Mod)
	default:
		l.ownerIs(s, ev.KV, ev.KV.Mod)
	}
}

// ownerIs takes in the ownership key of a shard as of revision rev. A key that
// carries this member's id and lease is adopted, whatever became of the answer
// to the commit that put it.
func (l *loop) ownerIs(s store.Shard, kv store.KV, rev grapnel.Revision) {
	sh := &l.shards[s]
	if rev < sh.seen {
		return
	}
	sh.taken, sh.seen = true, rev
	if m := l.member; m != nil && kv.Lease == m.ID() {
		v := &pb.Coordinator{}
		if err := proto.Unmarshal(kv.Value, v); err == nil && v.Id == m.id {
			l.own(s, kv.Create)
			return
		}
	}
	if sh.owned != 0 && sh.owned != kv.Create {
		l.log.Warn("shard taken by another coordinator", "shard", s)
		l.dropShard(s)
	}
}

func (l *loop) ownerGone(s store.Shard, rev grapnel.Revision) {
	sh := &l.shards[s]
	if rev < sh.seen || rev < sh.owned {
		return
	}
	sh.taken, sh.seen, sh.retryAt = false, rev, 0
	if sh.owned != 0 {
		l.log.Warn("shard lost", "shard", s)
		l.dropShard(s)
	}
}

// acquireShards sends a commit for each shard that nobody owns, all at once, so
// that they share requests.
func (l *loop) acquireShards() {
	if !l.settled || l.history.rev == 0 {
		return // who owns what, and what was recorded of it, is not known yet
	}
	now := l.clock.now()
	for i := range l.shards {
		sh := &l.shards[i]
		if !sh.taken && !sh.acquiring && sh.owned == 0 && sh.retryAt <= now && l.wants(store.Shard(i)) {
			sh.acquiring = true
			l.acquire(l.member, store.Shard(i))
		}
	}
}

// acquire takes a shard. To send the commit again after an unknown outcome is
// safe although it guards on absence: the key can only vanish together with the
// membership key, on which the commit guards too.
func (l *loop) acquire(m *member, s store.Shard) {
	key, me, processed := l.keys.ShardOwner(s), l.keys.Coordinator(m.id), l.keys.Processed(s)
	t := store.Txn{
		If:   []store.Guard{store.Absent(key), store.Exists(me)},
		Then: []store.Op{store.Put(key, m.value, m.ID())},
		Else: []store.Op{store.Get(key), store.Get(me), store.Get(processed)},
	}
	if l.history.unrecorded[s] {
		// The first owner of a shard says where its history begins: if it dies
		// before it has recorded anything, others must know what to read.
		t.If = append(t.If, store.Absent(processed))
		t.Then = append(t.Then, store.Put(processed, encodeProcessed(l.history.rev), 0))
	}
	l.async(func() func() {
		res, err := store.Settle(m.Context(), l.st, t)
		return func() {
			if l.member != m {
				return
			}
			sh := &l.shards[s]
			sh.acquiring = false
			switch {
			case err != nil:
				l.log.Warn("shard not taken", "shard", s, "error", err)
				sh.retryAt = l.clock.now() + acquireRetry
			case res.Succeeded:
				sh.taken, sh.seen = true, max(sh.seen, res.Revision)
				l.history.unrecorded[s] = false
				l.own(s, res.Revision)
			case res.Reads[0].Found:
				l.ownerIs(s, res.Reads[0].KV, res.Revision)
			case !res.Reads[1].Found:
				l.leave(m)
			case l.history.unrecorded[s] && res.Reads[2].Found:
				l.history.unrecorded[s] = false // by an owner that has come and gone since
			default:
				sh.retryAt = l.clock.now() + acquireRetry
			}
		}
	})
}

func (l *loop) nextAcquisition() workflow.Moment {
	var next workflow.Moment
	for i := range l.shards {
		sh := &l.shards[i]
		waits := l.settled && !sh.taken && !sh.acquiring && sh.owned == 0
		if at := sh.retryAt; at != 0 && waits && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}

func (l *loop) own(s store.Shard, create grapnel.Revision) {
	if sh := &l.shards[s]; sh.owned != create {
		l.dropShard(s)
		sh.owned = create
		l.log.Debug("shard taken", "shard", s, "revision", create)
	}
}

// dropShard ends the ownership of a shard in memory. Commits on their way fail
// their guard once the key is gone.
func (l *loop) dropShard(s store.Shard) {
	sh := &l.shards[s]
	if sh.owned == 0 {
		return
	}
	l.deactivate(s)
	sh.owned = 0
}

// activateShards begins to act on the shards that are owned once the view is at
// least as new as the ownership: what the owner before committed is in it.
func (l *loop) activateShards() {
	for i := range l.shards {
		sh := &l.shards[i]
		if sh.owned == 0 || sh.active || !l.view.listed || l.view.applied < max(sh.owned, l.view.base) {
			continue
		}
		sh.active = true
		sh.processed, sh.busy, sh.recordAt = 0, true, l.clock.now()
		for _, r := range sh.runs {
			l.refresh(r)
		}
	}
}

func (l *loop) deactivate(s store.Shard) {
	sh := &l.shards[s]
	if !sh.active {
		return
	}
	sh.active = false
	for _, r := range sh.runs {
		l.setAside(r)
	}
}

// barrier is a key that is put among the keys of runs: when the watch delivers
// it, it has delivered all that came before.
type barrier struct {
	sending bool
	seen    grapnel.Revision // what the view has to get to
	retryAt workflow.Moment
}

// raiseBarrier puts a barrier if something waits for the view to get to a
// revision and nothing else may bring it there.
func (l *loop) raiseBarrier() {
	goal := l.sweep.goal()
	for i := range l.shards {
		if sh := &l.shards[i]; sh.owned != 0 && !sh.active {
			goal = max(goal, sh.owned, l.view.base)
		}
	}
	b := &l.barrier
	if !l.view.listed || goal <= max(l.view.applied, b.seen) || b.sending {
		b.retryAt = 0
		return
	}
	if l.clock.now() < b.retryAt {
		return
	}
	b.sending, b.retryAt = true, 0
	m := l.member
	t := store.Txn{
		If:   []store.Guard{store.Exists(l.keys.Coordinator(m.id))},
		Then: []store.Op{store.Put(l.keys.Barrier(m.id), nil, m.ID())},
	}
	l.async(func() func() {
		res, err := store.Settle(m.Context(), l.st, t)
		return func() {
			if l.member != m {
				return
			}
			b.sending = false
			switch {
			case err != nil:
				l.log.Warn("barrier not put", "error", err)
				b.retryAt = l.clock.now() + acquireRetry
			case res.Succeeded:
				b.seen = res.Revision
			default:
				l.leave(m) // the membership key is gone
			}
		}
	})
}
