package audit

import (
	"slices"

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
	if !a.lay(id, r, def, head) {
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
			a.nodeFollows(id, r, head, i, n, nodes, status, outcomes)
		}
		for i, was := range r.nodes {
			retried := head.Generation > r.head.Generation && grapnel.NodeStatus(was.Status) != grapnel.NodeCompleted
			if nodes[i] == nil && grapnel.NodeStatus(was.Status) != grapnel.NodePending && !retried {
				a.violate("write-once", id, r.slots.name(i), "the state of a node that had ended vanished")
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
	if status == grapnel.RunCompleted && completed(head) < r.slots.real {
		a.violate("nothing lost", id, "", "the run is completed, and %d of its %d nodes are, or were skipped", completed(head), r.slots.real)
	}
	if status == grapnel.RunCompleted && head.Cause != nil {
		a.violate("write-once", id, "", "a run that failed (%s) is completed", head.Cause.Kind)
	}
}

func completed(head *pb.Head) int {
	count := 0
	for _, n := range head.Nodes {
		if done(n) {
			count++
		}
	}
	return count
}

// nodeFollows checks what became of one node.
func (a *Auditor) nodeFollows(id grapnel.RunID, r *run, head *pb.Head, slot int, n *pb.Node, nodes map[int]*pb.Node, status grapnel.RunStatus, outcomes map[int64]bool) {
	if slot >= len(r.slots.all) || !r.slots.all[slot].real {
		a.violate("write-once", id, slot, "the run has no such node")
		return
	}
	i := r.slots.name(slot)
	was := r.nodes[slot]
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
	a.scopes(id, r, slot, was, n, nodes)
	if n.Fence > was.Fence {
		a.outcome(id, r, slot, n, nodes)
		outcomes[n.Fence] = true
	}
	if now == grapnel.NodeSkipped && before != grapnel.NodeSkipped {
		r.doneAt[slot] = a.rev
	}
	if now == grapnel.NodeCompleted && before != grapnel.NodeCompleted {
		r.doneAt[slot] = a.rev
		if _, ok := a.records[a.keys.Record(id, grapnel.NodeKey(i), 0)]; n.Recorded && !ok {
			a.violate("nothing lost", id, i, "it completed and the record of its output is not there")
		}
		if n.Fence <= was.Fence && n.Choice == 0 {
			a.violate("one outcome", id, i, "it completed without a new fence")
		}
		if r.status == grapnel.RunCancelling || r.ended() {
			a.violate("cancel holds", id, i, "it completed in a run that was %v", r.status)
		}
	}
	if n.CoverFence != was.CoverFence && n.CoverFence != 0 {
		r.coverAt[slot] = a.rev
		a.report.Executions++
		if status != grapnel.RunRunning || r.status != grapnel.RunRunning {
			a.violate("cancel holds", id, i, "it was covered in a run that is %v", status)
		}
		c := r.claims[r.slots.name(int(n.CoverNode))]
		if c == nil || c.fence != n.CoverFence {
			a.violate("one outcome", id, i, "its cover %d names no live claim of node %d", n.CoverFence, n.CoverNode)
		}
	}
	if !retried {
		a.losses(id, r, slot, was, n)
	}
}

// outcome checks that the fence is that of a live claim that was the right to
// this node, and that it is younger than what the node needs.
func (a *Auditor) outcome(id grapnel.RunID, r *run, slot int, n *pb.Node, nodes map[int]*pb.Node) {
	i, node := r.slots.name(slot), r.slots.def.nodes[r.slots.all[slot].node]
	for _, need := range node.Needs {
		if !done(nodes[r.slots.sees(slot, int(need))]) {
			a.violate("order", id, i, "it has an outcome, and node %d, which it needs, has none", need)
		}
	}
	opened := r.opened(slot, nodes)
	if opened < 0 {
		a.violate("order", id, i, "it has an outcome, and a switch or map around it has not decided")
	}
	began := grapnel.Revision(0)
	own := r.claims[i]
	was := r.nodes[slot]
	switch {
	case own != nil && own.fence == n.Fence:
		began = grapnel.Revision(n.Fence)
		// An attempt begins later than its claim was made if that was long unknown.
		if early := own.notYet - max(own.began, own.clock, r.head.Started+n.Started-1); early > 0 {
			a.violate("timers", id, i, "an attempt started %d ms before it may", early)
		}
	case was != nil && was.CoverFence == n.Fence && a.alive(r, r.slots.name(int(was.CoverNode)), n.Fence):
		began = r.coverAt[slot]
	case node.Kind != kindTask && a.anyAlive(r, n.Fence):
		return // evaluated in passing, by the commit that freed it
	default:
		a.violate("one outcome", id, i, "fence %d of its outcome is that of no live claim on it", n.Fence)
		return
	}
	for _, need := range node.Needs {
		if at := r.doneAt[r.slots.sees(slot, int(need))]; at == 0 || at > began {
			a.violate("order", id, i, "its attempt began at revision %d, before node %d was done (%d)", began, need, at)
		}
	}
	if opened > began {
		a.violate("order", id, i, "its attempt began at revision %d, before the scope it is in was opened (%d)", began, opened)
	}
}

func (a *Auditor) alive(r *run, node string, fence int64) bool {
	c := r.claims[node]
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
func (a *Auditor) losses(id grapnel.RunID, r *run, slot int, was, n *pb.Node) {
	i := r.slots.name(slot)
	if n.Losses == was.Losses && n.LossFence == was.LossFence {
		return
	}
	due, optional, happened := 0, 0, false
	r.lost[slot] = slices.DeleteFunc(r.lost[slot], func(l loss) bool {
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
