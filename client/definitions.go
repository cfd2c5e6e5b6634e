package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// minHashPrefix is from how many digits on a hash may be cut off.
const minHashPrefix = 6

// AmbiguousError says that several definitions go by a name. It is
// [grapnel.ErrInvalid].
type AmbiguousError struct {
	Name string
	// Found are the definitions, in no order.
	Found []*workflow.Definition
}

func (e *AmbiguousError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d definitions are called %s; name one by its hash: ", len(e.Found), e.Name)
	for i, d := range e.Found {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Hash())
		if d.Version != "" {
			fmt.Fprintf(&b, " (version %s)", d.Version)
		}
	}
	return b.String()
}

// Is reports whether target is [grapnel.ErrInvalid].
func (e *AmbiguousError) Is(target error) bool { return target == grapnel.ErrInvalid }

// FindDefinition returns the stored definition that has this hash, or whose hash
// begins with it if that is 6 digits or more, or that is the only one of the
// workflow of this name. Definitions are stored by the first start of a run and
// by workers that serve the workflow. The error is an [AmbiguousError], wraps
// [grapnel.ErrNotFound], or is one of the store's.
func (c *Client) FindDefinition(ctx context.Context, nameOrHash string) (*workflow.Definition, error) {
	if nameOrHash == "" {
		return nil, fmt.Errorf("%w: neither a workflow's name nor a definition's hash is given", grapnel.ErrInvalid)
	}
	var named, hashed []*workflow.Definition
	err := c.eachDefinition(ctx, func(d *workflow.Definition) {
		if d.Name == nameOrHash {
			named = append(named, d)
		}
		if len(nameOrHash) >= minHashPrefix && strings.HasPrefix(d.Hash(), nameOrHash) {
			hashed = append(hashed, d)
		}
	})
	if err != nil {
		return nil, err
	}
	found := hashed
	if len(found) == 0 {
		found = named
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("workflow or definition %q: %w: it is stored by its first start from Go, or by a worker that serves it", nameOrHash, grapnel.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return nil, &AmbiguousError{Name: nameOrHash, Found: found}
}

// Definitions returns the stored definitions that can be decoded, in the order
// of their hashes. Each may have a megabyte. Errors are the store's.
func (c *Client) Definitions(ctx context.Context) ([]*workflow.Definition, error) {
	var found []*workflow.Definition
	err := c.eachDefinition(ctx, func(d *workflow.Definition) { found = append(found, d) })
	if err != nil {
		return nil, err
	}
	return found, nil
}

// eachDefinition calls visit for each stored definition that can be decoded.
func (c *Client) eachDefinition(ctx context.Context, visit func(*workflow.Definition)) error {
	// Definitions may have a megabyte each.
	req := store.ListRequest{Prefix: c.keys.Definitions(), Limit: 16}
	for {
		page, err := c.st.List(ctx, req)
		if err != nil {
			return fmt.Errorf("list definitions: %w", err)
		}
		for _, kv := range page.KVs {
			d, err := snapshot.DecodeDefinition(kv.Value)
			switch {
			case errors.Is(err, snapshot.ErrNewerFormat):
			case err != nil:
				c.log.Warn("definition does not decode", "key", kv.Key, "error", err)
			default:
				visit(d)
			}
		}
		if !page.More {
			return nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}
