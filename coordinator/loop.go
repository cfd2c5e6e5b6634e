package coordinator

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// loop is one coordinator at work. Its fields belong to the goroutine of
// [loop.run]; all others hand it functions to call, through [loop.do].
type loop struct {
	cfg  *Config
	st   store.Store
	keys store.Keys
	runs *snapshot.Runs
	log  hclog.Logger

	ctx context.Context // ends with Run
	in  chan func()

	failed error // why the loop cannot go on, or nil

	wg sync.WaitGroup // of [loop.async]

	clock  *clock
	member *member // nil while there is none that can be trusted

	view    view
	shards  [store.Shards]shard
	settled bool // the owners of shards have been listed
	history history
	defined grapnel.Revision // as of which definitions are known

	queue   queue
	workers fleet
	wakes   wakes
	jobs    jobs
	archive archive
	sweep   sweep

	barrier barrier

	recent  [recentHeads]*run // whose heads are kept decoded; entries may be stale
	decodes int

	noted    map[string]bool // what was logged once and is not to be again
	messages uint64          // how many were put into inboxes
}

func newLoop(ctx context.Context, c *Coordinator) *loop {
	return &loop{
		cfg: &c.cfg, st: c.cfg.Store, keys: c.keys, runs: c.runs, log: c.cfg.Logger,
		ctx: ctx, in: make(chan func(), 64), clock: newClock(c.cfg.Now()),
		view: newView(), wakes: newWakes(), queue: newQueue(c.cfg.Ageing), workers: newFleet(), noted: map[string]bool{},
	}
}

// do has the loop call f. It reports false if the loop has ended.
func (l *loop) do(f func()) bool {
	select {
	case l.in <- f:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// async calls io on a goroutine of its own and hands what it returns to the
// loop.
func (l *loop) async(io func() (then func())) {
	l.wg.Go(func() { l.do(io()) })
}

// most is how many inputs are taken in before the loop acts on them: enough for
// offers to share messages, and few enough for none to wait.
const most = 64

// run runs the loop until its context ends, or until it cannot go on: then it
// returns why.
func (l *loop) run() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return nil
		case f := <-l.in:
			f()
			l.takeMore()
		case <-timer.C:
		}
		if l.failed != nil {
			return l.failed
		}
		timer.Reset(l.act())
	}
}

func (l *loop) takeMore() {
	for range most {
		select {
		case f := <-l.in:
			f()
		default:
			return
		}
	}
}

// act does what is to be done now and returns when to act again if nothing
// happens.
func (l *loop) act() time.Duration {
	if l.member != nil && !l.member.Trusted() {
		l.leave(l.member)
	}
	if l.member == nil {
		return idle
	}
	l.acquireShards()
	l.activateShards()
	l.raiseBarrier()
	l.wake()
	l.startJobs()
	l.startArchiving()
	l.match()
	l.sendMessages()
	l.writeProcessed()
	return l.untilNext()
}

// idle is how long the loop sleeps at most.
const idle = time.Minute

func (l *loop) untilNext() time.Duration {
	next := l.clock.now().Add(idle)
	for _, m := range []workflow.Moment{
		l.wakes.next(), l.queue.nextExpiry(), l.workers.retryAt, l.nextProcessed(), l.nextAcquisition(), l.barrier.retryAt,
	} {
		if m != 0 {
			next = min(next, m)
		}
	}
	return max(next.Sub(l.clock.now()), 0)
}

// note reports true the first time it is called with this text.
func (l *loop) note(text string) bool {
	if l.noted[text] {
		return false
	}
	if len(l.noted) > 10_000 { // logging twice is better than growing for ever
		clear(l.noted)
	}
	l.noted[text] = true
	return true
}

// shardGuard holds while shard s is this member's. It goes into every write to
// a run.
func (l *loop) shardGuard(s store.Shard) store.Guard {
	return store.CreateIs(l.keys.ShardOwner(s), l.shards[s].owned)
}

// resetDefinitions takes in all definitions that are stored as of a revision.
// Some may have changed since they were looked at last, and no event told.
func (l *loop) resetDefinitions(kvs []store.KV, rev grapnel.Revision) {
	for _, kv := range kvs {
		l.learn(kv)
		if kv.Mod > l.defined {
			l.policiesMayDiffer(kv)
		}
	}
	l.defined = max(l.defined, rev)
}

func (l *loop) definitionChanged(ev store.Event) {
	if ev.Deleted {
		return
	}
	l.learn(ev.KV)
	l.policiesMayDiffer(ev.KV)
	l.defined = max(l.defined, ev.KV.Mod)
}

// policiesMayDiffer takes in that a definition was stored. If it was known, its
// policies have changed, and with them what its runs want.
func (l *loop) policiesMayDiffer(kv store.KV) {
	if kv.Create == kv.Mod {
		return
	}
	for i, r := range l.recent {
		if r != nil {
			r.decoded, l.recent[i] = nil, nil // they are bound to what it was
		}
	}
	hash := []byte(strings.TrimPrefix(kv.Key, l.keys.Definitions()))
	for i := range l.shards {
		if !l.shards[i].active {
			continue
		}
		for _, r := range l.shards[i].runs {
			if bytes.Contains(r.head.Value, hash) { // cheaper than decoding all
				l.refresh(r)
			}
		}
	}
}

func (l *loop) learn(kv store.KV) {
	if err := l.runs.Definitions().Learn(kv); err != nil && l.note(kv.Key) {
		l.log.Error("definition does not decode", "key", kv.Key, "error", err)
	}
}
