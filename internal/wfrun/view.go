package wfrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// view is what a watch tells of a run and of the owner of its shard. It lags.
type view struct {
	st   store.Store
	keys store.Keys
	run  grapnel.RunID

	mu        sync.Mutex
	changed   chan struct{} // guarded by mu; closed and replaced at each change
	completed int           // guarded by mu; nodes that have their output
	status    grapnel.RunStatus
	claims    map[string]grapnel.WorkerID // guarded by mu; by claim key
	owner     int                         // guarded by mu; process id of the shard's owner, or 0

	nextDecode time.Time // used by follow alone
	head       *store.KV // used by follow alone; the latest head, if it was not decoded
}

func newView(st store.Store, keys store.Keys, run grapnel.RunID) *view {
	return &view{
		st: st, keys: keys, run: run, changed: make(chan struct{}),
		status: grapnel.RunRunning, claims: map[string]grapnel.WorkerID{},
	}
}

// sight is a view at some moment.
type sight struct {
	completed int
	status    grapnel.RunStatus
	running   int                // claims
	holders   []grapnel.WorkerID // of claims, sorted
	owner     int
	changed   <-chan struct{} // closed when there is something new
}

func (v *view) look() sight {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := sight{completed: v.completed, status: v.status, running: len(v.claims), owner: v.owner, changed: v.changed}
	for _, w := range v.claims {
		s.holders = append(s.holders, w)
	}
	slices.Sort(s.holders)
	s.holders = slices.Compact(s.holders)
	return s
}

// follow keeps the view up to date until the run has ended or ctx ends. Errors
// other than ctx's cause mean that what is stored cannot be understood.
func (v *view) follow(ctx context.Context) error {
	var pause store.Pause
	for {
		from, err := v.list(ctx)
		if err == nil {
			err = v.watch(ctx, from)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, grapnel.ErrUnavailable) && !errors.Is(err, store.ErrCompacted) && !errors.Is(err, grapnel.ErrUnknown):
			return fmt.Errorf("follow run %q: %w", v.run, err)
		}
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// list reads everything anew and returns the revision to watch from.
func (v *view) list(ctx context.Context) (grapnel.Revision, error) {
	var events []store.Event
	req := store.ListRequest{Prefix: v.keys.Run(v.run)}
	for {
		page, err := v.st.List(ctx, req)
		if err != nil {
			return 0, err
		}
		for _, kv := range page.KVs {
			events = append(events, store.Event{KV: kv})
		}
		req.Revision = page.Revision
		if !page.More {
			break
		}
		req.After = page.KVs[len(page.KVs)-1].Key
	}
	owner, err := v.st.Get(ctx, v.ownerKey())
	switch {
	case err == nil:
		events = append(events, store.Event{KV: owner})
	case !errors.Is(err, grapnel.ErrNotFound):
		return 0, err
	}
	v.mu.Lock()
	clear(v.claims)
	v.owner = 0
	v.mu.Unlock()
	_, err = v.apply(events)
	return req.Revision + 1, err
}

func (v *view) ownerKey() string { return v.keys.ShardOwner(store.ShardOf(v.run)) }

// watch applies changes until the run has ended, when it returns nil.
func (v *view) watch(ctx context.Context, from grapnel.Revision) error {
	if v.look().status.Ended() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	run := v.st.Watch(ctx, store.WatchRequest{Prefix: v.keys.Run(v.run), From: from})
	owner := v.st.Watch(ctx, store.WatchRequest{Prefix: v.ownerKey(), From: from})
	defer func() {
		cancel()
		for range run { // until the watch has ended
		}
		for range owner {
		}
	}()
	tick := time.NewTicker(progressInterval) // for a head that was left aside
	defer tick.Stop()
	for {
		var b store.Batch
		select {
		case b = <-run:
		case b = <-owner:
		case <-tick.C:
		}
		if b.Err != nil {
			return b.Err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ended, err := v.apply(b.Events)
		if ended || err != nil {
			return err
		}
	}
}

// apply takes in changes, and reports whether the run has ended.
func (v *view) apply(events []store.Event) (ended bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := false
	for _, ev := range events {
		if ev.KV.Key == v.ownerKey() {
			if v.owner, err = ownerPID(ev); err != nil {
				return false, err
			}
			news = true
			continue
		}
		k, ok := v.keys.ParseRun(ev.KV.Key)
		switch {
		case !ok || k.Run != v.run:
		case k.Kind == "claim":
			if err := v.claim(ev); err != nil {
				return false, err
			}
			news = true
		case k.Kind == "head" && ev.Deleted:
			return false, fmt.Errorf("run %q: %w", v.run, grapnel.ErrRunGone)
		case k.Kind == "head":
			v.head = &ev.KV
		}
	}
	decoded, err := v.decodeHead()
	if news || decoded {
		close(v.changed)
		v.changed = make(chan struct{})
	}
	return v.status.Ended(), err
}

func (v *view) claim(ev store.Event) error {
	if ev.Deleted {
		delete(v.claims, ev.KV.Key)
		return nil
	}
	m := &pb.Claim{}
	if err := proto.Unmarshal(ev.KV.Value, m); err != nil {
		return fmt.Errorf("%w: key %q: %w", grapnel.ErrCorrupt, ev.KV.Key, err)
	}
	v.claims[ev.KV.Key] = grapnel.WorkerID(m.Worker)
	return nil
}

// decodeHead decodes the latest head. It leaves it aside if the one before was
// decoded so recently that doing it again would take a good part of a processor
// from the run. Called with mu held.
func (v *view) decodeHead() (bool, error) {
	if v.head == nil {
		return false, nil
	}
	s, err := snapshot.DecodeSummary(v.head.Value)
	if err != nil {
		return false, fmt.Errorf("key %q at revision %d: %w", v.head.Key, v.head.Mod, err)
	}
	began := time.Now()
	if began.Before(v.nextDecode) && !s.Status.Ended() {
		return false, nil
	}
	h, err := snapshot.DecodeHead(*v.head)
	if err != nil {
		return false, err
	}
	const share = 20 // of the time
	v.nextDecode = time.Now().Add(share * time.Since(began))
	v.head = nil
	v.status, v.completed = s.Status, 0
	for i := range h.State.Nodes {
		if h.State.Nodes[i].Status == grapnel.NodeCompleted {
			v.completed++
		}
	}
	return true, nil
}

func ownerPID(ev store.Event) (int, error) {
	if ev.Deleted {
		return 0, nil
	}
	m := &pb.Coordinator{}
	if err := proto.Unmarshal(ev.KV.Value, m); err != nil {
		return 0, fmt.Errorf("%w: key %q: %w", grapnel.ErrCorrupt, ev.KV.Key, err)
	}
	return int(m.Pid), nil
}
