package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// GetOption asks [Client.Get] for more than it returns by default.
type GetOption func(*getSpec)

type getSpec struct {
	output, nodeOutputs bool
	trouble             func(error)
}

// WithOutput asks for the output of a run that has completed.
func WithOutput() GetOption { return func(s *getSpec) { s.output = true } }

// WithNodeOutputs asks for the outputs of all completed nodes, which may be
// 64 KiB each.
func WithNodeOutputs() GetOption { return func(s *getSpec) { s.nodeOutputs = true } }

// OnTrouble asks [Client.Watch] to call f when it cannot go on for now, with the
// reason, which is over when the next run is yielded. F is called where runs are
// yielded. For Get it asks nothing.
func OnTrouble(f func(error)) GetOption { return func(s *getSpec) { s.trouble = f } }

// Get returns a run with its nodes, as of one moment, and what the workers that
// are alive a moment later make of those that are available. Errors wrap
// [grapnel.ErrNotFound], [grapnel.ErrCorrupt], [snapshot.ErrNewerFormat],
// [grapnel.ErrWrongDefinition] if the run's definition is not stored,
// [grapnel.ErrRunGone] if it is deleted while its outputs are read, or are those
// of the store.
func (c *Client) Get(ctx context.Context, id grapnel.RunID, o ...GetOption) (*RunInfo, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	var spec getSpec
	for _, set := range o {
		set(&spec)
	}
	h, live, _, err := c.loadWithClaims(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.info(ctx, h, live, spec)
}

func (c *Client) info(ctx context.Context, h *snapshot.Head, live claims, spec getSpec) (*RunInfo, error) {
	info := c.describe(h, live)
	if err := c.addStuck(ctx, h, info.Nodes); err != nil {
		return nil, err
	}
	return info, c.addValues(ctx, h, info, spec)
}

// describe tells what head and claims say, without values.
func (c *Client) describe(h *snapshot.Head, live claims) *RunInfo {
	s := h.State
	info := &RunInfo{
		RunSummary: summarize(h), Definition: h.Definition, Queue: h.Queue, Deadline: s.Deadline.Time(),
		Input: orNull(h.Input), Cause: failureInfo(s, s.Cause), Nodes: nodeInfos(h, live, c.moment()),
	}
	if s.Status.Ended() && s.Status != grapnel.RunCompleted {
		info.failure = runFailed(h)
	}
	return info
}

// addValues fills in the values that were asked for.
func (c *Client) addValues(ctx context.Context, h *snapshot.Head, info *RunInfo, spec getSpec) error {
	if spec.output && h.State.Status == grapnel.RunCompleted {
		data, err := c.output(ctx, h)
		if err != nil {
			return err
		}
		info.Output = data
	}
	if spec.nodeOutputs {
		return c.addOutputs(ctx, h, info.Nodes)
	}
	return nil
}

// addStuck fills in why available nodes are not taken.
func (c *Client) addStuck(ctx context.Context, h *snapshot.Head, nodes []NodeInfo) error {
	var workers []*snapshot.Profile
	asked := false
	for i := range nodes {
		if nodes[i].State != NodeAvailable {
			continue
		}
		if !asked {
			var err error
			if workers, err = c.Workers(ctx); err != nil {
				return err
			}
			asked = true
		}
		nodes[i].Stuck = stuck(workers, h.Def(), h.State.NodeOf(nodes[i].slot))
	}
	return nil
}

// addOutputs fills in the outputs of the completed nodes.
func (c *Client) addOutputs(ctx context.Context, h *snapshot.Head, nodes []NodeInfo) error {
	var slots []int
	for i := range nodes {
		if nodes[i].State == NodeCompleted && !h.Node(nodes[i].slot).Kind.Holds() {
			slots = append(slots, nodes[i].slot)
		}
	}
	values, err := c.runs.Outputs(ctx, h, slots)
	if err != nil {
		return err
	}
	for i := range nodes {
		if nodes[i].State != NodeCompleted {
			continue
		}
		data, err := values.Output(nodes[i].slot)
		if errors.Is(err, grapnel.ErrTooLarge) {
			continue // of a map: the outputs that it consists of are there
		}
		if err != nil {
			return err
		}
		nodes[i].Output = orNull(data)
	}
	return nil
}

func orNull(data []byte) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}

// loadWithClaims returns a run's head and live claims, by node, as of one
// revision, which it returns too; of a run that has ended, that of its head.
func (c *Client) loadWithClaims(ctx context.Context, id grapnel.RunID) (*snapshot.Head, claims, grapnel.Revision, error) {
	head, err := c.st.Get(ctx, c.keys.Head(id))
	if errors.Is(err, grapnel.ErrNotFound) {
		return nil, nil, 0, fmt.Errorf("run %q: %w", id, grapnel.ErrNotFound)
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("get run %q: %w", id, err)
	}
	if s, err := snapshot.DecodeSummary(head.Value); err == nil && s.Status.Ended() {
		h, err := c.runs.Decode(ctx, head) // it has no claims any more
		return h, nil, head.Mod, err
	}
	// The claims sort before the head, and what comes behind it is of no
	// interest.
	live := claims{}
	req := store.ListRequest{Prefix: c.keys.Run(id)}
	for {
		page, err := c.st.List(ctx, req)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("get run %q: %w", id, err)
		}
		for _, kv := range page.KVs {
			k, ok := c.keys.ParseRun(kv.Key)
			if !ok {
				continue
			}
			switch k.Kind {
			case "claim":
				live.put(c, k.ID, kv)
			case "head":
				h, err := c.runs.Decode(ctx, kv)
				return h, live, page.Revision, err
			}
		}
		if !page.More {
			return nil, nil, 0, fmt.Errorf("run %q: %w", id, grapnel.ErrNotFound)
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// decodeClaim returns a claim; one that does not decode still covers its node.
func (c *Client) decodeClaim(kv store.KV) claimed {
	v := &pb.Claim{}
	if err := proto.Unmarshal(kv.Value, v); err != nil {
		c.log.Warn("claim does not decode", "key", kv.Key, "error", err)
		v = nil
	}
	return claimed{fence: grapnel.Fence(kv.Create), value: v}
}
