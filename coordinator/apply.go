package coordinator

import (
	"fmt"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// applyBatch applies what the watch over runs delivered.
func (l *loop) applyBatch(b store.Batch) {
	touched := map[*run]struct{}{}
	for events := b.Events; len(events) > 0; {
		rev, n := events[0].KV.Mod, 1
		for n < len(events) && events[n].KV.Mod == rev {
			n++
		}
		l.applyRevision(rev, events[:n], touched)
		events = events[n:]
	}
	l.view.applied = max(l.view.applied, b.Revision)
	if l.view.applied > l.view.base {
		l.view.replay = nil
	}
	for r := range touched {
		l.refresh(r)
	}
	l.compareSwept()
}

// applyRevision applies the events of one revision. It is here that losses are
// told from claims deleted on purpose: a commit that deletes a claim writes or
// deletes the run's head too.
func (l *loop) applyRevision(rev grapnel.Revision, events []store.Event, touched map[*run]struct{}) {
	heads := map[grapnel.RunID]bool{}
	for _, ev := range events {
		k, ok := l.keys.ParseRun(ev.KV.Key)
		if !ok || k.Kind != "head" {
			continue
		}
		heads[k.Run] = true
		if r := l.shards[k.Shard].runs[k.Run]; rev <= l.view.base && r != nil {
			l.replayHead(r, ev)
		}
	}
	for _, ev := range events {
		k, ok := l.keys.ParseRun(ev.KV.Key)
		if !ok {
			continue // a barrier
		}
		if rev <= l.view.base {
			l.replay(ev, k, heads[k.Run], touched)
			continue
		}
		r := l.runFor(k.Run, k.Shard)
		l.shards[k.Shard].busy = true
		touched[r] = struct{}{}
		if k.Kind == "claim" && ev.Deleted {
			l.claimDeleted(r, ev, k.ID, heads[k.Run])
		}
		if rev <= r.base {
			continue
		}
		r.rev = rev
		switch {
		case k.Kind == "head" && ev.Deleted:
			r.head, r.ended = store.KV{}, 0
		case k.Kind == "head":
			l.putHead(r, ev.KV)
		case k.Kind == "claim" && !ev.Deleted:
			if node, ok := claimNode(k.ID); ok {
				l.putClaim(r, l.decodeClaim(ev.KV, node))
			}
		case k.Kind == "event" && ev.Deleted:
			r.removeMail(ev.KV.Key)
		case k.Kind == "event":
			r.putMail(l.decodeMail(ev.KV, k.ID))
		}
	}
}

// putHead takes in a head. It copies nothing: stores give their values away.
func (l *loop) putHead(r *run, kv store.KV) {
	if kv.Create != r.head.Create {
		l.clearLosses(r)
		r.corrupt = false
	}
	r.head, r.ended = kv, 0
	l.endLosses(r, kv)
}

// claimDeleted takes in that a claim is gone, with or without its head being
// written.
func (l *loop) claimDeleted(r *run, ev store.Event, id string, deliberate bool) {
	node, ok := claimNode(id)
	if !ok {
		return
	}
	var c claimed
	switch live := r.claims[node]; {
	case live != nil && live.mod < ev.KV.Mod:
		c = *live
		l.removeClaim(r, node)
	case ev.Previous.Mod != 0:
		c = l.decodeClaim(ev.Previous, node)
	default:
		l.log.Warn("a claim vanished of which nothing is known", "run", r.id, "node", node, "revision", ev.KV.Mod)
		return
	}
	if deliberate {
		r.freed = append(r.freed, c)
		return
	}
	l.lose(r, loss{key: node, fence: c.fence, worker: c.worker, at: ev.KV.Mod})
}

// replayHead takes in a change of a head in history that the listing already
// contains the effects of.
func (l *loop) replayHead(r *run, ev store.Event) {
	if ev.Deleted || len(r.losses) == 0 {
		return
	}
	l.findLosses(r, ev.Previous)
	l.endLosses(r, ev.KV)
}

// replay looks for losses in such history.
func (l *loop) replay(ev store.Event, k store.RunKey, headWritten bool, touched map[*run]struct{}) {
	node, ok := claimNode(k.ID)
	if k.Kind != "claim" || !ok {
		return
	}
	if !ev.Deleted {
		if l.view.replay != nil {
			l.view.replay[ev.KV.Key] = l.decodeClaim(ev.KV, node)
		}
		return
	}
	c, known := l.view.replay[ev.KV.Key]
	if ev.Previous.Mod != 0 {
		c, known = l.decodeClaim(ev.Previous, node), true
	}
	r := l.shards[k.Shard].runs[k.Run]
	if r != nil && known {
		l.uncover(r, c)
	}
	switch {
	case headWritten || r == nil:
	case !known:
		l.log.Warn("a claim vanished of which nothing is known", "run", k.Run, "node", node, "revision", ev.KV.Mod)
	case grapnel.Revision(c.fence) > r.head.Create:
		l.lose(r, loss{key: node, fence: c.fence, worker: c.worker, at: ev.KV.Mod})
		l.shards[k.Shard].busy = true
		touched[r] = struct{}{}
	}
}

// beginListing prepares the view for being built from a listing. Until that is
// over no shard is acted upon.
func (l *loop) beginListing() {
	l.view.listed = false
	for s := range l.shards {
		l.deactivate(store.Shard(s))
	}
}

// takeListed takes in a page of the listing as of a revision.
func (l *loop) takeListed(kvs []store.KV, rev grapnel.Revision) {
	for _, kv := range kvs {
		k, ok := l.keys.ParseRun(kv.Key)
		if !ok {
			continue
		}
		r := l.runFor(k.Run, k.Shard)
		if r.base != rev {
			l.emptyForListing(r, rev)
		}
		l.putListed(r, k, kv)
	}
}

// emptyForListing makes a run ready for being filled with what was listed.
func (l *loop) emptyForListing(r *run, rev grapnel.Revision) {
	for node := range r.claims {
		l.removeClaim(r, node)
	}
	r.mail, r.freed = nil, nil
	r.head, r.ended = store.KV{Create: r.head.Create}, 0
	r.base, r.rev, r.committed = rev, rev, 0
}

func (l *loop) putListed(r *run, k store.RunKey, kv store.KV) {
	switch k.Kind {
	case "head":
		l.putHead(r, kv)
	case "claim":
		if node, ok := claimNode(k.ID); ok {
			l.putClaim(r, l.decodeClaim(kv, node))
		}
	case "event":
		r.putMail(l.decodeMail(kv, k.ID))
	}
}

// endListing makes the view usable: it holds the runs as of revision rev, and
// the watch that follows begins at revision from.
func (l *loop) endListing(rev, from grapnel.Revision) {
	for s := range l.shards {
		for _, r := range l.shards[s].runs {
			if r.base != rev {
				r.rev = rev
				l.forget(r)
				continue
			}
			l.refresh(r)
		}
	}
	l.view.listed, l.view.base = true, rev
	l.view.applied = min(max(from-1, 0), rev)
	if from == 0 || from > rev {
		l.view.applied = rev
	} else {
		l.view.replay = map[string]claimed{}
	}
	l.sweep = sweep{}
	l.log.Info("runs listed", "revision", rev, "history_from", from)
}

func corrupt(kv store.KV, err error) error {
	return fmt.Errorf("%w: key %q at revision %d: %w", grapnel.ErrCorrupt, kv.Key, kv.Mod, err)
}

// empty reports whether nothing of a run is left.
func (r *run) empty() bool { return r.head.Mod == 0 && len(r.claims) == 0 && len(r.mail) == 0 }

// firstBad returns why a claim or event of the run does not decode, or nil.
func (r *run) firstBad() error {
	for _, c := range r.claims {
		if c.err != nil {
			return c.err
		}
	}
	if i := slices.IndexFunc(r.mail, func(m mail) bool { return m.err != nil }); i >= 0 {
		return r.mail[i].err
	}
	return nil
}
