package worker

import (
	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// decided is what the input of a switch or map came to: the key, or the number
// of items.
type decided struct {
	key   []byte
	items int
}

// decide looks at the input of a holder. The error is a [*workflow.Failure].
func decide(kind workflow.NodeKind, in []byte) (decided, error) {
	if kind == workflow.KindMap {
		items, err := workflow.CountItems(in)
		return decided{items: items}, err
	}
	return decided{key: in}, nil
}

// decision returns the event of a holder's decision.
func decision(kind workflow.NodeKind, node int, fence grapnel.Fence, started, now workflow.Moment, d decided) workflow.Event {
	if kind == workflow.KindMap {
		return workflow.MapExpanded{Node: node, Fence: fence, Started: started, Now: now, Items: d.items}
	}
	return workflow.SwitchDecided{Node: node, Fence: fence, Started: started, Now: now, Key: d.key}
}
