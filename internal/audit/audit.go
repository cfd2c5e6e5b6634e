package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Auditor checks a history that it is given revision by revision. It is not
// safe for concurrent use.
type Auditor struct {
	keys   store.Keys
	report Report
	rev    grapnel.Revision // being applied

	defs    map[string]*definition
	runs    map[grapnel.RunID]*run
	starts  map[string]grapnel.Revision // start operation → instance
	shards  map[string]bool             // owned
	watched bool                        // there has been an owner
	records map[string]grapnel.Revision // record key → where it was put
	gone    []string                    // records deleted by the revision being applied
}

// New returns an auditor of one namespace's history.
func New(keys store.Keys) *Auditor {
	return &Auditor{
		keys: keys, defs: map[string]*definition{}, runs: map[grapnel.RunID]*run{},
		starts: map[string]grapnel.Revision{}, shards: map[string]bool{}, records: map[string]grapnel.Revision{},
		report: Report{Complete: true, Violations: []Violation{}},
	}
}

// Read audits the history of a store from its first revision to the one that is
// current when Read begins, or later, over the whole key space, so that it can
// tell that no revision is missing.
func Read(ctx context.Context, st store.Store, keys store.Keys) (Report, error) {
	page, err := st.List(ctx, store.ListRequest{Prefix: keys.Root(), Limit: 1, KeysOnly: true})
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	a := New(keys)
	if page.Revision <= 1 {
		return a.Report(), nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for batch := range st.Watch(ctx, store.WatchRequest{From: 1}) {
		if batch.Err != nil {
			return Report{}, fmt.Errorf("audit: history from revision 1 to %d: %w", page.Revision, batch.Err)
		}
		a.Apply(batch.Events)
		if a.report.Last >= page.Revision {
			break
		}
	}
	if a.report.Last < page.Revision {
		return Report{}, fmt.Errorf("audit: history from revision 1 to %d ended at %d: %w", page.Revision, a.report.Last, context.Cause(ctx))
	}
	return a.Report(), nil
}

// Apply takes the next events of the history; a revision's may not be divided
// between calls.
func (a *Auditor) Apply(events []store.Event) {
	for i := 0; i < len(events); {
		j := i
		for j < len(events) && events[j].KV.Mod == events[i].KV.Mod {
			j++
		}
		a.revision(events[i].KV.Mod, events[i:j])
		i = j
	}
}

// Report returns what was found up to here.
func (a *Auditor) Report() Report {
	r := a.report
	r.Violations = append([]Violation{}, r.Violations...)
	for id, run := range a.runs {
		if run.head == nil {
			continue
		}
		r.Runs++
		r.Nodes += run.slots.real
		for _, n := range run.nodes {
			if grapnel.NodeStatus(n.Status) == grapnel.NodeCompleted {
				r.Completed++
			}
		}
		if !run.ended() {
			continue
		}
		r.Ended++
		for node := range run.claims {
			r.Violations = append(r.Violations, Violation{Promise: "no ghost", Revision: r.Last, Run: string(id), Node: node, Text: "a claim is left on a run that has ended"})
		}
	}
	return r
}

func (a *Auditor) violate(promise string, id grapnel.RunID, node any, format string, args ...any) {
	a.report.Violations = append(a.report.Violations, Violation{
		Promise: promise, Revision: a.rev, Run: string(id), Node: fmt.Sprint(node), Text: fmt.Sprintf(format, args...),
	})
}

// revision applies the events of one revision. Everything is compared with the
// state before it.
func (a *Auditor) revision(rev grapnel.Revision, events []store.Event) {
	if a.report.First == 0 {
		a.report.First = rev
		a.report.Complete = rev <= 2 // an empty etcd is at revision 1
	} else if rev != a.report.Last+1 {
		a.report.Complete = false
	}
	a.rev, a.report.Last = rev, rev
	changes := map[grapnel.RunID]*change{}
	for _, ev := range events {
		a.sort(ev, changes)
	}
	for _, id := range slices.Sorted(maps.Keys(changes)) {
		a.runChange(id, changes[id])
	}
	a.recordsGone()
	for _, ev := range events {
		a.shard(ev)
	}
}
