package audit

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// change is what one revision does to one run.
type change struct {
	head                *store.Event
	claims, event, fold []store.Event
}

// claim is a live claim key.
type claim struct {
	fence  int64
	worker string
	began  int64 // the attempt's start on the shard's clock
	clock  int64 // the run's committed clock when the claim was made
	notYet int64 // before when the node was not to start, as of then; or zero
	loose  bool  // it has already been reported to have no lease
}

// definition is what of a definition matters here.
type definition struct{ nodes []*pb.DefinitionNode }

// run is a run as of the revision applied last.
type run struct {
	instance grapnel.Revision
	head     *pb.Head
	value    string // of the head, to tell a rewrite that changes nothing
	status   grapnel.RunStatus
	slots    *slots
	nodes    map[int]*pb.Node         // by slot, like the maps below
	chosenAt map[int]grapnel.Revision // holder → where its decision was committed
	doneAt   map[int]grapnel.Revision // node → where its output was committed
	coverAt  map[int]grapnel.Revision // node → where its cover was recorded
	claims   map[string]*claim        // by node
	events   map[string]bool
	folded   map[string]bool
	lost     map[int][]loss // node → losses not counted yet
}

// loss is a claim that vanished.
type loss struct {
	fence int64
	at    grapnel.Revision
	// optional is set if it need not be counted, for nobody had watched yet.
	optional bool
}

func (r *run) ended() bool { return r.status.Ended() }

func (a *Auditor) sort(ev store.Event, changes map[grapnel.RunID]*change) {
	key := ev.KV.Key
	if k, ok := a.keys.ParseRun(key); ok {
		c := changes[k.Run]
		if c == nil {
			c = &change{}
			changes[k.Run] = c
		}
		switch k.Kind {
		case "head":
			c.head = &ev
		case "claim":
			c.claims = append(c.claims, ev)
		case "event":
			c.event = append(c.event, ev)
		case "folded":
			c.fold = append(c.fold, ev)
		}
		return
	}
	if hash, ok := strings.CutPrefix(key, a.keys.Definitions()); ok && !ev.Deleted {
		m := &pb.Definition{}
		if err := proto.Unmarshal(ev.KV.Value, m); err != nil {
			a.violate("write-once", "", hash, "definition does not decode: %v", err)
			return
		}
		a.defs[hash] = &definition{nodes: m.Nodes}
	}
	if strings.HasPrefix(key, a.keys.Root()+"record/") {
		a.record(ev)
	}
	if strings.HasPrefix(key, a.keys.Root()+"inbox/") && !ev.Deleted {
		a.message(ev)
	}
}

func (a *Auditor) record(ev store.Event) {
	if ev.Deleted {
		a.gone = append(a.gone, ev.KV.Key)
		return
	}
	if at, ok := a.records[ev.KV.Key]; ok {
		a.violate("write-once", "", ev.KV.Key, "record put at revision %d is put again", at)
	}
	a.records[ev.KV.Key] = ev.KV.Mod
}

// recordsGone checks that records go only together with their runs.
func (a *Auditor) recordsGone() {
	for _, key := range a.gone {
		delete(a.records, key)
		rest := strings.TrimPrefix(key, a.keys.Root()+"record/")
		if parts := strings.Split(rest, "/"); len(parts) == 3 {
			if id, ok := store.Unescape(parts[1]); ok && a.runs[grapnel.RunID(id)] != nil {
				a.violate("write-once", grapnel.RunID(id), parts[2], "a record is deleted while its run exists")
			}
		}
	}
	a.gone = nil
}

func (a *Auditor) shard(ev store.Event) {
	if shard, ok := strings.CutPrefix(ev.KV.Key, a.keys.ShardOwners()); ok {
		a.shards[shard] = !ev.Deleted
		a.watched = true
	}
}

func (a *Auditor) owned(id grapnel.RunID) bool { return a.shards[store.ShardOf(id).String()] }

// runChange applies what a revision does to a run: first the head, against the
// claims and events before it, then claims and events.
func (a *Auditor) runChange(id grapnel.RunID, c *change) {
	r := a.runs[id]
	if r == nil {
		r = newRun()
		a.runs[id] = r
	}
	wasEnded, generation := r.head != nil && r.ended(), r.head.GetGeneration()
	outcomes := map[int64]bool{} // fences that this revision concludes an attempt of
	if c.head == nil {
		a.lost(r, c.claims)
	}
	switch {
	case c.head == nil:
	case c.head.Deleted:
		a.deleted(id, r, c)
		return
	default:
		a.headPut(id, r, c, outcomes)
	}
	a.events(id, r, c, r.head.GetGeneration() > generation)
	if c.head != nil && r.ended() && !wasEnded {
		for ev := range r.events {
			a.violate("exactly-once folding", id, ev, "the run ended over an event that waited")
		}
	}
	if r.ended() || r.head.GetCause() != nil {
		clear(r.lost) // what was not counted by now is settled
	}
	for _, ev := range c.claims {
		a.claim(id, r, ev, c.head != nil, outcomes)
	}
}

func newRun() *run {
	return &run{
		nodes: map[int]*pb.Node{}, chosenAt: map[int]grapnel.Revision{}, doneAt: map[int]grapnel.Revision{}, coverAt: map[int]grapnel.Revision{},
		claims: map[string]*claim{}, events: map[string]bool{}, folded: map[string]bool{}, lost: map[int][]loss{},
	}
}

// deleted forgets a run. Its claims and events must go in the same revision.
func (a *Auditor) deleted(id grapnel.RunID, r *run, c *change) {
	for _, ev := range c.claims {
		k, _ := a.keys.ParseRun(ev.KV.Key)
		delete(r.claims, k.ID)
	}
	for node := range r.claims {
		a.violate("no ghost", id, node, "a claim outlives the deletion of its run")
	}
	delete(a.runs, id)
}

// events applies what a revision does to a run's mailbox. Retried tells whether
// it begins a new generation, which drops the events that came behind the end.
func (a *Auditor) events(id grapnel.RunID, r *run, c *change, retried bool) {
	folds := map[string]bool{}
	for _, ev := range c.fold {
		k, _ := a.keys.ParseRun(ev.KV.Key)
		if ev.Deleted {
			a.violate("exactly-once folding", id, k.ID, "the marker of a folded event is deleted")
			continue
		}
		if r.folded[k.ID] {
			a.violate("exactly-once folding", id, k.ID, "an event is folded twice")
		}
		switch refused := len(ev.KV.Value) > 0; {
		case refused && (c.head != nil || !r.ended()):
			a.violate("exactly-once folding", id, k.ID, "an event is refused by a run that is %v", r.status)
		case refused:
		case c.head == nil:
			a.violate("exactly-once folding", id, k.ID, "an event is folded without writing the head")
		case !a.owned(id):
			a.violate("no stale leader", id, k.ID, "an event is folded while the shard has no owner")
		}
		r.folded[k.ID], folds[k.ID] = true, true
	}
	for _, ev := range c.event {
		k, _ := a.keys.ParseRun(ev.KV.Key)
		switch {
		case !ev.Deleted && r.folded[k.ID]:
			a.violate("exactly-once folding", id, k.ID, "an event that was folded is put again")
		case !ev.Deleted:
			r.events[k.ID] = true
			continue
		case !folds[k.ID] && !retried:
			a.violate("exactly-once folding", id, k.ID, "an event vanishes unfolded")
		}
		delete(r.events, k.ID)
	}
}
