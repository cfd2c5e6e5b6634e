package audit

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
)

const summarySize = 16

func (a *Auditor) headPut(id grapnel.RunID, r *run, c *change, outcomes map[int64]bool) {
	kv := c.head.KV
	if len(kv.Value) < summarySize {
		a.violate("write-once", id, "", "the head has only %d bytes", len(kv.Value))
		return
	}
	head, status := &pb.Head{}, grapnel.RunStatus(kv.Value[1])
	if err := proto.Unmarshal(kv.Value[summarySize:], head); err != nil {
		a.violate("write-once", id, "", "the head does not decode: %v", err)
		return
	}
	def := a.defs[head.Definition]
	if def == nil {
		a.violate("nothing lost", id, "", "definition %s is not stored", head.Definition)
		return
	}
	nodes := make(map[int]*pb.Node, len(head.Nodes))
	for _, n := range head.Nodes {
		nodes[int(n.Index)] = n
	}
	if r.head == nil {
		a.started(id, r, head, kv.Create)
	} else {
		a.follows(id, r, head, status, string(kv.Value))
		for i, n := range nodes {
			a.nodeFollows(id, r, def, head, i, n, nodes, status, outcomes)
		}
		for i, was := range r.nodes {
			retried := head.Generation > r.head.Generation && grapnel.NodeStatus(was.Status) != grapnel.NodeCompleted
			if nodes[i] == nil && grapnel.NodeStatus(was.Status) != grapnel.NodePending && !retried {
				a.violate("write-once", id, i, "the state of a node that had ended vanished")
			}
		}
	}
	r.head, r.nodes, r.status, r.value = head, nodes, status, string(kv.Value)
}

func (a *Auditor) started(id grapnel.RunID, r *run, head *pb.Head, create grapnel.Revision) {
	r.instance = create
	if at, ok := a.starts[head.StartOperation]; ok {
		a.violate("nothing lost", id, "", "start operation %s made an instance at revision %d already", head.StartOperation, at)
	}
	a.starts[head.StartOperation] = create
}

// follows checks what concerns the whole run.
func (a *Auditor) follows(id grapnel.RunID, r *run, head *pb.Head, status grapnel.RunStatus, value string) {
	was := r.head
	switch {
	case head.StartOperation != was.StartOperation, head.Definition != was.Definition, string(head.Input) != string(was.Input):
		a.violate("write-once", id, "", "start, definition or input changed")
	case r.ended() && head.Generation == was.Generation && value != r.value:
		a.violate("write-once", id, "", "the run had ended as %v and changed within its generation", r.status)
	case head.Generation < was.Generation, head.Generation > was.Generation+1:
		a.violate("write-once", id, "", "generation went from %d to %d", was.Generation, head.Generation)
	case head.Generation == was.Generation+1 && (!r.ended() || r.status == grapnel.RunCompleted):
		a.violate("write-once", id, "", "a run that is %v was retried", r.status)
	case head.Generation == was.Generation && r.status == grapnel.RunCancelling && status == grapnel.RunRunning:
		a.violate("cancel holds", id, "", "a run being cancelled is running again")
	}
	if head.Clock < was.Clock {
		a.violate("timers", id, "", "the run's clock went back from %d to %d", was.Clock, head.Clock)
	}
	if status == grapnel.RunCompleted && completed(head) < int(head.NodeCount) {
		a.violate("nothing lost", id, "", "the run is completed, and %d of its %d nodes are", completed(head), head.NodeCount)
	}
	if status == grapnel.RunCompleted && head.Cause != nil {
		a.violate("write-once", id, "", "a run that failed (%s) is completed", head.Cause.Kind)
	}
}

func completed(head *pb.Head) int {
	done := 0
	for _, n := range head.Nodes {
		if grapnel.NodeStatus(n.Status) == grapnel.NodeCompleted {
			done++
		}
	}
	return done
}

// nodeFollows checks what became of one node.
func (a *Auditor) nodeFollows(id grapnel.RunID, r *run, def *definition, head *pb.Head, i int, n *pb.Node, nodes map[int]*pb.Node, status grapnel.RunStatus, outcomes map[int64]bool) {
	if i >= len(def.nodes) {
		a.violate("write-once", id, i, "the definition has no such node")
		return
	}
	was := r.nodes[i]
	if was == nil {
		was = &pb.Node{}
	}
	now, before := grapnel.NodeStatus(n.Status), grapnel.NodeStatus(was.Status)
	retried := head.Generation > r.head.Generation
	switch {
	case n.Fence < was.Fence:
		a.violate("one outcome", id, i, "its fence fell from %d to %d", was.Fence, n.Fence)
	case before == grapnel.NodeCompleted && !proto.Equal(was, withLosses(n, was)):
		a.violate("write-once", id, i, "it had completed and changed")
	case before != grapnel.NodePending && before != now && !retried:
		a.violate("write-once", id, i, "it went from %v to %v", before, now)
	}
	if n.Fence > was.Fence {
		a.outcome(id, r, def, i, n, nodes)
		outcomes[n.Fence] = true
	}
	if now == grapnel.NodeCompleted && before != grapnel.NodeCompleted {
		r.doneAt[i] = a.rev
		if _, ok := a.records[a.keys.Record(id, grapnel.NodeKey(strconv.Itoa(i)), 0)]; n.Recorded && !ok {
			a.violate("nothing lost", id, i, "it completed and the record of its output is not there")
		}
		if n.Fence <= was.Fence {
			a.violate("one outcome", id, i, "it completed without a new fence")
		}
		if r.status == grapnel.RunCancelling || r.ended() {
			a.violate("cancel holds", id, i, "it completed in a run that was %v", r.status)
		}
	}
	if n.CoverFence != was.CoverFence && n.CoverFence != 0 {
		r.coverAt[i] = a.rev
		a.report.Executions++
		if status != grapnel.RunRunning || r.status != grapnel.RunRunning {
			a.violate("cancel holds", id, i, "it was covered in a run that is %v", status)
		}
		c := r.claims[strconv.Itoa(int(n.CoverNode))]
		if c == nil || c.fence != n.CoverFence {
			a.violate("one outcome", id, i, "its cover %d names no live claim of node %d", n.CoverFence, n.CoverNode)
		}
	}
	if !retried {
		a.losses(id, r, i, was, n)
	}
}

// outcome checks that the fence is that of a live claim that was the right to
// this node, and that it is younger than what the node needs.
func (a *Auditor) outcome(id grapnel.RunID, r *run, def *definition, i int, n *pb.Node, nodes map[int]*pb.Node) {
	node := def.nodes[i]
	for _, need := range node.Needs {
		if m := nodes[int(need)]; m == nil || grapnel.NodeStatus(m.Status) != grapnel.NodeCompleted {
			a.violate("order", id, i, "it has an outcome, and node %d, which it needs, has none", need)
		}
	}
	const inline = 2
	began := grapnel.Revision(0)
	own := r.claims[strconv.Itoa(i)]
	was := r.nodes[i]
	switch {
	case own != nil && own.fence == n.Fence:
		began = grapnel.Revision(n.Fence)
		// An attempt begins later than its claim was made if that was long unknown.
		if early := own.notYet - max(own.began, own.clock, r.head.Started+n.Started-1); early > 0 {
			a.violate("timers", id, i, "an attempt started %d ms before it may", early)
		}
	case was != nil && was.CoverFence == n.Fence && a.alive(r, int(was.CoverNode), n.Fence):
		began = r.coverAt[i]
	case node.Kind == inline && a.anyAlive(r, n.Fence):
		return // evaluated in passing, by the commit that freed it
	default:
		a.violate("one outcome", id, i, "fence %d of its outcome is that of no live claim on it", n.Fence)
		return
	}
	for _, need := range node.Needs {
		if done := r.doneAt[int(need)]; done == 0 || done > began {
			a.violate("order", id, i, "its attempt began at revision %d, before node %d was done (%d)", began, need, done)
		}
	}
}

func (a *Auditor) alive(r *run, node int, fence int64) bool {
	c := r.claims[strconv.Itoa(node)]
	return c != nil && c.fence == fence
}

func (a *Auditor) anyAlive(r *run, fence int64) bool {
	for _, c := range r.claims {
		if c.fence == fence {
			return true
		}
	}
	return false
}

// withLosses returns a node with another's count of losses, which is all that
// may change once it has completed.
func withLosses(n, of *pb.Node) *pb.Node {
	m := proto.CloneOf(n)
	m.Losses, m.LossFence, m.LostBy = of.Losses, of.LossFence, of.LostBy
	return m
}

// losses checks that what was counted happened and was not counted before, and
// that nothing was left out.
func (a *Auditor) losses(id grapnel.RunID, r *run, i int, was, n *pb.Node) {
	if n.Losses == was.Losses && n.LossFence == was.LossFence {
		return
	}
	due, optional, happened := 0, 0, false
	r.lost[i] = slices.DeleteFunc(r.lost[i], func(l loss) bool {
		switch {
		case l.fence > n.LossFence:
			return false
		case l.optional:
			optional++
		default:
			due++
		}
		happened = happened || l.fence == n.LossFence
		return true
	})
	switch more := int(n.Losses) - int(was.Losses); {
	case !happened:
		a.violate("honest count", id, i, "a loss of claim %d was counted that did not happen, or was counted before", n.LossFence)
	case more < max(due, 1) || more > due+optional:
		a.violate("honest count", id, i, "its losses went from %d to %d; %d happened", was.Losses, n.Losses, due+optional)
	}
	if !a.owned(id) {
		a.violate("no stale leader", id, i, "a loss is counted while the shard has no owner")
	}
}
