package worker

import (
	"errors"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Limits of one commit. Etcd refuses requests over 1.5 MiB or 128 operations; a
// head may have 500 KiB of states of nodes.
const (
	maxOutcomes     = 32
	maxOutputs      = 512 << 10 // bytes of the outputs of executed nodes
	maxInlined      = 32        // records of inline nodes
	maxInlineOutput = 128 << 10 // bytes of the outputs of inline nodes
)

// outcome is what an execution wants to have committed.
type outcome struct {
	e       *execution
	node    int
	by      int
	started workflow.Moment
	now     workflow.Moment
	output  []byte
	decided decided           // of a switch or map
	failure *workflow.Failure // nil for a success
	random  float64           // decides the jitter of a retry
	done    chan verdict      // has room for one
}

func (o *outcome) fence() grapnel.Fence { return o.e.claim.Fence() }

// verdictKind says what became of an outcome.
type verdictKind uint8

const (
	committed verdictKind = iota + 1
	discarded             // the claim is lost, or the node no longer wants an outcome
	undone                // it cannot be committed, and the claim may be there still
)

type verdict struct {
	kind verdictKind
	why  error // for discarded and undone
	// next is the node that the claim covers now, or -1; then head is the run's
	// as of this commit, and started and since are when the node was covered.
	next    int
	head    *snapshot.Head
	started workflow.Moment
	since   time.Time
}

// committer commits the outcomes of one run: all that wait, together, and one
// commit after the other, so that at most one is unresolved and none of the
// worker's own commits is in another's way. It lives as long as the worker
// executes nodes of the run, and knows the newest head.
type committer struct {
	s     *session
	users int // guarded by session.mu

	mu      sync.Mutex
	waiting []*outcome // guarded by mu
	busy    bool       // guarded by mu

	head *snapshot.Head // of the goroutine that is busy
}

// submit has an outcome committed and waits for it, as long as the session
// lasts. If no commit is under way it is made on the caller's goroutine: what
// comes to wait meanwhile is left to another one.
func (c *committer) submit(o *outcome) verdict {
	c.mu.Lock()
	if c.busy {
		c.waiting = append(c.waiting, o)
		c.mu.Unlock()
		return <-o.done
	}
	c.busy = true
	c.mu.Unlock()
	c.commit([]*outcome{o})
	c.mu.Lock()
	if c.busy = len(c.waiting) > 0; c.busy {
		c.s.work.Go(c.run)
	}
	c.mu.Unlock()
	return <-o.done
}

// run commits until nothing waits.
func (c *committer) run() {
	for {
		c.mu.Lock()
		n := batchLen(c.waiting)
		batch := c.waiting[:n:n]
		c.waiting = c.waiting[n:]
		c.busy = n > 0
		c.mu.Unlock()
		if n == 0 {
			return
		}
		c.commit(batch)
	}
}

// batchLen returns how many of the outcomes go into one commit.
func batchLen(waiting []*outcome) int {
	size := 0
	for i, o := range waiting[:min(len(waiting), maxOutcomes)] {
		if size += len(o.output); size > maxOutputs && i > 0 {
			return i
		}
	}
	return min(len(waiting), maxOutcomes)
}

// commit commits a batch and answers each of its outcomes.
func (c *committer) commit(batch []*outcome) {
	for _, o := range batch {
		if h := o.e.head; c.head == nil || h.Mod > c.head.Mod {
			c.head = h
		}
	}
	var running begun
	for pause := (store.Pause{}); ; {
		if batch = c.trusted(batch); len(batch) == 0 {
			return
		}
		ed := newEdit(c.s, batch)
		ed.begun = running
		head, err := c.s.w.runs.Update(c.s.Context(), c.head, ed.apply)
		if head != nil {
			c.head = head
		}
		switch {
		case err == nil, errors.Is(err, snapshot.ErrUnchanged):
			c.settled(ed)
			return
		case errors.Is(err, grapnel.ErrRunGone):
			answer(batch, verdict{kind: discarded, why: err, next: -1})
			return
		case errors.Is(err, grapnel.ErrTooLarge):
			c.tooLarge(batch, err)
			return
		case errors.Is(err, grapnel.ErrCorrupt), errors.Is(err, grapnel.ErrWrongDefinition),
			errors.Is(err, grapnel.ErrInvalid), errors.Is(err, snapshot.ErrNewerFormat), errors.Is(err, errProtocol):
			answer(batch, verdict{kind: undone, why: err, next: -1})
			return
		case errors.Is(err, errBegunUnknown):
			if running, err = c.s.begun(c.head.Run); err == nil {
				continue
			}
		}
		if pause.Wait(c.s.Context()) != nil {
			answer(batch, verdict{kind: discarded, why: err, next: -1})
			return
		}
		c.s.log.Warn("commit failed; trying again", "run", c.head.Run, "outcomes", len(batch), "error", err)
	}
}

// trusted answers the outcomes whose claims can no longer be relied on, and
// returns the others.
func (c *committer) trusted(batch []*outcome) []*outcome {
	var keep []*outcome
	for _, o := range batch {
		if o.e.trusted() {
			keep = append(keep, o)
			continue
		}
		o.done <- verdict{kind: discarded, why: o.e.ended().why, next: -1}
	}
	return keep
}

// tooLarge halves a batch that makes too large a request. An outcome that is too
// large by itself becomes a failure.
func (c *committer) tooLarge(batch []*outcome, err error) {
	o := batch[0]
	switch {
	case len(batch) > 1:
		c.commit(batch[:len(batch)/2])
		c.commit(batch[len(batch)/2:])
	case o.failure == nil:
		o.output = nil
		o.failure = &workflow.Failure{Kind: workflow.KindTooLarge, Node: -1, Message: err.Error(), Permanent: true}
		c.commit(batch)
	default:
		answer(batch, verdict{kind: undone, why: err, next: -1})
	}
}

// settled tells the executions what the commit came to.
func (c *committer) settled(ed *edit) {
	if c.head.State.Status.Ended() {
		c.s.stopRun(c.head, ed.batch)
	}
	for i, o := range ed.batch {
		v := ed.verdicts[i]
		if v.next >= 0 {
			v.head, v.started, v.since = c.head, c.head.State.Nodes[v.next].Started, ed.since
		}
		o.done <- v
	}
	if c.s.alone.isOpen() {
		for _, node := range ed.freed {
			if c.head.State.Ready(node) && c.s.canRun(c.head.Def(), c.head.State.NodeOf(node)) {
				c.s.enqueue(offerOf(c.head, node))
			}
		}
	}
}

// stopRun ends the executions of a run that has ended, except those whose
// outcomes were in the commit that ended it. The owner tells other workers.
func (s *session) stopRun(h *snapshot.Head, but []*outcome) {
	ref := runRef{h.Run, h.Instance}
	cause := stopCause(workflow.KindCancelled, "the run has ended as "+h.State.Status.String())
	if h.State.Cause != nil && h.State.Cause.Kind == workflow.KindRunTimeout {
		cause = stopCause(workflow.KindRunTimeout, h.State.Cause.Message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.committers[ref]; c == nil || c.users <= len(but) {
		return // nobody else here executes a node of it
	}
next:
	for _, e := range s.active {
		if e.ref != ref {
			continue
		}
		for _, o := range but {
			if o.e == e {
				continue next
			}
		}
		e.claim.Stop(cause)
	}
}

func answer(batch []*outcome, v verdict) {
	for _, o := range batch {
		o.done <- v
	}
}
