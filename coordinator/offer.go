package coordinator

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// item is an available node: it waits in its class to be offered, or has been
// offered and waits to be claimed.
type item struct {
	run      *run
	slot     int // of the node in the run
	node     int // in the definition
	priority int
	since    workflow.Moment // when the node became available
	cover    workflow.Cover
	offer    *pb.Offer
	def      *workflow.Definition

	class  *class
	queued int // place in the class, plus one; zero is none
	// rank orders items: the time at which the node became available plus an
	// ageing interval for each step of priority. It does not change while the
	// node waits, and yet those that wait get ahead of those that come later.
	rank workflow.Moment
	seq  uint64 // breaks ties: first come, first offered

	to    *worker // whom it was offered to, or nil
	until workflow.Moment
}

func newItem(r *run, h *snapshot.Head, slot int) *item {
	n := &h.State.Nodes[slot]
	o := &pb.Offer{
		Run: string(h.Run), Instance: int64(h.Instance), Definition: h.Definition,
		CoverFence: int64(n.Cover.Fence), Attempt: uint32(n.Attempt()),
	}
	o.Node, o.Key = h.KeyForMessage(slot)
	if n.Cover.Fence != 0 {
		o.CoverNode, o.CoverKey = h.KeyForMessage(n.Cover.Node)
	}
	return &item{run: r, slot: slot, node: int(o.Node), priority: h.NodePriority(slot), since: n.Available, cover: n.Cover, def: h.Def(), offer: o}
}

// stands reports whether the item would be made of the head as it was.
func (it *item) stands(h *snapshot.Head) bool {
	n, o := &h.State.Nodes[it.slot], it.offer
	return o.Instance == int64(h.Instance) && o.Attempt == uint32(n.Attempt()) &&
		it.cover == n.Cover && it.since == n.Available &&
		(it.def == h.Def() || it.class.key == classKey(h.Def(), it.node) && it.priority == h.NodePriority(it.slot))
}

// class is the items that call for the same kind of worker.
type class struct {
	key   string
	items heap[*item]

	able    []*worker // that lack nothing for it
	version uint64    // of the fleet, that able belongs to
}

// queue is the available nodes of all active shards.
type queue struct {
	ageing  time.Duration
	classes map[string]*class
	offered []offered // in the order in which they expire
	seq     uint64
	changed bool // there is reason to match again
}

// offered is an offer that was made. It is history once the item is with another
// worker, or has been offered again.
type offered struct {
	it    *item
	to    *worker
	until workflow.Moment
}

func (o offered) stands() bool { return o.it.to == o.to && o.it.until == o.until }

func newQueue(ageing time.Duration) queue {
	return queue{ageing: ageing, classes: map[string]*class{}}
}

// classKey names all that [snapshot.Profile.Lacks] looks at.
func classKey(def *workflow.Definition, node int) string {
	n := &def.Nodes[node]
	switch n.Kind {
	case workflow.KindInline:
		return fmt.Sprintf("%s\x00%d\x00%s", def.Queue(node), n.Kind, def.Hash())
	case workflow.KindExpr, workflow.KindSwitch, workflow.KindMap:
		return fmt.Sprintf("%s\x00%d\x00%s", def.Queue(node), n.Kind, n.Task)
	}
	return fmt.Sprintf("%s\x00%d\x00%s\x00%s\x00%s", def.Queue(node), n.Kind, n.Task, n.Policy.Version, strings.Join(n.Policy.Tags, "\x00"))
}

// add queues a new item.
func (q *queue) add(it *item) {
	key := classKey(it.def, it.node)
	c := q.classes[key]
	if c == nil {
		c = &class{key: key, items: heap[*item]{
			before: func(a, b *item) bool { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.seq, b.seq)) < 0 },
			moved:  func(it *item, place int) { it.queued = place + 1 },
		}}
		q.classes[key] = c
	}
	q.seq++
	it.class, it.seq = c, q.seq
	it.rank = it.since.Add(time.Duration(it.priority) * q.ageing)
	q.push(it)
}

// push makes an item wait for a worker.
func (q *queue) push(it *item) {
	it.class.items.push(it)
	q.changed = true
}

// remove takes out an item that is not available any more.
func (q *queue) remove(it *item) {
	if it.queued > 0 {
		it.class.items.remove(it.queued - 1)
		if len(it.class.items.all) == 0 {
			delete(q.classes, it.class.key)
		}
	}
	if it.to != nil {
		q.changed = true // the worker may be free
		it.release()
	}
}

// release ends an offer.
func (it *item) release() {
	delete(it.to.offered, it)
	it.to = nil
}

// nextExpiry returns when the next offer expires, or zero.
func (q *queue) nextExpiry() workflow.Moment {
	for len(q.offered) > 0 && !q.offered[0].stands() {
		q.offered = q.offered[1:]
	}
	if len(q.offered) == 0 {
		return 0
	}
	return q.offered[0].until
}

// expire queues the items again that nobody took in time.
func (q *queue) expire(now workflow.Moment) {
	for at := q.nextExpiry(); at != 0 && at <= now; at = q.nextExpiry() {
		it := q.offered[0].it
		it.to.unheard++
		it.release()
		q.requeue(it)
	}
}

// requeue makes an item wait again whose offer has ended.
func (q *queue) requeue(it *item) {
	if q.classes[it.class.key] != it.class {
		if c := q.classes[it.class.key]; c != nil {
			it.class = c
		} else {
			q.classes[it.class.key] = it.class
		}
	}
	q.push(it)
}

// setItems makes the nodes at exactly these slots, ascending, the run's
// available ones. Offers of nodes that were so before stand.
func (l *loop) setItems(r *run, h *snapshot.Head, slots []int) {
	old := r.items
	if len(old)+len(slots) == 0 {
		return
	}
	items := make([]*item, 0, len(slots))
	for _, slot := range slots {
		for len(old) > 0 && old[0].slot < slot {
			l.queue.remove(old[0])
			old = old[1:]
		}
		if len(old) > 0 && old[0].slot == slot {
			was := old[0]
			old = old[1:]
			if was.stands(h) {
				items = append(items, was)
				continue
			}
			l.queue.remove(was)
		}
		it := newItem(r, h, slot)
		l.queue.add(it)
		items = append(items, it)
	}
	for _, it := range old {
		l.queue.remove(it)
	}
	r.items = items
}
