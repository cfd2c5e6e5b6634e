package storetest

import (
	"context"
	"errors"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

var watchCases = []behaviour{
	{"history is told from the revision asked for", watchHistory},
	{"what follows is told as it happens", watchLive},
	{"without a revision it says behind which one it begins", watchFromNow},
	{"without a revision nothing is missing from there on", watchFromAmongWrites},
	{"one from a revision to come waits for it", watchFromTheFuture},
	{"events say what was put and what deleted", watchEvents},
	{"previous pairs are told when asked for", watchPrevious},
	{"a revision comes whole", watchWholeRevisions},
	{"a prefix is a wall", watchWalls},
	{"many watch the same keys", watchMany},
	{"one that nobody reads keeps nobody waiting", watchSlow},
	{"it ends with the cause of its context", watchEndsWithCause},
	{"one whose context has ended ends at once", watchEndedContext},
	{"what was compacted is compacted", watchCompacted},
	{"the oldest revision kept can be watched", watchOldestKept},
}

// watched reads a watch and checks what holds of any.
type watched struct {
	e    *env
	ch   <-chan store.Batch
	stop context.CancelCauseFunc
	at   grapnel.Revision // everything up to it was told
	last grapnel.Revision // of the latest event
}

// watch opens a watch that ends with the case at the latest.
func (e *env) watch(r store.WatchRequest) *watched {
	ctx, stop := context.WithCancelCause(e.ctx)
	w := &watched{e: e, ch: e.s.Watch(ctx, r), stop: stop, at: max(r.From-1, 0)}
	e.Cleanup(func() {
		stop(nil)
		for range w.ch { // so that what the store does for it ends with the case
		}
	})
	return w
}

// batch reads a batch with events.
func (w *watched) batch() store.Batch {
	w.e.Helper()
	for {
		var b store.Batch
		var ok bool
		select {
		case b, ok = <-w.ch:
		case <-w.e.ctx.Done():
			w.e.Fatalf("waited for more than revision %d: %v", w.at, context.Cause(w.e.ctx))
		}
		if !ok || b.Err != nil {
			w.e.Fatalf("the watch ended: %v", b.Err)
		}
		if b.Revision < w.at {
			w.e.Fatalf("a batch up to revision %d after one up to %d", b.Revision, w.at)
		}
		for _, ev := range b.Events {
			if ev.KV.Mod <= w.at && w.at > 0 || ev.KV.Mod < w.last || ev.KV.Mod > b.Revision {
				w.e.Fatalf("an event of revision %d, after %d, in the batch from %d to %d", ev.KV.Mod, w.last, w.at, b.Revision)
			}
			w.last = ev.KV.Mod
		}
		w.at = b.Revision
		if len(b.Events) > 0 {
			return b
		}
	}
}

// until reads all events up to a revision, in which there is one.
func (w *watched) until(rev grapnel.Revision) []store.Event {
	w.e.Helper()
	var events []store.Event
	for w.last < rev {
		events = append(events, w.batch().Events...)
	}
	return events
}

// ended reads up to the end and returns why that is.
func (w *watched) ended() error {
	w.e.Helper()
	var last store.Batch
	for {
		select {
		case b, ok := <-w.ch:
			switch {
			case !ok && last.Err == nil:
				w.e.Fatal("the watch ended without saying why")
			case !ok:
				return last.Err
			case last.Err != nil:
				w.e.Fatalf("%+v after the end: %v", b, last.Err)
			case b.Err != nil && len(b.Events) > 0:
				w.e.Fatalf("the end has events: %+v", b)
			}
			last = b
		case <-w.e.ctx.Done():
			w.e.Fatalf("the watch does not end")
		}
	}
}

// put is the event of a pair created at rev.
func (e *env) created(name, value string, rev grapnel.Revision) store.Event {
	return store.Event{KV: store.KV{Key: e.key(name), Value: []byte(value), Create: rev, Mod: rev}}
}

func watchHistory(e *env) {
	e.put("a", "1")
	two, three := e.put("b", "2"), e.put("c", "3")
	for from, want := range map[grapnel.Revision][]store.Event{
		two:   {e.created("b", "2", two), e.created("c", "3", three)},
		three: {e.created("c", "3", three)},
	} {
		e.equal("events", e.watch(store.WatchRequest{Prefix: e.root, From: from}).until(three), want)
	}
}

func watchLive(e *env) {
	w := e.watch(store.WatchRequest{Prefix: e.root, From: e.revision() + 1})
	for range 20 {
		name := number(int(e.revision()))
		rev := e.put(name, name)
		e.equal("event", w.until(rev), []store.Event{e.created(name, name, rev)})
	}
}

// first reads the batch that a watch from the next revision on begins with.
func (w *watched) first() grapnel.Revision {
	w.e.Helper()
	select {
	case b := <-w.ch:
		if b.Err != nil || len(b.Events) > 0 || b.Revision == 0 {
			w.e.Fatalf("the watch begins with %+v", b)
		}
		w.at = b.Revision
		return b.Revision
	case <-w.e.ctx.Done():
		w.e.Fatal("the watch does not say that it is open")
	}
	return 0
}

func watchFromNow(e *env) {
	old := e.put("old", "")
	w := e.watch(store.WatchRequest{Prefix: e.root})
	if at := w.first(); at != old {
		e.Errorf("it begins behind revision %d of %d", at, old)
	}
	rev := e.put("new", "")
	e.equal("events", w.until(rev), []store.Event{e.created("new", "", rev)})
}

// watchFromAmongWrites opens watches while writes go on: none may be missing
// from the revision on that a watch says it begins behind.
func watchFromAmongWrites(e *env) {
	const watchers, writes = 20, 100
	opened := make([]*watched, watchers)
	for i := range opened {
		opened[i] = &watched{e: e}
	}
	together(watchers+1, func(i int) {
		if i < watchers {
			opened[i].ch = e.s.Watch(e.ctx, store.WatchRequest{Prefix: e.root})
			return
		}
		for range writes {
			if _, err := e.s.Commit(e.ctx, store.Txn{Then: []store.Op{store.Put(e.key("a"), nil, 0)}}); err != nil {
				e.Errorf("put: %v", err)
			}
		}
	})
	for _, w := range opened {
		next := w.first() + 1
		for _, ev := range w.until(e.put("a", "")) {
			if ev.KV.Mod != next {
				e.Fatalf("revision %d is missing", next)
			}
			next++
		}
	}
}

func watchFromTheFuture(e *env) {
	from := e.revision() + 3
	w := e.watch(store.WatchRequest{Prefix: e.root, From: from})
	e.put("a", "")
	e.put("b", "")
	rev := e.put("c", "")
	e.equal("events", w.until(rev), []store.Event{e.created("c", "", from)})
}

func watchEvents(e *env) {
	lease := e.grant()
	first := e.put("a", "1")
	second := e.do(e.bound(lease, "a")...).Revision
	third := e.do(store.Delete(e.key("a")), store.Put(e.key("b"), []byte("b"), 0), store.Delete(e.key("none"))).Revision
	got := e.watch(store.WatchRequest{Prefix: e.root, From: first}).until(third)
	e.equal("events", got, []store.Event{
		e.created("a", "1", first),
		{KV: store.KV{Key: e.key("a"), Value: []byte("a"), Create: first, Mod: second, Lease: lease}},
		{Deleted: true, KV: store.KV{Key: e.key("a"), Mod: third}},
		e.created("b", "b", third),
	})
}

func watchPrevious(e *env) {
	lease := e.grant()
	one := e.put("a", "1")
	two := e.do(e.bound(lease, "a")...).Revision
	three := e.do(store.DeletePrefix(e.root)).Revision
	four := e.put("a", "4")
	before := []store.KV{
		{},
		{Key: e.key("a"), Value: []byte("1"), Create: one, Mod: one},
		{Key: e.key("a"), Value: []byte("a"), Create: one, Mod: two, Lease: lease},
		{},
	}
	for _, asked := range []bool{true, false} {
		events := e.watch(store.WatchRequest{Prefix: e.root, From: one, Previous: asked}).until(four)
		for i, ev := range events {
			want := before[i]
			if !asked {
				want = store.KV{}
			}
			e.equal("the pair before", ev.Previous, want)
		}
		if len(events) != len(before) || events[2].KV.Mod != three {
			e.Fatalf("events %+v", events)
		}
	}
}

func watchWholeRevisions(e *env) {
	from := e.revision() + 1
	live := e.watch(store.WatchRequest{Prefix: e.root, From: from})
	var last grapnel.Revision
	const rounds = 20
	for range rounds {
		last = e.do(e.puts("k", e.o.MaxOps)...).Revision
	}
	replay := e.watch(store.WatchRequest{Prefix: e.root, From: from})
	for name, w := range map[string]*watched{"live": live, "history": replay} {
		total := 0
		for w.last < last {
			b := w.batch() // which checks that no revision comes in two batches
			total += len(b.Events)
			if len(b.Events)%e.o.MaxOps != 0 {
				e.Fatalf("%s: a batch of %d events; revisions have %d", name, len(b.Events), e.o.MaxOps)
			}
		}
		if total != rounds*e.o.MaxOps {
			e.Errorf("%s: %d events of %d", name, total, rounds*e.o.MaxOps)
		}
	}
}

func watchWalls(e *env) {
	from := e.revision() + 1
	w := e.watch(store.WatchRequest{Prefix: e.key("p/"), From: from})
	for _, name := range []string{"p", "p0", "o", "p/a", "q", "pp/"} {
		e.put(name, "")
	}
	last := e.do(store.Put(e.key("p/b"), nil, 0), store.Put(e.key("q"), nil, 0)).Revision
	e.equal("events", w.until(last), []store.Event{e.created("p/a", "", from+3), e.created("p/b", "", last)})
}

func watchMany(e *env) {
	from := e.revision() + 1
	const watchers = 50
	var all, one []*watched
	for i := range watchers {
		all = append(all, e.watch(store.WatchRequest{Prefix: e.root, From: from}))
		one = append(one, e.watch(store.WatchRequest{Prefix: e.key("k" + number(i)), From: from}))
	}
	last := e.do(e.puts("k", watchers)...).Revision
	for i := range watchers {
		if got := all[i].until(last); len(got) != watchers {
			e.Errorf("watch %d of all keys: %d events", i, len(got))
		}
		e.equal("the watch of one key", one[i].until(last), []store.Event{e.created("k"+number(i), "", last)})
	}
}

func watchSlow(e *env) {
	from := e.revision() + 1
	w := e.watch(store.WatchRequest{Prefix: e.root, From: from})
	const writes = 300
	for i := range writes {
		e.put("a", number(i))
	}
	for i, ev := range w.until(from + writes - 1) {
		if string(ev.KV.Value) != number(i) {
			e.Fatalf("event %d has value %s", i, ev.KV.Value)
		}
	}
}

func watchEndsWithCause(e *env) {
	cause := errors.New("had enough")
	idle := e.watch(store.WatchRequest{Prefix: e.root, From: e.revision() + 1})
	busy := e.watch(store.WatchRequest{Prefix: e.root, From: e.revision() + 1})
	rev := e.put("a", "")
	e.put("b", "")
	busy.until(rev)
	for name, w := range map[string]*watched{"idle": idle, "busy": busy} {
		w.stop(cause)
		e.is(name, w.ended(), cause)
	}
}

func watchEndedContext(e *env) {
	e.put("a", "")
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	w := &watched{e: e, ch: e.s.Watch(ctx, store.WatchRequest{Prefix: e.root})}
	e.is("end", w.ended(), context.Canceled)
}

func watchCompacted(e *env) {
	old := e.put("a", "1")
	e.put("a", "2")
	kept := e.put("a", "3")
	e.put("a", "4")
	e.compact(kept)
	for _, from := range []grapnel.Revision{old, kept - 1} {
		err := e.watch(store.WatchRequest{Prefix: e.root, From: from}).ended()
		e.is("a compacted revision", err, store.ErrCompacted)
		if ce, ok := errors.AsType[*store.CompactedError](err); !ok {
			e.Errorf("the error is a %T", err)
		} else if ce.Revision != 0 && ce.Revision != kept {
			e.Errorf("the error names revision %d; %d is the oldest one kept", ce.Revision, kept)
		}
	}
}

func watchOldestKept(e *env) {
	old := e.put("a", "1")
	e.put("b", "1")
	kept := e.do(store.Put(e.key("a"), []byte("2"), 0), store.Delete(e.key("b"))).Revision
	next := e.put("a", "3")
	e.compact(kept)
	got := e.watch(store.WatchRequest{Prefix: e.root, From: kept, Previous: true}).until(next)
	second := store.KV{Key: e.key("a"), Value: []byte("2"), Create: old, Mod: kept}
	e.equal("events", got, []store.Event{
		{KV: second}, // the pair before it was compacted
		{Deleted: true, KV: store.KV{Key: e.key("b"), Mod: kept}},
		{KV: store.KV{Key: e.key("a"), Value: []byte("3"), Create: old, Mod: next}, Previous: second},
	})
}
