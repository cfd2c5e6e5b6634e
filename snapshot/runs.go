package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Runs is the runs of a namespace. Use [NewRuns]. It is safe for concurrent
// use.
type Runs struct {
	st   store.Store
	keys store.Keys
	defs *Definitions

	mu         sync.Mutex
	tombstones store.LeaseID // guarded by mu; shared by the deletions of a minute
	until      time.Time     // guarded by mu; when the next lease is due
}

// NewRuns returns the runs that are stored under keys. Definitions may be
// shared with others.
func NewRuns(st store.Store, keys store.Keys, defs *Definitions) *Runs {
	return &Runs{st: st, keys: keys, defs: defs}
}

// Definitions returns the definitions that runs are bound to.
func (r *Runs) Definitions() *Definitions { return r.defs }

// Load returns a run's head. Errors wrap [grapnel.ErrNotFound],
// [grapnel.ErrCorrupt], [ErrNewerFormat], [grapnel.ErrWrongDefinition] if its
// definition is not stored, or are those of the store.
func (r *Runs) Load(ctx context.Context, run grapnel.RunID) (*Head, error) {
	if err := run.Validate(); err != nil {
		return nil, err
	}
	kv, err := r.st.Get(ctx, r.keys.Head(run))
	if errors.Is(err, grapnel.ErrNotFound) {
		return nil, fmt.Errorf("run %q: %w", run, grapnel.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get run %q: %w", run, err)
	}
	return r.decode(ctx, kv)
}

// Decode returns the head in kv, as it was read, listed or watched, bound to
// its definition. Errors are those of [Runs.Load].
func (r *Runs) Decode(ctx context.Context, kv store.KV) (*Head, error) { return r.decode(ctx, kv) }

func (r *Runs) decode(ctx context.Context, kv store.KV) (*Head, error) {
	h, err := DecodeHead(kv)
	if err != nil {
		return nil, err
	}
	if key := r.keys.Head(h.Run); key != kv.Key {
		return nil, fmt.Errorf("%w: key %q holds the head of run %q", grapnel.ErrCorrupt, kv.Key, h.Run)
	}
	def, err := r.defs.Get(ctx, h.Definition)
	if err != nil {
		return nil, fmt.Errorf("run %q: %w", h.Run, err)
	}
	if err := h.Bind(def); err != nil {
		return nil, err
	}
	return h, nil
}

// Listed is an entry of [Runs.List]: a head, or why there is none to show.
type Listed struct {
	Run  grapnel.RunID
	Head *Head
	Err  error
}

// List calls visit for the head of each run of the shard, in the order of their
// escaped ids, as of one revision, which it returns. Visit gets an error in
// place of a head that cannot be decoded, and ends the listing by returning
// false.
func (r *Runs) List(ctx context.Context, shard store.Shard, visit func(Listed) bool) (grapnel.Revision, error) {
	req := store.ListRequest{Prefix: r.keys.ShardRuns(shard)}
	for {
		page, err := r.st.List(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("list shard %s: %w", shard, err)
		}
		for _, kv := range page.KVs {
			k, ok := r.keys.ParseRun(kv.Key)
			if !ok || k.Kind != "head" {
				continue
			}
			h, err := r.decode(ctx, kv)
			if !visit(Listed{Run: k.Run, Head: h, Err: err}) {
				return page.Revision, nil
			}
		}
		if !page.More {
			return page.Revision, nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}
