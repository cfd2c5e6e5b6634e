package coordinator

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// view is what the keys of runs say, by the watch. The runs themselves are in
// their shards.
type view struct {
	listed  bool             // it was built from a listing, and is not being built again
	base    grapnel.Revision // the revision listed
	applied grapnel.Revision // the revision that the watch has got to

	held   map[grapnel.WorkerID]int           // live claims, by worker
	lossy  map[*run]struct{}                  // the runs with losses
	gone   map[grapnel.RunID]grapnel.Revision // deleted runs, until the next sweep is over
	replay map[string]claimed                 // claims in the history before base, by key; nil once it is over
	lostOf *snapshot.Head                     // decoded for the last loss; not bound to its definition
}

func newView() view {
	return view{
		held: map[grapnel.WorkerID]int{}, lossy: map[*run]struct{}{}, gone: map[grapnel.RunID]grapnel.Revision{},
	}
}

// run is what the view has of a run, and, in an active shard, what its owner
// has in mind with it. The head is kept as bytes: decoded heads take several
// times the space, and commits decode their own.
type run struct {
	id    grapnel.RunID
	shard store.Shard
	rev   grapnel.Revision // of the latest change of any of its keys
	base  grapnel.Revision // up to this revision it is as listed; older changes are no news

	head    store.KV        // Mod is zero if there is none
	ended   workflow.Moment // when the run ended, or zero; then the head's value is dropped
	decoded *snapshot.Head  // the same, if it was decoded lately; see [loop.decode]
	claims  claims          // by the node key of the claim's key
	fences  snapshot.Claims // the same, for [snapshot.Claims.Covered]
	mail    []mail          // unfolded events
	losses  []loss          // not known to be counted
	freed   []claimed       // claims that a commit deleted, until the next refresh

	items     []*item // available nodes, ascending
	wakeAt    workflow.Moment
	wakeSlot  int  // in [wakes], plus one; zero is none
	queued    bool // waits for its commit
	busy      bool // an owner's commit is on its way
	archiving bool // waits to be archived, or is being
	failures  int  // of owner's commits, in a row
	corrupt   bool // reported as such

	committed grapnel.Revision // of the owner's last commit: older heads are old news
}

// claimed is a live claim.
type claimed struct {
	node     grapnel.NodeKey // of its key
	fence    grapnel.Fence
	mod      grapnel.Revision
	worker   grapnel.WorkerID
	instance grapnel.Instance
	started  workflow.Moment // as the claim says, or when it was seen if that is earlier
	err      error           // why it does not decode, or nil
}

// mail is an event that waits to be folded.
type mail struct {
	key string
	id  grapnel.OperationID
	mod grapnel.Revision
	ev  snapshot.RunEvent
	err error // why it does not decode, or nil
}

// runFor returns a run, which it adds if it is new to the view.
func (l *loop) runFor(id grapnel.RunID, s store.Shard) *run {
	sh := &l.shards[s]
	r := sh.runs[id]
	if r == nil {
		r = &run{id: id, shard: s}
		if sh.runs == nil {
			sh.runs = map[grapnel.RunID]*run{}
		}
		sh.runs[id] = r
	}
	return r
}

// forget removes a run of which nothing is left.
func (l *loop) forget(r *run) {
	l.setAside(r)
	l.clearLosses(r)
	for node := range r.claims {
		l.removeClaim(r, node)
	}
	l.view.gone[r.id] = r.rev
	delete(l.shards[r.shard].runs, r.id)
}

func (l *loop) decodeClaim(kv store.KV, node grapnel.NodeKey) claimed {
	c := claimed{node: node, fence: grapnel.Fence(kv.Create), mod: kv.Mod, started: l.clock.now()}
	m := &pb.Claim{}
	if err := proto.Unmarshal(kv.Value, m); err != nil {
		c.err = corrupt(kv, err)
		return c
	}
	c.worker, c.instance = grapnel.WorkerID(m.Worker), grapnel.Instance(m.Instance)
	if m.Started > 0 {
		c.started = min(c.started, workflow.Moment(m.Started))
	}
	return c
}

func (l *loop) putClaim(r *run, c claimed) {
	if old := r.claims[c.node]; old != nil {
		if old.fence == c.fence { // rewritten, by a heartbeat
			c.started = min(c.started, old.started)
		}
		l.removeClaim(r, c.node)
	}
	if r.claims == nil {
		r.claims, r.fences = claims{}, snapshot.Claims{}
	}
	r.claims[c.node], r.fences[c.node] = &c, c.fence
	if c.worker != "" {
		l.view.held[c.worker]++
		l.workers.heard(c.worker)
	}
}

func (l *loop) removeClaim(r *run, node grapnel.NodeKey) {
	c := r.claims[node]
	if c == nil {
		return
	}
	delete(r.claims, node)
	delete(r.fences, node)
	if len(r.claims) == 0 {
		r.claims, r.fences = nil, nil
	}
	if l.view.held[c.worker]--; l.view.held[c.worker] <= 0 {
		delete(l.view.held, c.worker)
	}
	l.queue.changed = true // a slot is free
}

func (l *loop) decodeMail(kv store.KV, id string) mail {
	m := mail{key: kv.Key, id: grapnel.OperationID(id), mod: kv.Mod}
	m.ev, m.err = snapshot.DecodeEvent(kv, m.id)
	return m
}

func (r *run) putMail(m mail) {
	r.removeMail(m.key)
	r.mail = append(r.mail, m)
}

func (r *run) removeMail(key string) {
	r.mail = slices.DeleteFunc(r.mail, func(m mail) bool { return m.key == key })
}

// claims are live claims by the nodes of their keys. The claims themselves are
// not modified.
type claims map[grapnel.NodeKey]*claimed

// covering returns the live claim that covers the node at a slot, or nil.
func (cs claims) covering(s *workflow.State, slot int) *claimed {
	if len(cs) == 0 {
		return nil
	}
	if c := cs.of(s, slot); c != nil {
		return c
	}
	if cover := s.Nodes[slot].Cover; cover.Fence != 0 {
		if c := cs.of(s, cover.Node); c != nil && c.fence == cover.Fence {
			return c
		}
	}
	return nil
}

// of returns the claim on the node at a slot, or nil.
func (cs claims) of(s *workflow.State, slot int) *claimed {
	var room [32]byte // so that the key takes no memory of its own
	return cs[grapnel.NodeKey(s.AppendKey(room[:0], slot))]
}

// claimNode returns the node that a claim's key names. Ok is false for what is
// the key of no node.
func claimNode(id string) (node grapnel.NodeKey, ok bool) {
	_, _, ok = workflow.ParseKey(grapnel.NodeKey(id))
	return grapnel.NodeKey(id), ok
}

// started returns, by slot, when the attempts began of the nodes that claims were
// made for.
func (cs claims) started(s *workflow.State) map[int]workflow.Moment {
	starts := make(map[int]workflow.Moment, len(cs))
	for node, c := range cs {
		if slot, ok := s.Slot(node); ok {
			starts[slot] = c.started
		}
	}
	return starts
}
