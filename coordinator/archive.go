package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/execution"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

const (
	// mostArchiving is how many runs are archived at a time: few, since nobody
	// waits for it.
	mostArchiving = 4
	// retryArchiving is how long after a failure a run is tried again.
	retryArchiving = 15 * time.Second
)

// archive is the runs whose retention is over.
type archive struct {
	waiting []*run
	running int
}

func (a *archive) add(r *run) {
	if !r.archiving {
		r.archiving = true
		a.waiting = append(a.waiting, r)
	}
}

func (a *archive) remove(r *run) { r.archiving = false } // its entry is passed over

// scheduleArchiving has a run archived once its retention is over.
func (l *loop) scheduleArchiving(r *run) {
	if l.cfg.Retention < 0 || !l.shards[r.shard].active {
		return
	}
	if at := r.ended.Add(l.cfg.Retention); at > l.clock.now() {
		l.wakes.set(r, at)
	} else {
		l.archive.add(r)
	}
}

func (l *loop) startArchiving() {
	a := &l.archive
	for len(a.waiting) > 0 && a.running < mostArchiving {
		r := a.waiting[0]
		a.waiting = a.waiting[1:]
		if !r.archiving {
			continue
		}
		a.running++
		l.archiveRun(r)
	}
}

// archiveRun writes a run's record and then deletes the run.
func (l *loop) archiveRun(r *run) {
	m, guard, instance := l.member, l.shardGuard(r.shard), r.head.Create
	l.async(func() func() {
		err := l.hand(m.Context(), r.id, instance, guard)
		return func() {
			l.archive.running--
			r.archiving = false
			switch {
			case err == nil || l.member != m || !l.shards[r.shard].active:
			case errors.Is(err, grapnel.ErrRunGone):
			default:
				l.log.Warn("run not archived; tried again", "run", r.id, "in", retryArchiving, "error", err)
				l.wakes.set(r, l.clock.now().Add(retryArchiving))
			}
		}
	})
}

// hand hands a run over to the sink and deletes it.
func (l *loop) hand(ctx context.Context, id grapnel.RunID, instance grapnel.Instance, guard store.Guard) error {
	h, err := l.runs.Load(ctx, id)
	switch {
	case errors.Is(err, grapnel.ErrNotFound):
		return grapnel.ErrRunGone
	case err != nil:
		return err
	case h.Instance != instance || !h.State.Status.Ended():
		return grapnel.ErrRunGone // replaced, or retried meanwhile
	}
	record, err := l.recordOf(ctx, h)
	if err != nil {
		return err
	}
	if err := l.cfg.Sink.Write(ctx, record); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return l.runs.Delete(ctx, h, guard)
}

// recordOf returns the record of a run that has ended.
func (l *loop) recordOf(ctx context.Context, h *snapshot.Head) (execution.Record, error) {
	s := h.State
	r := execution.Record{
		Run: h.Run, Instance: h.Instance, Generation: s.Generation,
		Workflow: h.Workflow, Version: h.Version, Definition: h.Definition,
		Status: s.Status.String(), Labels: h.Labels, Started: s.Started.Time(), Ended: s.Ended.Time(),
		Input: h.Input, Cause: failureOf(s, s.Cause), Nodes: make([]execution.Node, 0, len(s.Nodes)),
	}
	for slot := range s.Slots() {
		n := &s.Nodes[slot]
		node := execution.Node{
			Name: s.Name(slot), Key: s.Key(slot), Status: n.Status.String(),
			Attempts: n.Attempt(), Started: n.Started.Time(), Finished: n.Finished.Time(),
		}
		if t := n.Trouble; t != nil {
			node.Losses, node.Error = t.Losses, failureOf(s, t.Last)
		}
		r.Nodes = append(r.Nodes, node)
	}
	if s.Status != grapnel.RunCompleted {
		return r, nil
	}
	values, err := l.runs.Values(ctx, h, h.Def().Output)
	if err == nil {
		r.Output, err = h.Def().Output.Eval(values)
	}
	if errors.Is(err, grapnel.ErrInvalid) || errors.Is(err, grapnel.ErrTooLarge) || errors.Is(err, grapnel.ErrRunGone) {
		// It will not be any better tomorrow.
		l.log.Warn("record is without the run's output", "run", h.Run, "error", err)
		r.Output, err = nil, nil
	}
	return r, err
}

func failureOf(s *workflow.State, f *workflow.Failure) *execution.Failure {
	if f == nil {
		return nil
	}
	out := &execution.Failure{Kind: f.Kind, Message: f.Message}
	if f.Node >= 0 && f.Node < len(s.Nodes) {
		out.Node = s.Key(f.Node)
	}
	return out
}
