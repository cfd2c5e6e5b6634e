package snapshot

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

var deterministic = proto.MarshalOptions{Deterministic: true}

// Encode returns the value of the head's key.
func (h *Head) Encode() ([]byte, error) {
	s := h.State
	m := &pb.Head{
		Run: string(h.Run), Workflow: h.Workflow, Version: h.Version, Definition: h.Definition,
		StartOperation: string(h.StartOperation), Labels: h.Labels, Input: h.Input,
		Queue: h.Queue, Priority: uint32(h.Priority), Generation: uint32(s.Generation),
		Clock: int64(s.Clock), Started: int64(s.Started), Deadline: int64(s.Deadline), Ended: int64(s.Ended),
		Cause: failureToPB(s.Cause), NodeCount: uint32(len(s.Nodes)),
	}
	for _, e := range s.Expansions {
		m.Expansions = append(m.Expansions, uint32(e.Holder), uint32(e.Items))
	}
	for i := range s.Nodes {
		if n := nodeToPB(i, &s.Nodes[i], s.Started); n != nil {
			m.Nodes = append(m.Nodes, n)
		}
	}
	m.ProtoReflect().SetUnknown(h.unknown)
	value := make([]byte, 0, summarySize+h.size+h.size/8+64)
	value, err := deterministic.MarshalAppend(h.Summary().append(value), m)
	if err != nil {
		return nil, fmt.Errorf("encode head of run %q: %w", h.Run, err)
	}
	h.size = len(value)
	return value, nil
}

// DecodeHead decodes the head in kv. Its state is not bound yet. Errors are
// [ErrNewerFormat] and [grapnel.ErrCorrupt].
func DecodeHead(kv store.KV) (*Head, error) {
	if _, err := DecodeSummary(kv.Value); err != nil {
		return nil, fmt.Errorf("key %q at revision %d: %w", kv.Key, kv.Mod, err)
	}
	m := &pb.Head{}
	if err := proto.Unmarshal(kv.Value[summarySize:], m); err != nil {
		return nil, fmt.Errorf("%w: key %q at revision %d: %w", grapnel.ErrCorrupt, kv.Key, kv.Mod, err)
	}
	if m.NodeCount > workflow.MaxSlots || len(m.Expansions)%2 != 0 {
		return nil, fmt.Errorf("%w: key %q at revision %d: %d nodes, %d numbers for expansions", grapnel.ErrCorrupt, kv.Key, kv.Mod, m.NodeCount, len(m.Expansions))
	}
	s := &workflow.State{
		Status: grapnel.RunStatus(kv.Value[1]), Generation: int(m.Generation),
		Clock: workflow.Moment(m.Clock), Started: workflow.Moment(m.Started),
		Deadline: workflow.Moment(m.Deadline), Ended: workflow.Moment(m.Ended),
		Cause: failureFromPB(m.Cause), Nodes: make([]workflow.NodeState, m.NodeCount),
	}
	for i := 0; i < len(m.Expansions); i += 2 {
		s.Expansions = append(s.Expansions, workflow.Expansion{Holder: int(m.Expansions[i]), Items: int(m.Expansions[i+1])})
	}
	last := -1
	for _, n := range m.Nodes {
		i := int(n.Index)
		if i <= last || i >= len(s.Nodes) {
			return nil, fmt.Errorf("%w: key %q at revision %d: node %d is out of order or range", grapnel.ErrCorrupt, kv.Key, kv.Mod, i)
		}
		if n.Status > uint32(grapnel.NodeSkipped) {
			return nil, fmt.Errorf("%w: key %q at revision %d: node %d has status %d", grapnel.ErrCorrupt, kv.Key, kv.Mod, i, n.Status)
		}
		last = i
		nodeFromPB(&s.Nodes[i], n, s.Started)
	}
	return &Head{
		Run: grapnel.RunID(m.Run), Instance: kv.Create, Mod: kv.Mod,
		Workflow: m.Workflow, Version: m.Version, Definition: m.Definition,
		StartOperation: grapnel.OperationID(m.StartOperation), Labels: m.Labels,
		Queue: m.Queue, Priority: int(m.Priority), Input: m.Input, State: s,
		size: len(kv.Value), unknown: m.ProtoReflect().GetUnknown(),
	}, nil
}

// DecodeTimes reads the clock and the end of a head's value without decoding the
// rest. Ended is zero for a run that has not. The error wraps
// [grapnel.ErrCorrupt].
func DecodeTimes(value []byte) (clock, ended workflow.Moment, err error) {
	if _, err := DecodeSummary(value); err != nil {
		return 0, 0, err
	}
	for b := value[summarySize:]; len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, 0, fmt.Errorf("%w: a head's fields: %w", grapnel.ErrCorrupt, protowire.ParseError(n))
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
			return 0, 0, fmt.Errorf("%w: field %d of a head: %w", grapnel.ErrCorrupt, field, protowire.ParseError(n))
		}
		if kind == protowire.VarintType && (field == clockField || field == endedField) {
			v, _ := protowire.ConsumeVarint(b)
			if field == clockField {
				clock = workflow.Moment(v)
			} else {
				ended = workflow.Moment(v)
			}
		}
		b = b[n:]
	}
	return clock, ended, nil
}

// Numbers of fields in head.proto.
const (
	clockField = 10
	endedField = 13
)

// nodeToPB returns nil for a node that is as it was at the run's start.
func nodeToPB(i int, n *workflow.NodeState, start workflow.Moment) *pb.Node {
	if n.Status == grapnel.NodePending && n.Choice == 0 && n.Fence == 0 && n.Since == 0 && n.Trouble == nil && len(n.Unknown) == 0 {
		return nil
	}
	m := &pb.Node{
		Index: uint32(i), Status: uint32(n.Status), Choice: uint32(n.Choice), Recorded: n.Recorded, Output: n.Output, Fence: int64(n.Fence),
		Available: offset(n.Available, start), Since: offset(n.Since, start),
		Started: offset(n.Started, start), Finished: offset(n.Finished, start),
		CoverFence: int64(n.Cover.Fence), CoverNode: uint32(n.Cover.Node),
	}
	if t := n.Trouble; t != nil {
		m.Failures, m.Losses, m.LossFence = uint32(t.Failures), uint32(t.Losses), int64(t.LossFence)
		m.LostBy, m.Last = t.LostBy, failureToPB(t.Last)
	}
	if len(n.Unknown) > 0 {
		m.ProtoReflect().SetUnknown(n.Unknown)
	}
	return m
}

func nodeFromPB(n *workflow.NodeState, m *pb.Node, start workflow.Moment) {
	*n = workflow.NodeState{
		Status: grapnel.NodeStatus(m.Status), Choice: int(m.Choice), Recorded: m.Recorded, Output: m.Output, Fence: grapnel.Fence(m.Fence),
		Available: moment(m.Available, start), Since: moment(m.Since, start),
		Started: moment(m.Started, start), Finished: moment(m.Finished, start),
		Cover:   workflow.Cover{Node: int(m.CoverNode), Fence: grapnel.Fence(m.CoverFence)},
		Unknown: m.ProtoReflect().GetUnknown(),
	}
	if m.Failures != 0 || m.Losses != 0 || m.LossFence != 0 || m.Last != nil {
		n.Trouble = &workflow.Trouble{
			Failures: int(m.Failures), Losses: int(m.Losses), LossFence: grapnel.Fence(m.LossFence),
			LostBy: m.LostBy, Last: failureFromPB(m.Last),
		}
	}
}

// offset and moment keep the many times of nodes short: milliseconds after the
// run's start, plus one, so that zero still is no time.
func offset(m, start workflow.Moment) int64 {
	if m == 0 {
		return 0
	}
	return int64(max(m-start, 0)) + 1
}

func moment(offset int64, start workflow.Moment) workflow.Moment {
	if offset == 0 {
		return 0
	}
	return start + workflow.Moment(offset-1)
}

func failureToPB(f *workflow.Failure) *pb.Failure {
	if f == nil {
		return nil
	}
	m := &pb.Failure{Kind: f.Kind, Message: f.Message, Stack: f.Stack, Node: int32(f.Node), Attempt: uint32(f.Attempt), Permanent: f.Permanent}
	if len(f.Unknown) > 0 {
		m.ProtoReflect().SetUnknown(f.Unknown)
	}
	return m
}

func failureFromPB(m *pb.Failure) *workflow.Failure {
	if m == nil {
		return nil
	}
	return &workflow.Failure{Kind: m.Kind, Message: m.Message, Stack: m.Stack, Node: int(m.Node), Attempt: int(m.Attempt), Permanent: m.Permanent, Unknown: m.ProtoReflect().GetUnknown()}
}
