package coordinator

import (
	"errors"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// refresh draws the conclusions from what has changed of a run: in an active
// shard, what is to be done about it; elsewhere, only what is worth remembering.
func (l *loop) refresh(r *run) {
	switch {
	case r.empty():
		l.forget(r)
		return
	case l.shards[r.shard].active:
		l.plan(r)
	default:
		r.freed = nil
		if len(r.losses) == 0 {
			break
		}
		if h, err := l.decode(r); err == nil {
			l.pruneLosses(r, h)
		}
	}
	l.compact(r)
}

// compact drops the head of a run that has ended: it is kept in the store for
// long, and nobody asks for it here.
func (l *loop) compact(r *run) {
	if r.ended != 0 || len(r.head.Value) == 0 {
		return
	}
	if s, err := snapshot.DecodeSummary(r.head.Value); err != nil || !s.Status.Ended() {
		return
	}
	clock, ended, err := snapshot.DecodeTimes(r.head.Value)
	if err != nil {
		return
	}
	if l.shards[r.shard].active {
		l.clock.raise(clock)
	}
	r.ended = max(ended, 1)
	r.head.Value, r.decoded, r.mail = nil, nil, nil
	l.clearLosses(r)
	l.setItems(r, nil, nil)
	l.scheduleArchiving(r)
}

// setAside forgets what an owner had in mind with a run.
func (l *loop) setAside(r *run) {
	l.setItems(r, nil, nil)
	l.wakes.set(r, 0)
	l.jobs.remove(r)
	l.archive.remove(r)
	r.failures = 0
}

// plan finds out what a run wants of its owner, now and later.
func (l *loop) plan(r *run) {
	if r.ended != 0 {
		l.scheduleArchiving(r)
		return
	}
	if r.head.Mod == 0 { // claims or events without a head: nobody's
		l.setAside(r)
		return
	}
	if r.head.Mod < r.committed { // the watch is about to bring a newer head
		if len(r.losses) > 0 {
			l.setItems(r, nil, nil) // one of them may be lost
		}
		return
	}
	if r.completed() {
		l.setAside(r)
		r.freed = nil
		return // compact does the rest
	}
	h, err := l.decode(r)
	if err == nil {
		err = r.firstBad()
	}
	if err != nil {
		l.undecodable(r, err)
		return
	}
	l.clock.raise(h.State.Clock)
	l.sendStops(r, h)
	l.pruneLosses(r, h)
	if h.State.Status.Ended() {
		l.setAside(r)
		return // compact does the rest
	}
	now := l.clock.now()
	due, wake := l.due(r, h, now)
	due = due || l.hasMail(r) || r.countable(h)
	if due {
		l.jobs.add(r)
	} else {
		l.jobs.remove(r)
	}
	l.wakes.set(r, wake)
	l.setItems(r, h, l.available(r, h, now))
}

// completed reports whether a run has completed and left nothing to be done: no
// loss to forget, no event, and no claim gone but that of the outcome that
// completed it, which its worker knows of. Most runs end like this, and their
// heads need not be decoded.
func (r *run) completed() bool {
	s, err := snapshot.DecodeSummary(r.head.Value)
	return err == nil && s.Status == grapnel.RunCompleted && len(r.losses)+len(r.mail)+len(r.claims) == 0 && len(r.freed) <= 1
}

// decode returns the head of a run, which is not to be modified. It is kept for
// as long as the run's claims come and go, if that is not for long.
func (l *loop) decode(r *run) (*snapshot.Head, error) {
	if h := r.decoded; h != nil && h.Mod == r.head.Mod {
		return h, nil
	}
	h, err := l.runs.Decode(l.ctx, r.head)
	if err != nil {
		return nil, err
	}
	if len(h.State.Nodes) > mostRecentNodes {
		r.decoded = nil
		return h, nil
	}
	if r.decoded == nil {
		if old := l.recent[l.decodes%recentHeads]; old != nil {
			old.decoded = nil
		}
		l.recent[l.decodes%recentHeads] = r
		l.decodes++
	}
	r.decoded = h
	return h, nil
}

const (
	// recentHeads is how many decoded heads are kept.
	recentHeads = 1024
	// mostRecentNodes is how many nodes a head may have to be kept: some 30 KiB.
	mostRecentNodes = 256
)

// due reports whether time or the graph calls for a commit now, and otherwise
// when to look at the run again, or zero.
func (l *loop) due(r *run, h *snapshot.Head, now workflow.Moment) (due bool, wake workflow.Moment) {
	s := h.State
	if s.Finished() {
		return len(r.mail) == 0, 0
	}
	at := func(m workflow.Moment) {
		switch {
		case m == 0:
		case m <= now:
			due = true
		case wake == 0 || m < wake:
			wake = m
		}
	}
	at(s.Deadline)
	for i := range s.Nodes {
		if !s.Startable(i) {
			continue
		}
		c := r.claims.covering(s, i)
		if c == nil && !s.Ready(i) {
			continue
		}
		if m, _ := expiry(h, i, c, l.cfg.Grace); m != 0 {
			at(m)
		}
		if n := &s.Nodes[i]; c == nil && n.Available > now {
			at(n.Available)
		}
	}
	return due, wake
}

// available returns the nodes to offer.
func (l *loop) available(r *run, h *snapshot.Head, now workflow.Moment) []int {
	if l.hasMail(r) {
		return nil // a cancel most likely; what is left is offered when it is folded
	}
	lost := r.lostNodes(h)
	return slices.DeleteFunc(h.Available(now, r.fences), func(i int) bool {
		if m, _ := expiry(h, i, nil, 0); m != 0 && m <= now {
			return true
		}
		return lost[i] && !mutation.On(mutation.OfferBeforeLoss)
	})
}

// hasMail reports whether events wait that can be folded.
func (l *loop) hasMail(r *run) bool {
	return slices.ContainsFunc(r.mail, func(m mail) bool {
		if !folds(m.ev.Kind) && l.note("event "+m.key) {
			l.log.Warn("event of unknown kind is left to a newer coordinator", "run", r.id, "kind", m.ev.Kind)
		}
		return folds(m.ev.Kind)
	})
}

// undecodable leaves a run alone whose bytes, or whose definition's, cannot be
// used. Nothing of it is changed.
func (l *loop) undecodable(r *run, err error) {
	l.setAside(r)
	r.freed = nil
	switch {
	case errors.Is(err, snapshot.ErrNewerFormat):
		l.clearLosses(r)
		if l.note("newer " + r.head.Key) {
			l.log.Warn("run is in a newer format and left alone", "run", r.id, "error", err)
		}
	case errors.Is(err, grapnel.ErrCorrupt):
		l.clearLosses(r) // they would hold back history for ever
		l.reportCorrupt(r, err)
	default:
		if l.note("definition " + r.head.Key) {
			l.log.Error("run cannot be looked after", "run", r.id, "error", err)
		}
		pause := retryUndecodable
		if errors.Is(err, grapnel.ErrWrongDefinition) {
			pause = retryDefinition
		}
		l.wakes.set(r, l.clock.now().Add(pause))
	}
}

const (
	// retryUndecodable is how long after a run could not be read, or not be
	// reported, it is tried again.
	retryUndecodable = time.Second
	// retryDefinition is the same for a run whose definition is not stored. It
	// should have been stored before the run.
	retryDefinition = 10 * time.Second
)
