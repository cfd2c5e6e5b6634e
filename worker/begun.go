package worker

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// errBegunUnknown: an outcome ends the run while other nodes may be executed,
// and it is not known yet since when.
var errBegunUnknown = errors.New("worker: starts of other attempts not known")

// begun has the starts of attempts under way, by the nodes that were claimed for
// them. They are in the claims alone, which the end of the run deletes.
type begun map[grapnel.NodeKey]workflow.Moment

// in returns the starts by the slots that the nodes have in a head.
func (b begun) in(h *snapshot.Head) map[int]workflow.Moment {
	starts := make(map[int]workflow.Moment, len(b))
	for node, at := range b {
		if slot, ok := h.State.Slot(node); ok {
			starts[slot] = at
		}
	}
	return starts
}

// begun reads the claims of a run. A claim that is made afterwards is not in the
// result, and then nobody learns when it began.
func (s *session) begun(run grapnel.RunID) (begun, error) {
	starts := begun{}
	err := list(s.Context(), s.w.cfg.Store, s.w.keys.Claims(run), func(kv store.KV) {
		k, ok := s.w.keys.ParseRun(kv.Key)
		m := &pb.Claim{}
		if ok && proto.Unmarshal(kv.Value, m) == nil {
			starts[grapnel.NodeKey(k.ID)] = workflow.Moment(m.Started)
		}
	}, nil)
	if err != nil {
		return nil, err
	}
	return starts, nil
}
