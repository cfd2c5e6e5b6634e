package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Watch follows a run. It yields the run as it is, then as it is after each
// change of it or of the claims on its nodes, and after a moment has come for
// which a node waited. The last run that it yields is the ended one, with its
// output if it completed. Each is a value of its own. Why nodes are stuck is not
// filled in: it depends on workers, which are not watched.
//
// While it is connected Watch leaves out no change, which may be many for a
// caller to look at: whoever only shows the latest drops the others. It goes on
// when the store could not be reached or has compacted what it has yet to see,
// with the run as it is then; so it may leave out changes, or yield a run twice,
// but never goes back. It ends with the first end of the run that it sees: to
// follow a retry, watch again.
//
// An error is yielded last and without a run. It wraps [grapnel.ErrNotFound] if
// there is no such run, [grapnel.ErrRunGone] if it was deleted meanwhile,
// [grapnel.ErrCorrupt], [grapnel.ErrWrongDefinition], is one of the store's, or
// ctx's cause.
func (c *Client) Watch(ctx context.Context, id grapnel.RunID, o ...GetOption) iter.Seq2[*RunInfo, error] {
	return func(yield func(*RunInfo, error) bool) {
		if err := id.Validate(); err != nil {
			yield(nil, err)
			return
		}
		f := &follower{c: c, id: id, yield: func(info *RunInfo) bool { return yield(info, nil) }}
		for _, set := range o {
			set(&f.spec)
		}
		err := c.patiently(ctx, "watch", id, func() error {
			err := f.follow(ctx)
			if f.spec.trouble != nil && ctx.Err() == nil && passing(err) {
				f.spec.trouble(err)
			}
			return err
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// errEnough says that whoever is yielded to wants no more.
var errEnough = errors.New("enough")

// follower follows one run.
type follower struct {
	c     *Client
	id    grapnel.RunID
	spec  getSpec
	yield func(*RunInfo) bool

	instance grapnel.Instance // zero until the run is found
	seen     grapnel.Revision // what is up to here has been looked at
	head     *snapshot.Head
	claims   claims
}

// follow yields until the run has ended, when it returns nil.
func (f *follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	batches := f.c.st.Watch(ctx, store.WatchRequest{Prefix: f.c.keys.Run(f.id)})
	defer func() {
		cancel()
		for range batches { // it is closed once the watch has ended
		}
	}()
	// The first batch says that the watch is open, so whatever the reading that
	// follows does not show, it will.
	first, ok := <-batches
	if !ok {
		first.Err = watchEnded(ctx)
	}
	if first.Err != nil {
		return first.Err
	}
	if err := f.load(ctx); err != nil {
		return err
	}
	ended, err := f.tell(ctx)
	for err == nil && !ended {
		select {
		case b, ok := <-batches:
			switch {
			case !ok:
				err = watchEnded(ctx)
			case b.Err != nil:
				err = b.Err
			default:
				ended, err = f.take(ctx, b.Events)
			}
		case <-f.due():
			ended, err = f.tell(ctx)
		}
	}
	return err
}

func watchEnded(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: the watch ended", grapnel.ErrUnavailable)
}

// load reads the run.
func (f *follower) load(ctx context.Context) error {
	h, live, rev, err := f.c.loadWithClaims(ctx, f.id)
	switch {
	case errors.Is(err, grapnel.ErrNotFound) && f.instance != 0:
		return grapnel.ErrRunGone
	case errors.Is(err, grapnel.ErrNotFound):
		return grapnel.ErrNotFound // the caller names the run
	case err != nil:
		return err
	case f.instance != 0 && h.Instance != f.instance:
		return grapnel.ErrRunGone
	}
	f.instance, f.head, f.claims, f.seen = h.Instance, h, live, rev
	if f.claims == nil {
		f.claims = claims{}
	}
	return nil
}

// take applies changes and yields the run after each revision that has some of
// its own.
func (f *follower) take(ctx context.Context, events []store.Event) (ended bool, err error) {
	changed := false
	for i := range events {
		ev := &events[i]
		if ev.KV.Mod <= f.seen {
			continue // the reading has shown it
		}
		did, err := f.apply(ctx, ev)
		if err != nil {
			return false, err
		}
		changed = changed || did
		if last := i+1 == len(events) || events[i+1].KV.Mod != ev.KV.Mod; last && changed {
			changed = false
			f.seen = ev.KV.Mod
			if ended, err := f.tell(ctx); ended || err != nil {
				return ended, err
			}
		}
	}
	return false, nil
}

// apply applies a change, and reports whether it was one of head or claims.
func (f *follower) apply(ctx context.Context, ev *store.Event) (bool, error) {
	k, ok := f.c.keys.ParseRun(ev.KV.Key)
	if !ok {
		return false, nil
	}
	switch k.Kind {
	case "head":
		if ev.Deleted || ev.KV.Create != f.instance {
			return false, grapnel.ErrRunGone
		}
		h, err := f.c.runs.Decode(ctx, ev.KV)
		if err != nil {
			return false, err
		}
		f.head = h
		return true, nil
	case "claim":
		if ev.Deleted {
			f.claims.remove(k.ID)
		} else {
			f.claims.put(f.c, k.ID, ev.KV)
		}
		return true, nil
	}
	return false, nil
}

// tell yields the run as it is.
func (f *follower) tell(ctx context.Context) (ended bool, err error) {
	ended = f.head.State.Status.Ended()
	info := f.c.describe(f.head, f.claims)
	if err := f.c.addValues(ctx, f.head, info, getSpec{output: ended, nodeOutputs: f.spec.nodeOutputs}); err != nil {
		return false, err
	}
	if !f.yield(info) {
		return false, errEnough
	}
	return ended, nil
}

// due returns a channel that is ready when the first of the waiting nodes
// becomes available, or nil if there is none.
func (f *follower) due() <-chan time.Time {
	now, next := max(f.c.moment(), f.head.State.Clock), workflow.Moment(0)
	for i := range f.head.State.Nodes {
		if at := f.head.State.Nodes[i].Available; at > now && (next == 0 || at < next) && nodeState(f.head.State, i, now) == NodeWaiting {
			next = at
		}
	}
	if next == 0 {
		return nil
	}
	return time.After(next.Time().Sub(now.Time()))
}
