package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// WaitEnded waits until the run has ended, however that was, and returns what it
// is then, with its output if it completed. It goes on while the store cannot
// be reached, until ctx ends, when it returns ctx's cause. Errors wrap
// [grapnel.ErrNotFound] if there is no such run, [grapnel.ErrRunGone] if it is
// deleted meanwhile, [grapnel.ErrCorrupt], or are those of the store.
func (c *Client) WaitEnded(ctx context.Context, id grapnel.RunID) (*RunInfo, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	h, err := c.waitEnded(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	var info *RunInfo
	err = c.patiently(ctx, id, func() error {
		info, err = c.info(ctx, h, nil, getSpec{output: true})
		return err
	})
	return info, err
}

// waitEnded waits until the run has ended and returns its head. Instance zero
// stands for the instance that is found.
func (c *Client) waitEnded(ctx context.Context, id grapnel.RunID, instance grapnel.Instance) (h *snapshot.Head, err error) {
	key := c.keys.Head(id)
	err = c.patiently(ctx, id, func() error {
		kv, seen, err := c.readHead(ctx, key)
		if errors.Is(err, grapnel.ErrNotFound) && instance != 0 {
			return grapnel.ErrRunGone
		}
		if err != nil {
			return err
		}
		if instance == 0 {
			instance = kv.Create
		}
		if kv, err = c.followToEnd(ctx, kv, seen, instance); err != nil {
			return err
		}
		h, err = c.runs.Decode(ctx, kv)
		return err
	})
	return h, err
}

// patiently calls do until it returns something else than trouble with the
// store that may pass, or ctx ends.
func (c *Client) patiently(ctx context.Context, id grapnel.RunID, do func() error) error {
	for pause := (store.Pause{}); ; {
		err := do()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("wait for run %q: %w", id, context.Cause(ctx))
		case !passing(err):
			return fmt.Errorf("wait for run %q: %w", id, err)
		}
		c.log.Debug("waiting goes on after an error", "run", id, "error", err)
		if err := pause.Wait(ctx); err != nil {
			return fmt.Errorf("wait for run %q: %w", id, err)
		}
	}
}

// passing reports whether reading or watching again may help.
func passing(err error) bool {
	return errors.Is(err, grapnel.ErrUnavailable) || errors.Is(err, grapnel.ErrUnknown) || errors.Is(err, store.ErrCompacted)
}

// readHead returns the head and the revision as of which it is that. A plain get
// would only give the head's own revision, behind which the history may have
// been compacted long ago.
func (c *Client) readHead(ctx context.Context, key string) (store.KV, grapnel.Revision, error) {
	res, err := c.st.Commit(ctx, store.Txn{Then: []store.Op{store.Get(key)}})
	if err != nil {
		return store.KV{}, 0, err
	}
	if !res.Reads[0].Found {
		return store.KV{}, 0, grapnel.ErrNotFound
	}
	return res.Reads[0].KV, res.Revision, nil
}

// followToEnd watches a head, which is kv as of revision seen, and returns it as
// it is once the run has ended.
func (c *Client) followToEnd(ctx context.Context, kv store.KV, seen grapnel.Revision, instance grapnel.Instance) (store.KV, error) {
	if ended, err := hasEnded(kv, instance); ended || err != nil {
		return kv, err
	}
	ctx, cancel := context.WithCancel(ctx)
	batches := c.st.Watch(ctx, store.WatchRequest{Prefix: kv.Key, From: seen + 1})
	defer func() {
		cancel()
		for range batches { // until the watch has ended
		}
	}()
	for b := range batches {
		if b.Err != nil {
			return store.KV{}, b.Err
		}
		for _, ev := range b.Events {
			if ev.KV.Key != kv.Key {
				continue
			}
			if ev.Deleted {
				return store.KV{}, grapnel.ErrRunGone
			}
			if ended, err := hasEnded(ev.KV, instance); ended || err != nil {
				return ev.KV, err
			}
		}
	}
	return store.KV{}, fmt.Errorf("%w: the watch ended", grapnel.ErrUnavailable)
}

func hasEnded(kv store.KV, instance grapnel.Instance) (bool, error) {
	if kv.Create != instance {
		return false, grapnel.ErrRunGone
	}
	s, err := snapshot.DecodeSummary(kv.Value)
	if err != nil {
		return false, fmt.Errorf("key %q at revision %d: %w", kv.Key, kv.Mod, err)
	}
	return s.Status.Ended(), nil
}
