package audit

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// claim applies a change of a claim key. HeadWritten tells whether the same
// revision writes the head, and outcomes the fences it concludes.
func (a *Auditor) claim(id grapnel.RunID, r *run, ev store.Event, headWritten bool, outcomes map[int64]bool) {
	k, _ := a.keys.ParseRun(ev.KV.Key)
	if ev.Deleted {
		c := r.claims[k.ID]
		delete(r.claims, k.ID)
		if c == nil {
			return
		}
		if headWritten && !outcomes[c.fence] && !r.ended() {
			a.report.Releases++
			a.report.Executions--
		}
		return
	}
	m := &pb.Claim{}
	if err := proto.Unmarshal(ev.KV.Value, m); err != nil {
		a.violate("write-once", id, k.ID, "a claim does not decode: %v", err)
		return
	}
	c := r.claims[k.ID]
	if c == nil || c.fence != int64(ev.KV.Create) {
		if ev.KV.Create != ev.KV.Mod {
			a.violate("one outcome", id, k.ID, "a claim is rewritten that was not there")
		}
		c = &claim{fence: int64(ev.KV.Create), worker: m.Worker, began: m.Started}
		r.claims[k.ID] = c
		a.report.Executions++
		c.clock = r.head.GetClock()
		if i, ok := r.slotOf(k.ID); ok && r.nodes[i].GetAvailable() > 0 {
			c.notYet = r.head.Started + r.nodes[i].Available - 1
		}
	}
	if ev.KV.Lease == 0 && !c.loose {
		c.loose = true
		a.violate("leased", id, k.ID, "a claim has no lease")
	}
	if r.head == nil {
		a.violate("no ghost", id, k.ID, "a claim is made on a run that does not exist")
	} else if grapnel.Revision(m.Instance) != r.instance {
		a.violate("no ghost", id, k.ID, "a claim names instance %d of a run whose instance is %d", m.Instance, r.instance)
	}
}

// lost takes note of the claims that vanish in a revision that leaves the head
// as it is: each is to be counted for the node it was the right to.
func (a *Auditor) lost(r *run, claims []store.Event) {
	if r.status != grapnel.RunRunning || r.head.GetCause() != nil {
		return
	}
	for _, ev := range claims {
		k, _ := a.keys.ParseRun(ev.KV.Key)
		c := r.claims[k.ID]
		if !ev.Deleted || c == nil {
			continue
		}
		if i, ok := r.holder(k.ID, c.fence); ok {
			a.report.Losses++
			r.lost[i] = append(r.lost[i], loss{fence: c.fence, at: a.rev, optional: !a.watched})
		}
	}
}

// message checks that no node is offered by an owner that knows, and has not
// counted, that it was lost.
func (a *Auditor) message(ev store.Event) {
	m := &pb.Message{}
	if err := proto.Unmarshal(ev.KV.Value, m); err != nil {
		a.violate("write-once", "", ev.KV.Key, "a message does not decode: %v", err)
		return
	}
	for _, o := range m.Offers {
		r := a.runs[grapnel.RunID(o.Run)]
		if r == nil || r.instance != grapnel.Revision(o.Instance) {
			continue
		}
		key := o.Key
		if key == "" {
			key = strconv.Itoa(int(o.Node))
		}
		slot, ok := r.slotOf(key)
		if !ok {
			a.violate("order", grapnel.RunID(o.Run), key, "it is offered, and the run has no such node")
			continue
		}
		for _, l := range r.lost[slot] {
			if !l.optional && int64(l.at) <= o.AsOf {
				a.violate("honest count", grapnel.RunID(o.Run), key, "it is offered as of revision %d, and the loss of claim %d at revision %d is not counted", o.AsOf, l.fence, l.at)
			}
		}
	}
}

// holder returns the node that a claim is the right to: not its own if another
// claim covers that.
func (r *run) holder(node string, fence int64) (int, bool) {
	i, ok := r.slotOf(node)
	if !ok || r.head == nil {
		return 0, false
	}
	if n := r.nodes[i]; n == nil || grapnel.NodeStatus(n.Status) == grapnel.NodePending && n.Choice == 0 && fence > n.Fence {
		cover := r.claims[r.slots.name(int(n.GetCoverNode()))]
		covered := n.GetCoverFence() != 0 && n.CoverFence != fence && cover != nil && cover.fence == n.CoverFence
		return i, !covered
	}
	for j, n := range r.nodes {
		if grapnel.NodeStatus(n.Status) == grapnel.NodePending && int(n.CoverNode) == i && n.CoverFence == fence {
			return j, true
		}
	}
	return 0, false
}
