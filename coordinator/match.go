package coordinator

import (
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// worker is a worker's session as its key describes it.
type worker struct {
	id      grapnel.WorkerID
	key     string
	lease   store.LeaseID
	profile *snapshot.Profile

	offered map[*item]struct{}
	// unheard is how many offers in a row it let expire. They count as load, so
	// that others are offered the nodes next.
	unheard int

	offers  []*pb.Offer // not sent yet
	stops   []*pb.Stop  // not sent yet
	sending bool        // a message is on its way
}

// fleet is the workers.
type fleet struct {
	byID    map[grapnel.WorkerID]*worker
	version uint64 // grows whenever a worker comes, goes or changes
	// retryAt is when messages are sent again after one could not be; zero if
	// none waits.
	retryAt workflow.Moment
}

func newFleet() fleet { return fleet{byID: map[grapnel.WorkerID]*worker{}} }

// resetWorkers takes in which workers there are.
func (l *loop) resetWorkers(kvs []store.KV, _ grapnel.Revision) {
	there := map[string]bool{}
	for _, kv := range kvs {
		there[kv.Key] = true
		l.workerIs(kv)
	}
	for _, w := range l.workers.byID {
		if !there[w.key] {
			l.workerGone(w)
		}
	}
}

func (l *loop) workerChanged(ev store.Event) {
	if !ev.Deleted {
		l.workerIs(ev.KV)
		return
	}
	for _, w := range l.workers.byID {
		if w.key == ev.KV.Key {
			l.workerGone(w)
			return
		}
	}
}

func (l *loop) workerIs(kv store.KV) {
	p, err := snapshot.DecodeProfile(kv)
	if err != nil || l.keys.Worker(p.Worker) != kv.Key {
		if l.note(kv.Key) {
			l.log.Error("worker's session key does not decode", "key", kv.Key, "error", err)
		}
		return
	}
	w := l.workers.byID[p.Worker]
	if w == nil {
		w = &worker{id: p.Worker, key: kv.Key, offered: map[*item]struct{}{}}
		l.workers.byID[p.Worker] = w
		l.log.Debug("worker joined", "worker", w.id)
	}
	w.profile, w.lease = p, kv.Lease
	l.workers.version++
	l.queue.changed = true
}

// workerGone voids a worker's offers: its nodes are offered to others at once.
func (l *loop) workerGone(w *worker) {
	if l.workers.byID[w.id] != w {
		return
	}
	delete(l.workers.byID, w.id)
	l.workers.version++
	for it := range w.offered {
		it.release()
		l.queue.requeue(it)
	}
	l.log.Debug("worker left", "worker", w.id)
}

// heard takes in that a worker took a node.
func (f *fleet) heard(id grapnel.WorkerID) {
	if w := f.byID[id]; w != nil {
		w.unheard = 0
	}
}

// stop has workers told that claims of theirs were deleted.
func (f *fleet) stop(stops ...stop) {
	for _, s := range stops {
		if w := f.byID[s.worker]; w != nil {
			w.stops = append(w.stops, s.m)
		}
	}
}

// forgetMessages drops what was to be sent in the name of a member that is none
// any more.
func (f *fleet) forgetMessages() {
	for _, w := range f.byID {
		w.offers, w.stops, w.sending = nil, nil, false
	}
	f.retryAt = 0
}

// free returns how many more nodes the worker may be offered: its slots less the
// claims it holds, of which a chain is one, and the offers it has not answered.
func (l *loop) free(w *worker) int {
	if w.profile.Draining {
		return 0
	}
	return w.profile.Slots - l.view.held[w.id] - len(w.offered)
}

// match offers waiting nodes, the first by rank first, to those workers that can
// run them and have the least to do.
func (l *loop) match() {
	now := l.clock.now()
	l.queue.expire(now)
	if !l.queue.changed {
		return
	}
	l.queue.changed = false
	ranked := heap[*class]{
		before: func(a, b *class) bool { return a.items.before(a.items.all[0], b.items.all[0]) },
		moved:  func(*class, int) {},
	}
	for _, c := range l.queue.classes {
		if len(c.items.all) > 0 {
			ranked.push(c)
		}
	}
	for len(ranked.all) > 0 {
		c := ranked.all[0]
		it := c.items.all[0]
		w := l.leastLoaded(c, it)
		if w == nil {
			ranked.remove(0)
			continue
		}
		c.items.remove(0)
		l.offer(it, w, now)
		if len(c.items.all) == 0 {
			ranked.remove(0)
			delete(l.queue.classes, c.key)
		} else {
			ranked.fix(0)
		}
	}
}

// leastLoaded returns the worker to offer an item of a class to, or nil.
func (l *loop) leastLoaded(c *class, it *item) *worker {
	if c.version != l.workers.version {
		c.version, c.able = l.workers.version, c.able[:0]
		for _, w := range l.workers.byID {
			if w.profile.Lacks(it.def, it.node) == "" {
				c.able = append(c.able, w)
			}
		}
		slices.SortFunc(c.able, func(a, b *worker) int { return compareIDs(a.id, b.id) })
	}
	var best *worker
	bestLoad := 0
	for _, w := range c.able {
		if l.free(w) <= 0 {
			continue
		}
		load := l.view.held[w.id] + len(w.offered) + w.unheard
		if best == nil || load*best.profile.Slots < bestLoad*w.profile.Slots {
			best, bestLoad = w, load
		}
	}
	return best
}

func compareIDs(a, b grapnel.WorkerID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (l *loop) offer(it *item, w *worker, now workflow.Moment) {
	it.to, it.until = w, now.Add(l.cfg.OfferTTL)
	it.offer.AsOf = int64(l.view.applied)
	w.offered[it] = struct{}{}
	w.offers = append(w.offers, it.offer)
	l.queue.offered = append(l.queue.offered, offered{it: it, to: w, until: it.until})
}

// retryMessage is how long after a message could not be sent the next one is
// tried.
const retryMessage = 250 * time.Millisecond
