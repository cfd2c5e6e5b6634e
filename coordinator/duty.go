package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// errNotOwner: the shard is not, or no longer, this member's.
var errNotOwner = errors.New("the shard has another owner")

// duty does what a run wants of its owner: counts losses, lets time run out,
// folds events, ends the run. It works on copies, outside of the loop's
// goroutine, and learns what it does not know from guards that fail.
type duty struct {
	runs   *snapshot.Runs
	keys   store.Keys
	grace  time.Duration
	random func() float64

	run    grapnel.RunID
	head   store.KV
	shard  store.Guard
	now    workflow.Moment
	claims claims // not modified
	losses []loss
	mail   []mail
	spared map[int]bool // nodes whose claims are not as the view had them

	// Of the commit under way: the guards besides the head, the events it
	// folds, and what workers are told once it is applied.
	checks  []check
	folding map[string]bool
	stops   []stop

	sent []stop // what workers are to be told of what was applied
}

// check is a guard of the commit under way: if it turns out not to hold, the
// duty gives up what needed it.
type check struct {
	guard     store.Guard
	otherwise func() error
}

// mostChecks is about how many guards one commit gets, lest it exceed what a
// store takes. What is left goes into the next one.
const mostChecks = 32

// do does the duty and returns the head that was written last, or nil.
func (d *duty) do(ctx context.Context) (*snapshot.Head, error) {
	h, err := d.runs.Decode(ctx, d.head)
	if err != nil {
		return nil, err
	}
	var written *snapshot.Head
	for {
		d.checks = nil
		h, err = d.runs.Update(ctx, h, d.edit)
		if errors.Is(err, snapshot.ErrUnchanged) {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		written = h
		d.sent = append(d.sent, d.stops...)
		d.mail = slices.DeleteFunc(d.mail, func(m mail) bool { return d.folding[m.key] })
	}
}

// edit is a [snapshot.Edit] that does all that can be done in one commit. A
// folded event keeps a run from ending in the same commit: the guard on the
// mailbox sees the state before it.
func (d *duty) edit(h *snapshot.Head, reads snapshot.Reads) (snapshot.Change, error) {
	if err := d.learn(reads); err != nil {
		return snapshot.Change{}, err
	}
	var c snapshot.Change
	var deletes []string // keys of claims
	d.stops, d.folding = nil, map[string]bool{}
	steps := []func(*snapshot.Head, *snapshot.Change) (bool, error){
		d.count,
		func(h *snapshot.Head, c *snapshot.Change) (bool, error) { return d.expire(h, c, &deletes) },
		d.fold,
	}
	changed := false
	for _, step := range steps {
		did, err := step(h, &c)
		if err != nil {
			return snapshot.Change{}, err
		}
		changed = changed || did
	}
	if h.State.Finished() && len(d.mail) == 0 && !d.runs.EventsWaiting(h, reads) {
		if _, err := h.Advance(workflow.RunEnded{Now: d.now, Started: d.claims.started(h.State)}); err != nil {
			return snapshot.Change{}, err
		}
		c.Add(d.runs.End(h))
		changed, deletes = true, nil
	}
	if !changed {
		return snapshot.Change{}, snapshot.ErrUnchanged
	}
	for _, key := range deletes {
		c.Ops = append(c.Ops, store.Delete(key))
	}
	if !mutation.On(mutation.CoordinatorWithoutShard) {
		d.require(&c, d.shard, func() error { return errNotOwner })
	}
	return c, nil
}

// require makes a commit depend on a guard.
func (d *duty) require(c *snapshot.Change, g store.Guard, otherwise func() error) {
	c.Guards = append(c.Guards, g)
	c.Reads = append(c.Reads, store.Get(g.Key))
	d.checks = append(d.checks, check{guard: g, otherwise: otherwise})
}

// learn gives up what the last commit found to be impossible.
func (d *duty) learn(reads snapshot.Reads) error {
	checks := d.checks
	d.checks = nil
	if reads == nil {
		return nil
	}
	for _, c := range checks {
		if !holds(c.guard, reads[c.guard.Key]) {
			if err := c.otherwise(); err != nil {
				return err
			}
		}
	}
	return nil
}

func holds(g store.Guard, r store.Read) bool {
	switch g.Kind {
	case store.GuardAbsent:
		return !r.Found
	case store.GuardModIs:
		return r.Found && r.KV.Mod == g.Rev
	case store.GuardCreateIs:
		return r.Found && r.KV.Create == g.Rev
	case store.GuardCreateIsNot:
		return !r.Found || r.KV.Create != g.Rev
	}
	return true
}

func (d *duty) claimKey(node grapnel.NodeKey) string { return d.keys.Claim(d.run, node) }

// fold folds events. Those that come too late change nothing, but are marked as
// folded all the same.
func (d *duty) fold(h *snapshot.Head, c *snapshot.Change) (bool, error) {
	for _, m := range slices.Clone(d.mail) {
		if !folds(m.ev.Kind) || len(d.checks) >= mostChecks {
			continue
		}
		if m.ev.Instance == h.Instance {
			if _, err := h.Advance(workflow.RunCancelled{Now: d.now, Reason: m.ev.Reason}); err != nil {
				return false, err
			}
		}
		change := d.runs.Fold(h, m.id, m.mod)
		c.Add(change)
		d.checks = append(d.checks, check{guard: store.ModIs(m.key, m.mod), otherwise: func() error {
			d.mail = slices.DeleteFunc(d.mail, func(o mail) bool { return o.key == m.key })
			return nil
		}})
		d.folding[m.key] = true
	}
	return len(d.folding) > 0, nil
}

// folds reports whether this version knows what to do with an event of a kind.
func folds(kind string) bool { return kind == snapshot.EventCancel }

// dutyOf returns the duty towards a run as the view has it now.
func (l *loop) dutyOf(r *run) *duty {
	return &duty{
		runs: l.runs, keys: l.keys, grace: l.cfg.Grace, random: l.cfg.Random,
		run: r.id, head: r.head, shard: l.shardGuard(r.shard), now: l.clock.now(),
		losses: slices.Clone(r.losses), mail: slices.Clone(r.mail), claims: maps.Clone(r.claims), spared: map[int]bool{},
	}
}

// jobs are the runs that wait for a commit of their owner's, in order.
type jobs struct {
	waiting []*run
	running int
}

func (j *jobs) add(r *run) {
	if !r.queued {
		r.queued = true
		j.waiting = append(j.waiting, r)
	}
}

func (j *jobs) remove(r *run) { r.queued = false } // its entry is passed over

// startJobs starts commits, one per run at most.
func (l *loop) startJobs() {
	var later []*run
	for len(l.jobs.waiting) > 0 && l.jobs.running < l.cfg.MaxConcurrentCommits {
		r := l.jobs.waiting[0]
		l.jobs.waiting = l.jobs.waiting[1:]
		switch {
		case !r.queued:
		case r.head.Mod < r.committed:
			r.queued = false // the watch is about to bring a newer head
		case r.busy:
			later = append(later, r)
		default:
			r.queued, r.busy = false, true
			l.jobs.running++
			l.start(r)
		}
	}
	l.jobs.waiting = append(later, l.jobs.waiting...)
}

func (l *loop) start(r *run) {
	d, m := l.dutyOf(r), l.member
	l.async(func() func() {
		h, err := d.do(m.Context())
		return func() { l.finished(r, m, d, h, err) }
	})
}

// finished takes in what became of a commit.
func (l *loop) finished(r *run, m *member, d *duty, h *snapshot.Head, err error) {
	l.jobs.running--
	r.busy = false
	if h != nil {
		r.committed = max(r.committed, h.Mod)
		l.workers.stop(d.sent...)
	}
	switch {
	case l.member != m || !l.shards[r.shard].active:
		return
	case err == nil:
		r.failures = 0
		return // the watch brings what was written
	case errors.Is(err, grapnel.ErrRunGone):
		return
	case errors.Is(err, errNotOwner):
		if guard := l.shardGuard(r.shard); guard == d.shard {
			l.log.Warn("shard lost", "shard", r.shard)
			l.dropShard(r.shard)
		}
		return
	case errors.Is(err, grapnel.ErrCorrupt), errors.Is(err, snapshot.ErrNewerFormat):
		l.undecodable(r, err)
		return
	}
	r.failures++
	pause := min(retryCommit<<min(r.failures-1, 10), retryCommitMost)
	l.log.Warn("run not committed; tried again", "run", r.id, "in", pause, "error", err)
	l.jobs.remove(r)
	l.wakes.set(r, l.clock.now().Add(pause))
}

// A failed commit is tried again after retryCommit, then after twice as long
// each time, up to retryCommitMost.
const (
	retryCommit     = 20 * time.Millisecond
	retryCommitMost = 5 * time.Second
)
