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
	h, err := c.waitEnded(ctx, id, 0, 0)
	if err != nil {
		return nil, err
	}
	var info *RunInfo
	err = c.patiently(ctx, "wait for", id, func() error {
		info, err = c.info(ctx, h, nil, getSpec{output: true})
		return err
	})
	return info, err
}

// waitEnded waits until the run has ended and returns its head. Instance zero
// stands for the instance that is found. Known is as for heads.await.
func (c *Client) waitEnded(ctx context.Context, id grapnel.RunID, instance grapnel.Instance, known grapnel.Revision) (h *snapshot.Head, err error) {
	err = c.patiently(ctx, "wait for", id, func() error {
		kv, err := c.heads.await(ctx, id, &instance, known)
		if err != nil {
			return err
		}
		h, err = c.runs.Decode(ctx, kv)
		return err
	})
	return h, err
}

// patiently calls do until it returns something else than trouble with the
// store that may pass, or ctx ends. Doing is what errors say was tried.
func (c *Client) patiently(ctx context.Context, doing string, id grapnel.RunID, do func() error) error {
	for pause := (store.Pause{}); ; {
		err := do()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s run %q: %w", doing, id, context.Cause(ctx))
		case !passing(err):
			return fmt.Errorf("%s run %q: %w", doing, id, err)
		}
		c.log.Debug("waiting goes on after an error", "doing", doing, "run", id, "error", err)
		if err := pause.Wait(ctx); err != nil {
			return fmt.Errorf("%s run %q: %w", doing, id, err)
		}
	}
}

// passing reports whether reading or watching again may help.
func passing(err error) bool {
	return errors.Is(err, grapnel.ErrUnavailable) || errors.Is(err, grapnel.ErrUnknown) || errors.Is(err, store.ErrCompacted)
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
