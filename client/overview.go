package client

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// DefaultWindow is the time over which an [Overview] counts when none is given.
const DefaultWindow = 10 * time.Second

// Overview is what goes on in a namespace.
type Overview struct {
	// Time is when it was read, on the client's clock.
	Time time.Time `json:"time"`
	// Runs counts the runs that have not ended, by status.
	Runs map[grapnel.RunStatus]int `json:"runs"`
	// Unreadable counts the runs that cannot be decoded; they are left out of
	// all that follows.
	Unreadable int `json:"unreadable,omitempty"`
	// Queues are those that have nodes or workers, by name.
	Queues []QueueLoad `json:"queues"`
	// Workers are those that are alive, by id.
	Workers []WorkerLoad `json:"workers"`
	// Running are the nodes under live claims, those first that started first.
	Running []RunningNode `json:"running"`
	Rates   Rates         `json:"rates"`
}

// QueueLoad is what goes on in a queue.
type QueueLoad struct {
	Queue string `json:"queue"`
	// Waiting counts the nodes that a worker may claim, Delayed those whose next
	// attempt may start later, Running those under a live claim.
	Waiting int `json:"waiting"`
	Delayed int `json:"delayed"`
	Running int `json:"running"`
	// Oldest is since when the first of the waiting nodes waits, on its shard's
	// clock.
	Oldest time.Time `json:"oldest,omitzero"`
	// Workers and Slots count the workers that serve the queue and take nodes,
	// and their slots. A worker that serves several queues counts in each.
	Workers int `json:"workers"`
	Slots   int `json:"slots"`
}

// WorkerLoad is what a worker does.
type WorkerLoad struct {
	ID     grapnel.WorkerID `json:"id"`
	Host   string           `json:"host"`
	Queues []string         `json:"queues"`
	// Slots is how many nodes it executes at a time, Running how many of them
	// are under claims of its own.
	Slots    int       `json:"slots"`
	Running  int       `json:"running"`
	Draining bool      `json:"draining,omitempty"`
	Started  time.Time `json:"started,omitzero"`
}

// RunningNode is a node that is being executed.
type RunningNode struct {
	Run      grapnel.RunID    `json:"run"`
	Workflow string           `json:"workflow"`
	Node     string           `json:"node"`
	Task     string           `json:"task"`
	Queue    string           `json:"queue"`
	Worker   grapnel.WorkerID `json:"worker"`
	Attempt  int              `json:"attempt"`
	// Started is when the attempt did, on its shard's clock.
	Started time.Time `json:"started,omitzero"`
}

// Rates are per second, over the window that ends with the reading. They are
// counted from what the runs remember: of a node its last attempt, of a run that
// was deleted nothing.
type Rates struct {
	// Window is in seconds.
	Window float64 `json:"window_seconds"`
	// Started counts attempts, Finished nodes that completed, Failed nodes that
	// failed for good.
	Started  float64 `json:"started"`
	Finished float64 `json:"finished"`
	Failed   float64 `json:"failed"`
	// RunsStarted and RunsEnded count runs, however they ended.
	RunsStarted float64 `json:"runs_started"`
	RunsEnded   float64 `json:"runs_ended"`
}

// Overview reads what goes on in the namespace. Window is the time over which
// rates are counted; zero means [DefaultWindow]. It reads all runs: it is for
// people who look every second or two, not for loops. A negative window wraps
// [grapnel.ErrInvalid]; other errors are the store's.
func (c *Client) Overview(ctx context.Context, window time.Duration) (*Overview, error) {
	if window == 0 {
		window = DefaultWindow
	}
	if window < 0 {
		return nil, fmt.Errorf("overview: %w: window %v is negative", grapnel.ErrInvalid, window)
	}
	profiles, err := c.Workers(ctx)
	if err != nil {
		return nil, err
	}
	v := &survey{c: c, now: c.moment(), queues: map[string]*QueueLoad{}, busy: map[grapnel.WorkerID]int{}}
	v.since = v.now - workflow.Moment(window.Milliseconds())
	v.o = &Overview{Time: v.now.Time(), Runs: map[grapnel.RunStatus]int{}, Workers: []WorkerLoad{}, Running: []RunningNode{}}
	if err := v.runs(ctx); err != nil {
		return nil, err
	}
	v.finish(profiles, window.Seconds())
	return v.o, nil
}

// survey puts an overview together.
type survey struct {
	c          *Client
	o          *Overview
	now, since workflow.Moment
	queues     map[string]*QueueLoad
	busy       map[grapnel.WorkerID]int
}

func (v *survey) queue(name string) *QueueLoad {
	q := v.queues[name]
	if q == nil {
		q = &QueueLoad{Queue: name}
		v.queues[name] = q
	}
	return q
}

// runs reads all runs, as of one revision.
func (v *survey) runs(ctx context.Context) error {
	req := store.ListRequest{Prefix: v.c.keys.Runs()}
	var run grapnel.RunID
	live := claims{}
	for {
		page, err := v.c.st.List(ctx, req)
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		for _, kv := range page.KVs {
			k, ok := v.c.keys.ParseRun(kv.Key)
			if !ok {
				continue
			}
			if k.Run != run {
				run, live = k.Run, claims{}
			}
			switch k.Kind { // claims sort before the head
			case "claim":
				live.put(v.c, k.ID, kv)
			case "head":
				if err := v.run(ctx, kv, live); err != nil {
					return err
				}
			}
		}
		if !page.More {
			return nil
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
}

// run counts a run. The error is the store's.
func (v *survey) run(ctx context.Context, kv store.KV, live claims) error {
	if s, err := snapshot.DecodeSummary(kv.Value); err == nil && s.Status.Ended() {
		// Most of them ended long ago, and are not worth their definitions.
		if h, err := snapshot.DecodeHead(kv); err == nil && h.State.Ended < v.since {
			return nil
		}
	}
	h, err := v.c.runs.Decode(ctx, kv)
	switch {
	case err == nil:
	case ctx.Err() != nil, passing(err):
		return err
	default:
		v.o.Unreadable++
		return nil
	}
	if h.State.Status.Ended() {
		v.o.Rates.RunsEnded++
	} else {
		v.o.Runs[h.State.Status]++
	}
	if h.State.Started >= v.since {
		v.o.Rates.RunsStarted++
	}
	infos := nodeInfos(h, live, v.now)
	for i := range infos {
		v.node(h, &infos[i])
	}
	for _, c := range live {
		v.busy[grapnel.WorkerID(c.value.GetWorker())]++
	}
	return nil
}

// node counts a node of a run.
func (v *survey) node(h *snapshot.Head, n *NodeInfo) {
	index := h.State.NodeOf(n.slot)
	recent := func(t time.Time) bool { return !t.IsZero() && workflow.MomentOf(t) >= v.since }
	if recent(n.Started) {
		v.o.Rates.Started++
	}
	switch n.State {
	case NodeCompleted:
		if recent(n.Finished) {
			v.o.Rates.Finished++
		}
	case NodeFailed:
		if recent(n.Finished) {
			v.o.Rates.Failed++
		}
	case NodeAvailable:
		q := v.queue(h.Def().Queue(index))
		if q.Waiting++; q.Oldest.IsZero() || n.Available.Before(q.Oldest) {
			q.Oldest = n.Available
		}
	case NodeWaiting:
		v.queue(h.Def().Queue(index)).Delayed++
	case NodeRunning:
		name := h.Def().Queue(index)
		v.queue(name).Running++
		v.o.Running = append(v.o.Running, RunningNode{
			Run: h.Run, Workflow: h.Workflow, Node: n.Name, Task: n.Task, Queue: name,
			Worker: n.Worker, Attempt: n.Attempt, Started: n.Started,
		})
	}
}

// finish adds the workers, sorts, and makes rates of counts.
func (v *survey) finish(profiles []*snapshot.Profile, seconds float64) {
	for _, p := range profiles {
		v.o.Workers = append(v.o.Workers, WorkerLoad{
			ID: p.Worker, Host: p.Host, Queues: p.Queues, Slots: p.Slots, Running: v.busy[p.Worker],
			Draining: p.Draining, Started: p.Started.Time(),
		})
		for _, name := range p.Queues {
			if q := v.queue(name); !p.Draining {
				q.Workers++
				q.Slots += p.Slots
			}
		}
	}
	v.o.Queues = []QueueLoad{}
	for _, name := range slices.Sorted(maps.Keys(v.queues)) {
		v.o.Queues = append(v.o.Queues, *v.queues[name])
	}
	slices.SortStableFunc(v.o.Running, func(a, b RunningNode) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Run, b.Run), cmp.Compare(a.Node, b.Node))
	})
	r := &v.o.Rates
	r.Window = seconds
	for _, n := range []*float64{&r.Started, &r.Finished, &r.Failed, &r.RunsStarted, &r.RunsEnded} {
		*n /= seconds
	}
}
