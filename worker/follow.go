package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/grapnel-dev/grapnel/store"
)

// list calls visit for each key that begins with prefix, as of one revision,
// which is passed to done.
func list(ctx context.Context, st store.Store, prefix string, visit func(store.KV), done func(store.Page)) error {
	req := store.ListRequest{Prefix: prefix}
	for {
		page, err := st.List(ctx, req)
		if err != nil {
			return err
		}
		for _, kv := range page.KVs {
			visit(kv)
		}
		if !page.More {
			if done != nil {
				done(page)
			}
			return nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// view is told what the keys under a prefix are.
type view struct {
	prefix string
	// begin is called before each listing, listed after it. May be nil.
	begin, listed func()
	put           func(store.KV)
	deleted       func(key string)
}

// follow keeps a view up to date until the session ends: it lists, then watches
// from there on, and begins anew when the watch ends.
func (s *session) follow(v view) {
	ctx := s.Context()
	var pause store.Pause
	for {
		err := s.followOnce(ctx, v, func() { pause = store.Pause{} })
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("watch ended; listing again", "prefix", v.prefix, "error", err)
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

func (s *session) followOnce(ctx context.Context, v view, works func()) error {
	if v.begin != nil {
		v.begin()
	}
	from := store.WatchRequest{Prefix: v.prefix}
	err := list(ctx, s.w.cfg.Store, v.prefix, v.put, func(p store.Page) { from.From = p.Revision + 1 })
	if err != nil {
		return err
	}
	if v.listed != nil {
		v.listed()
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	for batch := range s.w.cfg.Store.Watch(watching, from) {
		if batch.Err != nil {
			return batch.Err
		}
		works()
		for _, ev := range batch.Events {
			if ev.Deleted {
				if v.deleted != nil {
					v.deleted(ev.KV.Key)
				}
				continue
			}
			v.put(ev.KV)
		}
		if v.listed != nil {
			v.listed()
		}
	}
	return errors.New("watch closed")
}

// gate lets pass while it is open. The zero value is closed.
type gate struct {
	mu     sync.Mutex
	open   bool          // guarded by mu
	change chan struct{} // guarded by mu; closed when the gate opens
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	if open && g.change != nil {
		close(g.change)
		g.change = nil
	}
}

func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// wait returns once the gate is open, or with ctx's cause.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.open {
			g.mu.Unlock()
			return nil
		}
		if g.change == nil {
			g.change = make(chan struct{})
		}
		change := g.change
		g.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
