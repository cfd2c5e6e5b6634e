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
		switch {
		case !headWritten:
			a.lost(r, k.ID, c)
		case !outcomes[c.fence] && !r.ended():
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
		a.claimedOver(r, k.ID)
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

// lost takes note of a claim that vanished: it is to be counted for the node it
// was the right to.
func (a *Auditor) lost(r *run, node string, c *claim) {
	i, ok := r.holder(node, c.fence)
	if !ok || r.status != grapnel.RunRunning || r.head.Cause != nil {
		return
	}
	a.report.Losses++
	r.lost[i] = append(r.lost[i], c.fence)
}

// claimedOver excuses uncounted losses of a node that is claimed again: by a
// worker that looked for itself or that took an old offer. While it is claimed
// they are not counted, and once it has completed they do not matter.
func (a *Auditor) claimedOver(r *run, node string) {
	if i, err := strconv.Atoi(node); err == nil {
		r.excused[i] = append(r.excused[i], r.lost[i]...)
		delete(r.lost, i)
	}
}

// holder returns the node that a claim is the right to.
func (r *run) holder(node string, fence int64) (int, bool) {
	i, err := strconv.Atoi(node)
	if err != nil || r.head == nil {
		return 0, false
	}
	if n := r.nodes[i]; n == nil || grapnel.NodeStatus(n.Status) == grapnel.NodePending && fence > n.Fence {
		return i, true
	}
	for j, n := range r.nodes {
		if grapnel.NodeStatus(n.Status) == grapnel.NodePending && int(n.CoverNode) == i && n.CoverFence == fence {
			return j, true
		}
	}
	return 0, false
}
