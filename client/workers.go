package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Workers returns what the workers that are alive say of themselves, in the
// order of their ids. Alive are those whose session's lease has not run out,
// which takes a TTL after a worker's death.
func (c *Client) Workers(ctx context.Context) ([]*snapshot.Profile, error) {
	var found []*snapshot.Profile
	req := store.ListRequest{Prefix: c.keys.Workers()}
	for {
		page, err := c.st.List(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("list workers: %w", err)
		}
		for _, kv := range page.KVs {
			p, err := snapshot.DecodeProfile(kv)
			if err != nil {
				c.log.Warn("a worker's session key does not decode", "key", kv.Key, "error", err)
				continue
			}
			found = append(found, p)
		}
		if !page.More {
			return found, nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// AvailableNode is a node that waits for a worker.
type AvailableNode struct {
	Run      grapnel.RunID    `json:"run"`
	Instance grapnel.Instance `json:"instance"`
	Workflow string           `json:"workflow"`
	Node     string           `json:"node"`
	// Task is the task or inline function.
	Task     string   `json:"task"`
	Queue    string   `json:"queue"`
	Tags     []string `json:"tags,omitempty"`
	Priority int      `json:"priority"`
	Attempt  int      `json:"attempt"`
	// Since is when the node became available, on its shard's clock.
	Since time.Time `json:"since"`
	// Stuck says, in words, why no worker that is alive can run the node; empty
	// if one can.
	Stuck string `json:"stuck,omitempty"`
}

// Available returns nodes that wait for a worker, those of the best priority
// first and of those the ones that have waited longest, at most limit. It reads
// all runs of the namespace: it is for people, not for loops.
func (c *Client) Available(ctx context.Context, limit int) ([]AvailableNode, error) {
	workers, err := c.Workers(ctx)
	if err != nil {
		return nil, err
	}
	return c.available(ctx, nil, workers, limit)
}

// AvailableFor is [Client.Available] for the nodes that one worker can run. The
// error wraps [grapnel.ErrNotFound] if the worker is not alive.
func (c *Client) AvailableFor(ctx context.Context, worker grapnel.WorkerID, limit int) ([]AvailableNode, error) {
	kv, err := c.st.Get(ctx, c.keys.Worker(worker))
	if errors.Is(err, grapnel.ErrNotFound) {
		return nil, fmt.Errorf("worker %s: %w", worker, grapnel.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get worker %s: %w", worker, err)
	}
	p, err := snapshot.DecodeProfile(kv)
	if err != nil {
		return nil, err
	}
	return c.available(ctx, p, []*snapshot.Profile{p}, limit)
}

func (c *Client) available(ctx context.Context, worker *snapshot.Profile, workers []*snapshot.Profile, limit int) ([]AvailableNode, error) {
	if limit < 1 {
		return nil, fmt.Errorf("list available nodes: %w: limit %d is less than 1", grapnel.ErrInvalid, limit)
	}
	shards := make([]store.Shard, store.Shards)
	for i := range shards {
		shards[i] = store.Shard(i)
	}
	found, err := c.runs.FindAvailable(ctx, shards, worker, c.moment(), limit)
	if err != nil {
		return nil, err
	}
	nodes := make([]AvailableNode, len(found))
	for i, f := range found {
		def := f.Head.Def()
		s, node := f.Head.State, f.Head.State.NodeOf(f.Node)
		n := &def.Nodes[node]
		nodes[i] = AvailableNode{
			Run: f.Head.Run, Instance: f.Head.Instance, Workflow: f.Head.Workflow, Node: s.Name(f.Node), Task: n.Task,
			Queue: def.Queue(node), Tags: n.Policy.Tags, Priority: f.Priority,
			Attempt: s.Nodes[f.Node].Attempt(), Since: f.Since.Time(), Stuck: stuck(workers, def, node),
		}
	}
	return nodes, nil
}

// stuck says why none of the workers can run node i of def, or "" if one can.
func stuck(workers []*snapshot.Profile, def *workflow.Definition, i int) string {
	if len(workers) == 0 {
		return "no worker is alive"
	}
	reasons := map[string]int{}
	for _, w := range workers {
		lacks := w.Lacks(def, i)
		if lacks == "" && w.Draining {
			lacks = "is draining"
		}
		if lacks == "" {
			return ""
		}
		reasons[lacks]++
	}
	if len(reasons) == 1 {
		for lacks := range reasons {
			return fmt.Sprintf("none of the workers can run it: each of %d %s", len(workers), lacks)
		}
	}
	// The commonest first, and not all of them.
	const most = 3
	sorted := slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	})
	var texts []string
	for _, lacks := range sorted[:min(most, len(sorted))] {
		texts = append(texts, fmt.Sprintf("%d× %s", reasons[lacks], lacks))
	}
	if more := len(sorted) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("%d other reasons", more))
	}
	return fmt.Sprintf("none of %d workers can run it: %s", len(workers), strings.Join(texts, ", "))
}
