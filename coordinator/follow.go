package coordinator

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// follow keeps the loop informed of the keys under a prefix, of which there are
// few: it lists them, watches what follows, and lists again whenever the watch
// ends.
func (l *loop) follow(prefix string, reset func([]store.KV, grapnel.Revision), changed func(store.Event)) {
	apply := func(b store.Batch) {
		for _, ev := range b.Events {
			changed(ev)
		}
	}
	for pause := (store.Pause{}); l.ctx.Err() == nil; _ = pause.Wait(l.ctx) {
		kvs, rev, err := l.list(prefix)
		if err == nil {
			l.do(func() { reset(kvs, rev) })
			var next grapnel.Revision
			if next, err = l.watch(store.WatchRequest{Prefix: prefix, From: rev + 1}, 0, apply); next > rev+1 {
				pause = store.Pause{}
			}
		}
		if l.ctx.Err() == nil {
			l.log.Warn("watch interrupted", "prefix", prefix, "error", err)
		}
	}
}

// list returns all keys under a prefix as of one revision.
func (l *loop) list(prefix string) ([]store.KV, grapnel.Revision, error) {
	var all []store.KV
	rev, err := l.listPages(store.ListRequest{Prefix: prefix}, func(kvs []store.KV, _ grapnel.Revision) { all = append(all, kvs...) })
	return all, rev, err
}

// listPages calls visit with the pages of a listing as of one revision, which
// it returns.
func (l *loop) listPages(req store.ListRequest, visit func([]store.KV, grapnel.Revision)) (grapnel.Revision, error) {
	for {
		page, err := l.st.List(l.ctx, req)
		if err != nil {
			return 0, fmt.Errorf("list %q: %w", req.Prefix, err)
		}
		visit(page.KVs, page.Revision)
		if !page.More {
			return page.Revision, nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// watch has the loop call apply for each batch until the watch ends, or until it
// has got to revision last, unless that is zero. It returns why it ended, nil in
// the latter case, and the revision from which another watch would go on.
func (l *loop) watch(req store.WatchRequest, last grapnel.Revision, apply func(store.Batch)) (next grapnel.Revision, err error) {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	next = req.From
	for b := range l.st.Watch(ctx, req) {
		if b.Err != nil {
			return next, b.Err
		}
		if !l.do(func() { apply(b) }) {
			break
		}
		if next = max(next, b.Revision+1); last != 0 && next > last {
			return next, nil
		}
	}
	return next, fmt.Errorf("%w: the watch ended without a reason", grapnel.ErrUnavailable)
}

// followRuns keeps the view in step with the keys of all runs. A watch that was
// interrupted goes on behind the last revision applied, so nothing is left out;
// if that has been compacted, the view is built anew from a listing.
func (l *loop) followRuns() {
	pause := store.Pause{}
	listed := false
	var base grapnel.Revision // that was listed
	for from := l.replayFrom(); l.ctx.Err() == nil; _ = pause.Wait(l.ctx) {
		if !listed {
			rev, err := l.buildView(from)
			if err != nil {
				l.log.Warn("runs not listed", "error", err)
				continue
			}
			listed, base = true, rev
			if from == 0 || from > rev {
				from = rev + 1
			}
		}
		next, err := l.watchRuns(from, base)
		if l.ctx.Err() != nil {
			return
		}
		if next > from {
			from, pause = next, store.Pause{}
		}
		if compacted := (*store.CompactedError)(nil); errors.As(err, &compacted) {
			l.log.Warn("history was compacted before it was read; runs are listed again", "from", from, "oldest", compacted.Revision)
			from = compacted.Revision
			listed = mutation.On(mutation.IgnoreCompaction)
			continue
		}
		l.log.Warn("watch interrupted", "prefix", l.keys.Runs(), "error", err)
	}
}

// watchRuns watches the runs from a revision on; base is the one listed. Of claims
// that vanished before that nothing else is known, so the watch asks for what
// they were; later on the view knows them, and the question would cost etcd a
// read for each event.
func (l *loop) watchRuns(from, base grapnel.Revision) (next grapnel.Revision, err error) {
	if from <= base {
		next, err = l.watch(store.WatchRequest{Prefix: l.keys.Runs(), From: from, Previous: true}, base, l.applyBatch)
		if err != nil {
			return next, err
		}
		from = next
	}
	return l.watch(store.WatchRequest{Prefix: l.keys.Runs(), From: from}, 0, l.applyBatch)
}

// replayFrom returns the revision from which on losses may not have been
// counted: the one behind the oldest that an owner has recorded.
func (l *loop) replayFrom() grapnel.Revision {
	for pause := (store.Pause{}); ; {
		kvs, rev, err := l.list(l.keys.AllProcessed())
		if err == nil {
			l.do(func() { l.history.read(l.keys, kvs, rev) })
			from := rev + 1
			for _, kv := range kvs {
				m := &pb.Processed{}
				if err := proto.Unmarshal(kv.Value, m); err != nil {
					l.log.Error("record of a processed revision does not decode", "key", kv.Key, "error", err)
					continue
				}
				from = min(from, grapnel.Revision(m.Revision)+1)
			}
			return from
		}
		if pause.Wait(l.ctx) != nil {
			return 0
		}
		l.log.Warn("processed revisions not read", "error", err)
	}
}

// buildView lists all runs into the view and returns the revision listed. The
// watch from revision from, which begins at or before it, then repeats some of
// what was listed: of that only losses count.
func (l *loop) buildView(from grapnel.Revision) (grapnel.Revision, error) {
	l.do(l.beginListing)
	rev, err := l.listPages(store.ListRequest{Prefix: l.keys.Runs()}, func(kvs []store.KV, rev grapnel.Revision) {
		l.do(func() { l.takeListed(kvs, rev) })
	})
	if err != nil {
		return 0, err
	}
	l.do(func() { l.endListing(rev, from) })
	return rev, nil
}
