package client

import (
	"encoding/json"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// RunInfo is what [Client.Get] tells of a run. Times are on the clock of the
// run's shard; the zero time is none.
type RunInfo struct {
	RunSummary
	Definition string          `json:"definition"`
	Queue      string          `json:"queue"`
	Deadline   time.Time       `json:"deadline,omitzero"`
	Input      json.RawMessage `json:"input"`
	// Output is set if the run completed and the output was asked for.
	Output json.RawMessage `json:"output,omitempty"`
	// Cause is the first failure of a run that did not complete.
	Cause *FailureInfo `json:"cause,omitempty"`
	// Nodes are in the order of the definition, each map followed by the nodes of
	// its items.
	Nodes []NodeInfo `json:"nodes"`

	failure error
}

// Failure returns the [RunFailedError] of a run that ended otherwise than
// completed, as [Run.Wait] would, and nil for others. It is for what a [Client]
// returned: it does not survive JSON.
func (i *RunInfo) Failure() error { return i.failure }

// FailureInfo is why an attempt, node or run failed.
type FailureInfo struct {
	// Kind is a word for programs, Message is for people.
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Stack   string `json:"stack,omitempty"`
	// Node names the node where it happened; empty if it was none.
	Node    string `json:"node,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
}

// NodeState is where a node stands, with what is derived for pending ones.
type NodeState string

// States of nodes.
const (
	// NodePending: what the node needs has not completed.
	NodePending NodeState = "pending"
	// NodeWaiting: the node's next attempt may start later.
	NodeWaiting NodeState = "waiting"
	// NodeAvailable: a worker may claim the node.
	NodeAvailable NodeState = "available"
	// NodeRunning: a live claim covers the node.
	NodeRunning NodeState = "running"
	// NodeCompleted, NodeFailed and NodeCancelled are final.
	NodeCompleted NodeState = "completed"
	NodeFailed    NodeState = "failed"
	NodeCancelled NodeState = "cancelled"
	// NodeSkipped is final, too: the node is in a branch that was not taken, or is
	// a switch that took none.
	NodeSkipped NodeState = "skipped"
	// NodeOpen: a switch or map has decided, and waits for the nodes in its scope.
	NodeOpen NodeState = "open"
)

// NodeInfo is what is known of a node of a run.
type NodeInfo struct {
	// Name is the node's in the definition, with the indices of items behind the
	// maps they are of: "each[3].resize".
	Name string `json:"name"`
	// Key names the node within the run.
	Key grapnel.NodeKey `json:"key"`
	// Kind is "task", "inline", "expression", "switch" or "map".
	Kind string `json:"kind"`
	// Task is the task or inline function, or the language of an expression.
	Task string `json:"task"`
	// Branch is the branch that a switch has taken, once it has, and Items the
	// number of items of a map, once that is known.
	Branch string    `json:"branch,omitempty"`
	Items  *int      `json:"items,omitempty"`
	State  NodeState `json:"state"`
	// Attempt is the number, from 1, of the attempt that is current or was the
	// last one.
	Attempt int `json:"attempt"`
	// Worker holds the claim of a running node, whose fence is Fence.
	Worker grapnel.WorkerID `json:"worker,omitempty"`
	Fence  grapnel.Fence    `json:"fence,omitempty"`
	// Available is when the node became available, or when it will be.
	Available time.Time `json:"available,omitzero"`
	// Stuck says, in words, why no worker that is alive can run a node that is
	// available; empty if one can.
	Stuck string `json:"stuck,omitempty"`
	// Started is when the current or last attempt started, be it one that was
	// cancelled with its run; Finished is when the node ended.
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	// Failures and Losses count failed attempts and lost claims; LostBy names
	// the workers whose claims were lost.
	Failures    int          `json:"failures,omitempty"`
	Losses      int          `json:"losses,omitempty"`
	LostBy      []string     `json:"lost_by,omitempty"`
	LastFailure *FailureInfo `json:"last_failure,omitempty"`
	// Progress is what the current attempt reported last, as JSON.
	Progress json.RawMessage `json:"progress,omitempty"`
	// Output is set if the node completed and outputs were asked for.
	Output json.RawMessage `json:"output,omitempty"`

	slot int
}

// claimed is a claim of a run as it was listed.
type claimed struct {
	fence grapnel.Fence
	value *pb.Claim
}

// nodeInfos describes the nodes of a run whose live claims are these, by key.
func nodeInfos(h *snapshot.Head, live claims, now workflow.Moment) []NodeInfo {
	s := h.State
	now = max(now, s.Clock)
	infos := make([]NodeInfo, 0, len(s.Nodes))
	for slot := range s.Slots() {
		n, node := &s.Nodes[slot], h.Node(slot)
		info := NodeInfo{
			slot: slot, Name: s.Name(slot), Key: s.Key(slot), Kind: node.Kind.String(), Task: node.Task, Attempt: n.Attempt(),
			Available: n.Available.Time(), Started: n.Started.Time(), Finished: n.Finished.Time(),
		}
		if t := n.Trouble; t != nil {
			info.Failures, info.Losses, info.LostBy = t.Failures, t.Losses, t.LostBy
			info.LastFailure = failureInfo(s, t.Last)
		}
		switch {
		case n.Choice == 0:
		case node.Kind == workflow.KindSwitch:
			info.Branch = node.Branches[n.Choice-1].Name
		default:
			info.Items = &s.Expansions[n.Choice-1].Items
		}
		info.State = nodeState(s, slot, now)
		if n.Status == grapnel.NodePending && len(live) > 0 {
			info.claimedBy(s, n, live)
		}
		infos = append(infos, info)
	}
	return infos
}

// nodeState is the state of a node that no claim covers.
func nodeState(s *workflow.State, i int, now workflow.Moment) NodeState {
	switch s.Nodes[i].Status {
	case grapnel.NodeCompleted:
		return NodeCompleted
	case grapnel.NodeFailed:
		return NodeFailed
	case grapnel.NodeCancelled:
		return NodeCancelled
	case grapnel.NodeSkipped:
		return NodeSkipped
	}
	switch {
	case s.Nodes[i].Choice != 0:
		return NodeOpen
	case !s.Ready(i):
		return NodePending
	case s.Nodes[i].Available > now:
		return NodeWaiting
	}
	return NodeAvailable
}

// claimedBy makes a pending node a running one if a live claim covers it: its
// own, or that of the node it was chained to.
func (info *NodeInfo) claimedBy(s *workflow.State, n *workflow.NodeState, live claims) {
	c, own := live[info.Key]
	if !own {
		chained, ok := live[s.Key(n.Cover.Node)]
		if !ok || n.Cover.Fence == 0 || chained.fence != n.Cover.Fence {
			return
		}
		c = chained
	}
	info.State = NodeRunning
	info.Worker, info.Fence = grapnel.WorkerID(c.value.GetWorker()), c.fence
	if p := c.value.GetProgress(); json.Valid(p) {
		info.Progress = p
	}
	if own {
		info.Started = workflow.Moment(c.value.GetStarted()).Time()
	}
}

func failureInfo(s *workflow.State, f *workflow.Failure) *FailureInfo {
	if f == nil {
		return nil
	}
	info := &FailureInfo{Kind: f.Kind, Message: f.Message, Stack: f.Stack, Attempt: f.Attempt}
	if f.Node >= 0 && f.Node < len(s.Nodes) {
		info.Node = s.Name(f.Node)
	}
	return info
}
