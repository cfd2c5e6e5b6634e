package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Watch follows a prefix; see [store.Store].
//
// A watch from the next revision on begins with a batch without events, whose
// revision is the one that it begins after. The client carries a watch over
// from one connection to the next by itself; it ends if the member it is on has
// lost its leader. What is not received is held in memory.
func (s *Store) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	w := &watch{s: s, req: r, at: max(r.From-1, 0), before: max(r.From-1, 0), out: make(chan store.Batch, 1)}
	if r.From < 0 {
		w.end(ctx, fmt.Errorf("%w: watch %q from revision %d", grapnel.ErrInvalid, r.Prefix, r.From))
		return w.out
	}
	if err := s.goFollow(func() { w.follow(ctx) }); err != nil {
		w.end(ctx, err)
	}
	return w.out
}

// watch is one watch. Its goroutine is the only sender on out, whose buffer of
// one lets it end without a receiver.
type watch struct {
	s      *Store
	req    store.WatchRequest
	at     grapnel.Revision // everything up to it was sent on out
	before grapnel.Revision // what at was before the last batch
	out    chan store.Batch
}

func (w *watch) follow(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(clientv3.WithRequireLeader(ctx))
	defer cancel(nil)
	defer context.AfterFunc(w.s.ctx, func() { cancel(context.Cause(w.s.ctx)) })()

	opts := []clientv3.OpOption{
		clientv3.WithPrefix(), clientv3.WithRev(int64(w.req.From)),
		clientv3.WithCreatedNotify(), clientv3.WithProgressNotify(),
	}
	if w.req.Previous {
		opts = append(opts, clientv3.WithPrevKV())
	}
	for resp := range w.s.client.Watch(ctx, w.req.Prefix, opts...) {
		if err := w.deliver(ctx, resp); err != nil {
			w.end(ctx, err)
			return
		}
	}
	if ctx.Err() != nil {
		w.end(ctx, context.Cause(ctx))
		return
	}
	w.end(ctx, fmt.Errorf("watch %q: %w: the client closed it", w.req.Prefix, grapnel.ErrUnavailable))
}

// deliver passes an answer on. An error ends the watch.
func (w *watch) deliver(ctx context.Context, resp clientv3.WatchResponse) error {
	if err := w.failure(resp); err != nil {
		return err
	}
	if err := w.s.identify(resp.Header, 0); err != nil {
		return err
	}
	rev := grapnel.Revision(resp.Header.GetRevision())
	b := store.Batch{Revision: rev}
	switch {
	case resp.Created:
		if w.req.From != 0 {
			return nil // the store's revision, to which this watch has yet to come
		}
	case resp.IsProgressNotify():
		if rev <= w.at {
			return nil
		}
	default:
		// The header's revision can be ahead of the events in an answer.
		if b.Events = w.decode(resp.Events); len(b.Events) == 0 {
			return nil
		}
		b.Revision = b.Events[len(b.Events)-1].KV.Mod
	}
	select {
	case w.out <- b:
		w.before, w.at = w.at, b.Revision
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failure is what the answer says of the end of the watch.
func (w *watch) failure(resp clientv3.WatchResponse) error {
	err := resp.Err()
	if err == nil {
		return nil
	}
	if errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("watch %q: %w", w.req.Prefix, &store.CompactedError{Revision: grapnel.Revision(resp.CompactRevision)})
	}
	// The reason for refusing a watch arrives as a status in words.
	if _, desc, ok := strings.Cut(err.Error(), " desc = "); ok {
		err = rpctypes.Error(errors.New(desc))
	}
	kind := grapnel.ErrUnavailable
	if diagnose(err).is(store.ErrDenied) {
		kind = store.ErrDenied
	}
	return fmt.Errorf("watch %q: %w: %s", w.req.Prefix, kind, describe(err))
}

// decode leaves out what was delivered before: after a lost connection the
// client may ask again for the revision that a watch began after.
func (w *watch) decode(events []*clientv3.Event) []store.Event {
	out := make([]store.Event, 0, len(events))
	for _, e := range events {
		if grapnel.Revision(e.Kv.ModRevision) <= w.at {
			continue
		}
		ev := store.Event{Deleted: e.Type == clientv3.EventTypeDelete}
		if ev.Deleted {
			ev.KV = store.KV{Key: string(e.Kv.Key), Mod: grapnel.Revision(e.Kv.ModRevision)}
		} else {
			ev.KV = decodeKV(e.Kv)
		}
		if e.PrevKv != nil {
			ev.Previous = decodeKV(e.PrevKv)
		}
		out = append(out, ev)
	}
	return out
}

// end sends the last batch and closes the channel. It waits for the receiver
// as long as ctx does. After that, if nobody has received the batch before it,
// it takes that one's place: the watcher learns that it ended early, and from
// where to go on.
func (w *watch) end(ctx context.Context, err error) {
	defer close(w.out)
	last := store.Batch{Revision: w.at, Err: err}
	select {
	case w.out <- last:
		return
	case <-ctx.Done():
	}
	select {
	case <-w.out:
		last.Revision = w.before
	default:
	}
	w.out <- last // there is room: nobody else sends
}
