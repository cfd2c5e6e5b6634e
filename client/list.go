package client

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// RunSummary is a run as it is listed. Times are on the clock of the run's
// shard; the zero time is none.
type RunSummary struct {
	ID       grapnel.RunID     `json:"id"`
	Instance grapnel.Instance  `json:"instance"`
	Workflow string            `json:"workflow"`
	Version  string            `json:"version,omitempty"`
	Status   grapnel.RunStatus `json:"status,omitempty"`
	// Generation is how often the run was retried.
	Generation int               `json:"generation,omitempty"`
	Priority   int               `json:"priority"`
	Labels     map[string]string `json:"labels,omitempty"`
	Started    time.Time         `json:"started,omitzero"`
	Ended      time.Time         `json:"ended,omitzero"`
	// Err is why there is nothing to show beside ID and Instance: it wraps
	// [grapnel.ErrCorrupt] or [snapshot.ErrNewerFormat]. Problem is its text.
	Err     error  `json:"-"`
	Problem string `json:"problem,omitempty"`
}

func summarize(h *snapshot.Head) RunSummary {
	return RunSummary{
		ID: h.Run, Instance: h.Instance, Workflow: h.Workflow, Version: h.Version, Status: h.State.Status,
		Generation: h.State.Generation, Priority: h.Priority, Labels: h.Labels,
		Started: h.State.Started.Time(), Ended: h.State.Ended.Time(),
	}
}

// Filter says which runs to list; a zero field admits all. Runs that cannot be
// decoded are listed whatever the filter says.
type Filter struct {
	// Status admits the runs in one of these statuses.
	Status []grapnel.RunStatus
	// Workflow admits the runs of the workflow of this name.
	Workflow string
	// Labels admits the runs that have all of these.
	Labels map[string]string
	// StartedAfter and StartedBefore admit the runs started at or after one
	// time and before the other.
	StartedAfter  time.Time
	StartedBefore time.Time
}

func (f *Filter) admits(s *RunSummary) bool {
	switch {
	case len(f.Status) > 0 && !slices.Contains(f.Status, s.Status),
		f.Workflow != "" && s.Workflow != f.Workflow,
		!f.StartedAfter.IsZero() && s.Started.Before(f.StartedAfter),
		!f.StartedBefore.IsZero() && !s.Started.Before(f.StartedBefore):
		return false
	}
	for k, v := range f.Labels {
		if got, ok := s.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Page is a part of a listing.
type Page struct {
	Runs []RunSummary `json:"runs"`
	// Next is the token of the page that follows; empty if this is the last one.
	Next string `json:"next,omitempty"`
}

// Limits of pages.
const (
	// DefaultLimit is how many runs a page has when no limit is given.
	DefaultLimit = 100
	// MaxLimit is the largest limit.
	MaxLimit = 1000

	// scanBudget is about how many keys are read for one page.
	scanBudget = 20_000
	scanPage   = 500
)

// List returns a page of the runs that the filter admits, in an order that has
// no meaning but stays the same. Token is empty for the first page and then the
// Next of the page before, with the same filter; any other is refused with an
// error that wraps [grapnel.ErrInvalid]. Limit is 1 to [MaxLimit]; zero means
// [DefaultLimit].
//
// A page may have fewer runs than limit, or none, although more follow: it ends
// when enough was read for it. A run that exists throughout is on one page; one
// that is created or deleted between two pages is on one or none.
func (c *Client) List(ctx context.Context, f Filter, token string, limit int) (*Page, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 1 || limit > MaxLimit {
		return nil, fmt.Errorf("list runs: %w: limit %d is not 1 to %d", grapnel.ErrInvalid, limit, MaxLimit)
	}
	at, err := parseToken(token, &f)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	p := &Page{Runs: []RunSummary{}}
	for budget := scanBudget; ; {
		more, err := c.listShard(ctx, &f, &at, p, limit, &budget)
		if err != nil {
			return nil, err
		}
		if !more && at.shard == store.Shards-1 {
			return p, nil
		}
		if !more {
			at = position{shard: at.shard + 1}
		}
		if len(p.Runs) >= limit || budget <= 0 {
			p.Next = at.token(&f)
			return p, nil
		}
	}
}

// All returns all runs that the filter admits, page by page. It ends after the
// first error.
func (c *Client) All(ctx context.Context, f Filter) iter.Seq2[RunSummary, error] {
	return func(yield func(RunSummary, error) bool) {
		for token := ""; ; {
			p, err := c.List(ctx, f, token, MaxLimit)
			if err != nil {
				yield(RunSummary{}, err)
				return
			}
			for _, run := range p.Runs {
				if !yield(run, nil) {
					return
				}
			}
			if token = p.Next; token == "" {
				return
			}
		}
	}
}

// listShard adds runs of the shard from at on and moves at behind what was read.
// More is set if it stopped, at the limit or the budget, before the shard's end.
func (c *Client) listShard(ctx context.Context, f *Filter, at *position, p *Page, limit int, budget *int) (more bool, err error) {
	prefix := c.keys.ShardRuns(at.shard)
	req := store.ListRequest{Prefix: prefix, Limit: scanPage}
	if at.after != "" {
		req.After = prefix + at.after
	}
	for {
		page, err := c.st.List(ctx, req)
		if err != nil {
			return false, fmt.Errorf("list runs of shard %s: %w", at.shard, err)
		}
		for _, kv := range page.KVs {
			at.after = strings.TrimPrefix(kv.Key, prefix)
			k, ok := c.keys.ParseRun(kv.Key)
			if !ok || k.Kind != "head" {
				continue
			}
			if s := c.summary(k.Run, kv); s.Err != nil || f.admits(&s) {
				p.Runs = append(p.Runs, s)
			}
			if len(p.Runs) >= limit {
				return true, nil
			}
		}
		if !page.More {
			return false, nil
		}
		if *budget -= len(page.KVs); *budget <= 0 {
			return true, nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

func (c *Client) summary(run grapnel.RunID, kv store.KV) RunSummary {
	h, err := snapshot.DecodeHead(kv)
	if err == nil && h.Run != run {
		err = fmt.Errorf("%w: key %q holds the head of run %q", grapnel.ErrCorrupt, kv.Key, h.Run)
	}
	if err != nil {
		return RunSummary{ID: run, Instance: kv.Create, Err: err, Problem: err.Error()}
	}
	return summarize(h)
}
