package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// claimTogether claims nodes in one request, as a worker does whose claims share
// one: they have the same fence, which it returns.
func (w *worker) claimTogether(h *snapshot.Head, nodes ...int) grapnel.Fence {
	w.e.t.Helper()
	var t store.Txn
	for _, i := range nodes {
		value, err := proto.Marshal(&pb.Claim{
			Worker: string(w.id), Lease: int64(w.s.ID()), Operation: string(grapnel.NewOperationID()),
			Attempt: 1, Started: time.Now().UnixMilli(), Instance: int64(h.Instance),
		})
		w.e.must(err)
		t.Then = append(t.Then, store.Put(w.e.keys.Claim(h.Run, snapshot.NodeKey(i)), value, w.s.ID()))
	}
	res, err := w.e.st.Commit(w.e.t.Context(), t)
	w.e.must(err)
	synctest.Wait()
	return grapnel.Fence(res.Revision)
}

func TestEachLossIsCountedOfClaimsThatShareAFence(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 3, nil)
		h := e.start("r", e.define([][]int{{}, {}, {}}, nil), nil)
		fence := w.claimTogether(h, 0, 1, 2)
		w.die()
		for i, n := range e.load("r").State.Nodes {
			if n.Trouble == nil || n.Trouble.Losses != 1 || n.Trouble.LossFence != fence {
				t.Errorf("node %d was lost under fence %d, and its state is %+v", i, fence, n.Trouble)
			}
		}
	})
}

func TestAFailureStopsTheNodesWhoseClaimsShareItsFence(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		w := e.join("w", 2, nil)
		h := e.start("r", e.define([][]int{{}, {}}, nil), nil)
		fence := w.claimTogether(h, 0, 1)
		w.messages()
		_, err := e.runs.Update(t.Context(), e.load("r"), func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
			now := workflow.MomentOf(time.Now())
			if _, err := h.Advance(workflow.AttemptFailed{
				Node: 0, Fence: fence, Attempt: 1, Now: now, Failure: workflow.Failure{Kind: "bad", Permanent: true},
			}); err != nil {
				return snapshot.Change{}, err
			}
			if _, err := h.Advance(workflow.RunEnded{Now: now}); err != nil {
				return snapshot.Change{}, err
			}
			return e.runs.End(h), nil
		})
		e.must(err)
		equal(t, "stops", w.stops(), "r/1 cancelled")
	})
}
