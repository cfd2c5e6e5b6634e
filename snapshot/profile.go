package snapshot

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Profile is what a worker says of itself in its session key: what it can run.
type Profile struct {
	Worker  grapnel.WorkerID
	Host    string
	PID     int
	Started workflow.Moment // on the worker's own clock, for people
	Queues  []string
	Tags    []string
	// Slots is how many nodes the worker executes at a time.
	Slots int
	// Tasks lists the versions in which the worker has each task; a version may
	// be empty, and no version at all counts as one that is.
	Tasks map[string][]string
	// Definitions lists the hashes of the definitions whose inline code the
	// worker has.
	Definitions []string
	// Languages lists the languages whose expressions the worker evaluates.
	Languages []string
	// Draining is set when the worker takes no more nodes.
	Draining bool
}

// Lacks returns why the worker cannot run node i of def, in words, or "" if it
// can. It does not look at slots.
func (p *Profile) Lacks(def *workflow.Definition, i int) string {
	n := &def.Nodes[i]
	if q := def.Queue(i); !slices.Contains(p.Queues, q) {
		return fmt.Sprintf("does not serve queue %s", q)
	}
	switch n.Kind {
	case workflow.KindInline:
		if !slices.Contains(p.Definitions, def.Hash()) {
			return fmt.Sprintf("does not have the inline code of workflow %s (definition %s)", def.Name, def.Hash())
		}
		return ""
	case workflow.KindExpr:
		if !slices.Contains(p.Languages, n.Task) {
			return fmt.Sprintf("does not evaluate expressions in %s", n.Task)
		}
		return ""
	case workflow.KindSwitch, workflow.KindMap:
		return "" // data, which any worker evaluates
	}
	versions, ok := p.Tasks[n.Task]
	if !ok {
		return fmt.Sprintf("does not have task %s", n.Task)
	}
	if v := n.Policy.Version; v != "" && !slices.Contains(versions, v) {
		return fmt.Sprintf("does not have version %s of task %s", v, n.Task)
	}
	for _, tag := range n.Policy.Tags {
		if !slices.Contains(p.Tags, tag) {
			return fmt.Sprintf("does not have tag %s", tag)
		}
	}
	return ""
}

// Message returns the profile as it is persisted.
func (p *Profile) Message() *pb.Worker {
	m := &pb.Worker{
		Id: string(p.Worker), Host: p.Host, Pid: uint32(p.PID), Started: int64(p.Started), Queues: p.Queues,
		Tags: p.Tags, Slots: uint32(p.Slots), Definitions: p.Definitions, Languages: p.Languages, Draining: p.Draining,
	}
	for name, versions := range p.Tasks {
		if len(versions) == 0 {
			versions = []string{""}
		}
		for _, v := range versions {
			m.Tasks = append(m.Tasks, &pb.TaskVersion{Name: name, Version: v})
		}
	}
	slices.SortFunc(m.Tasks, func(a, b *pb.TaskVersion) int {
		return slices.Compare([]string{a.Name, a.Version}, []string{b.Name, b.Version})
	})
	return m
}

// DecodeProfile decodes the value of a worker's session key. The error wraps
// [grapnel.ErrCorrupt].
func DecodeProfile(kv store.KV) (*Profile, error) {
	m := &pb.Worker{}
	if err := proto.Unmarshal(kv.Value, m); err != nil {
		return nil, fmt.Errorf("%w: key %q: %w", grapnel.ErrCorrupt, kv.Key, err)
	}
	p := &Profile{
		Worker: grapnel.WorkerID(m.Id), Host: m.Host, PID: int(m.Pid), Started: workflow.Moment(m.Started), Queues: m.Queues,
		Tags: m.Tags, Slots: int(m.Slots), Definitions: m.Definitions, Languages: m.Languages, Draining: m.Draining, Tasks: map[string][]string{},
	}
	for _, t := range m.Tasks {
		p.Tasks[t.Name] = append(p.Tasks[t.Name], t.Version)
	}
	return p, nil
}
