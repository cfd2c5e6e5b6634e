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
		kv, err := c.followToEnd(ctx, key, &instance)
		if err != nil {
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

// followToEnd watches a head and returns it as it is once the run has ended. It
// opens the watch first and then reads, for a watch from the revision that was
// read would have to catch up with whatever was written since. If instance is
// zero it becomes that of the head that is found.
func (c *Client) followToEnd(ctx context.Context, key string, instance *grapnel.Instance) (store.KV, error) {
	ctx, cancel := context.WithCancel(ctx)
	batches := c.st.Watch(ctx, store.WatchRequest{Prefix: key})
	defer func() {
		cancel()
		for range batches { // until the watch has ended
		}
	}()
	var read grapnel.Revision // the head's, or zero before it was read
	for b := range batches {
		if b.Err != nil {
			return store.KV{}, b.Err
		}
		if read == 0 {
			kv, err := c.st.Get(ctx, key)
			if errors.Is(err, grapnel.ErrNotFound) && *instance != 0 {
				err = grapnel.ErrRunGone
			}
			if err != nil {
				return store.KV{}, err
			}
			if read = kv.Mod; *instance == 0 {
				*instance = kv.Create
			}
			if ended, err := hasEnded(kv, *instance); ended || err != nil {
				return kv, err
			}
		}
		for _, ev := range b.Events {
			if ev.KV.Key != key || ev.KV.Mod <= read {
				continue
			}
			if ev.Deleted {
				return store.KV{}, grapnel.ErrRunGone
			}
			if ended, err := hasEnded(ev.KV, *instance); ended || err != nil {
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
