package snapshot

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Versions of the encoding of definitions. Those with scopes or expressions are
// in the newer one, so that a program that knows nothing of them leaves their
// runs alone.
const (
	definitionFormat       = 1
	scopedDefinitionFormat = 2
)

// EncodeDefinition returns the value that a definition is stored as.
func EncodeDefinition(d *workflow.Definition) ([]byte, error) {
	m := &pb.Definition{
		Format: definitionFormat, Name: d.Name, Version: d.Version, InType: d.InType, OutType: d.OutType,
		Output: sourceToPB(d.Output),
		Policy: &pb.RunPolicy{Queue: d.Policy.Queue, TimeoutNanos: int64(d.Policy.Timeout), Priority: uint32(d.Policy.Priority)},
	}
	if d.Scoped() {
		m.Format = scopedDefinitionFormat
	}
	for i := range d.Nodes {
		n := &d.Nodes[i]
		needs := make([]uint32, len(n.Needs))
		for j, need := range n.Needs {
			needs[j] = uint32(need)
		}
		m.Nodes = append(m.Nodes, &pb.DefinitionNode{
			Kind: uint32(n.Kind), Name: n.Name, Task: n.Task, Input: sourceToPB(n.Input), Needs: needs,
			InType: n.InType, OutType: n.OutType, Policy: policyToPB(&n.Policy),
			Expr: n.Expr, Scope: uint32(n.Scope), Branch: uint32(n.Branch), Branches: branchesToPB(n.Branches), Exhaustive: n.Exhaustive,
		})
	}
	value, err := deterministic.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode definition of workflow %s: %w", d.Name, err)
	}
	return value, nil
}

// DecodeDefinition is the inverse of [EncodeDefinition]. Errors are
// [ErrNewerFormat] and [grapnel.ErrCorrupt].
func DecodeDefinition(value []byte) (*workflow.Definition, error) {
	m := &pb.Definition{}
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("%w: definition: %w", grapnel.ErrCorrupt, err)
	}
	switch {
	case m.Format > scopedDefinitionFormat:
		return nil, fmt.Errorf("%w: definition in format %d", ErrNewerFormat, m.Format)
	case m.Format < definitionFormat:
		return nil, fmt.Errorf("%w: definition in format %d", grapnel.ErrCorrupt, m.Format)
	}
	d := &workflow.Definition{
		Name: m.Name, Version: m.Version, InType: m.InType, OutType: m.OutType, Output: sourceFromPB(m.Output),
		Policy: workflow.RunPolicy{
			Queue: m.Policy.GetQueue(), Timeout: time.Duration(m.Policy.GetTimeoutNanos()), Priority: int(m.Policy.GetPriority()),
		},
		Nodes: make([]workflow.Node, len(m.Nodes)),
	}
	for i, n := range m.Nodes {
		needs := make([]int, len(n.Needs))
		for j, need := range n.Needs {
			needs[j] = int(need)
		}
		d.Nodes[i] = workflow.Node{
			Kind: workflow.NodeKind(n.Kind), Name: n.Name, Task: n.Task, Input: sourceFromPB(n.Input), Needs: needs,
			InType: n.InType, OutType: n.OutType, Policy: policyFromPB(n.Policy),
			Expr: n.Expr, Scope: int(n.Scope), Branch: int(n.Branch), Branches: branchesFromPB(n.Branches), Exhaustive: n.Exhaustive,
		}
	}
	if err := d.Seal(); err != nil {
		return nil, fmt.Errorf("%w: definition: %w", grapnel.ErrCorrupt, err)
	}
	return d, nil
}

func branchesToPB(branches []workflow.Branch) []*pb.Branch {
	var ms []*pb.Branch
	for _, b := range branches {
		ms = append(ms, &pb.Branch{Name: b.Name, Keys: b.Keys, Result: sourceToPB(b.Result)})
	}
	return ms
}

func branchesFromPB(ms []*pb.Branch) []workflow.Branch {
	var branches []workflow.Branch
	for _, m := range ms {
		branches = append(branches, workflow.Branch{Name: m.Name, Keys: m.Keys, Result: sourceFromPB(m.Result)})
	}
	return branches
}

func sourceToPB(s workflow.Source) *pb.Source {
	if s.Kind == workflow.SourceNone {
		return nil
	}
	m := &pb.Source{Kind: uint32(s.Kind), Node: uint32(s.Node), Constant: s.Const, Path: s.Path}
	for _, of := range s.Of {
		p := sourceToPB(of)
		if p == nil {
			p = &pb.Source{}
		}
		m.Of = append(m.Of, p)
	}
	for _, p := range s.Paths {
		m.Paths = append(m.Paths, &pb.Path{Steps: p})
	}
	return m
}

func sourceFromPB(m *pb.Source) workflow.Source {
	if m == nil {
		return workflow.Source{}
	}
	s := workflow.Source{Kind: workflow.SourceKind(m.Kind), Node: int(m.Node), Const: m.Constant, Path: m.Path}
	for _, of := range m.Of {
		s.Of = append(s.Of, sourceFromPB(of))
	}
	for _, p := range m.Paths {
		s.Paths = append(s.Paths, p.Steps)
	}
	return s
}

func policyToPB(p *workflow.Policy) *pb.Policy {
	r := &p.Retry
	return &pb.Policy{
		Retry: &pb.Retry{
			Attempts: int32(r.Attempts), BackoffNanos: int64(r.Backoff), Factor: r.Factor,
			MaxBackoffNanos: int64(r.MaxBackoff), Jitter: r.Jitter, NonRetryable: r.NonRetryable,
		},
		ScheduleToStartNanos: int64(p.ScheduleToStart), StartToCloseNanos: int64(p.StartToClose),
		ScheduleToCloseNanos: int64(p.ScheduleToClose), HeartbeatNanos: int64(p.Heartbeat),
		Priority: uint32(p.Priority), Queue: p.Queue, Tags: p.Tags, Version: p.Version, MaxLosses: uint32(p.MaxLosses),
		Parallel: uint32(p.Parallel),
	}
}

func policyFromPB(m *pb.Policy) workflow.Policy {
	r := m.GetRetry()
	return workflow.Policy{
		Retry: workflow.RetryPolicy{
			Attempts: int(r.GetAttempts()), Backoff: time.Duration(r.GetBackoffNanos()), Factor: r.GetFactor(),
			MaxBackoff: time.Duration(r.GetMaxBackoffNanos()), Jitter: r.GetJitter(), NonRetryable: r.GetNonRetryable(),
		},
		ScheduleToStart: time.Duration(m.GetScheduleToStartNanos()), StartToClose: time.Duration(m.GetStartToCloseNanos()),
		ScheduleToClose: time.Duration(m.GetScheduleToCloseNanos()), Heartbeat: time.Duration(m.GetHeartbeatNanos()),
		Priority: int(m.GetPriority()), Queue: m.GetQueue(), Tags: m.GetTags(), Version: m.GetVersion(), MaxLosses: int(m.GetMaxLosses()),
		Parallel: int(m.GetParallel()),
	}
}
