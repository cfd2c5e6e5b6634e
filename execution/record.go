package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel"
)

// Record is a finished run. Times are on the shard's clock, in UTC, to the
// millisecond.
type Record struct {
	Run        grapnel.RunID    `json:"run"`
	Instance   grapnel.Instance `json:"instance"`
	Generation int              `json:"generation,omitempty"` // how often the run was retried after it had ended
	Workflow   string           `json:"workflow"`
	Version    string           `json:"version,omitempty"`
	Definition string           `json:"definition"` // topology hash
	// Status is "completed", "failed", "cancelled" or "timed-out".
	Status string            `json:"status"`
	Labels map[string]string `json:"labels,omitempty"`

	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`

	Input json.RawMessage `json:"input,omitempty"`
	// Output is the run's, if it completed.
	Output json.RawMessage `json:"output,omitempty"`
	// Cause is why the run did not complete.
	Cause *Failure `json:"cause,omitempty"`
	// Nodes are those of the definition, in its order, each map followed by those
	// of its items.
	Nodes []Node `json:"nodes,omitempty"`
}

// Key is the same for all records of one generation of one run, and different
// for any two others.
func (r *Record) Key() string { return fmt.Sprintf("%d.%d.%s", r.Instance, r.Generation, r.Run) }

// Node is how a node of a finished run went.
type Node struct {
	Name string          `json:"name"`
	Key  grapnel.NodeKey `json:"key"`
	// Status is "completed", "failed", "cancelled" or "skipped".
	Status string `json:"status"`
	// Attempts is the number of the last attempt; a node that was never started
	// has 1 too. Losses is how many claims of it were lost.
	Attempts int `json:"attempts"`
	Losses   int `json:"losses,omitempty"`
	// Started and Finished are zero for a node that was never started.
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	// Error is the node's last failure, which a node that completed may have
	// had as well.
	Error *Failure `json:"error,omitempty"`
}

// Failure says why a run or an attempt failed.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	// Node is the key of the node it happened in; empty if in none.
	Node grapnel.NodeKey `json:"node,omitempty"`
}

// Sink takes the records of finished runs.
type Sink interface {
	// Write returns nil once the record is kept for good. It is called again,
	// later, after an error, and may be called again after none. It may be
	// called by several goroutines at a time.
	Write(ctx context.Context, r Record) error
}

// Discard is a Sink that keeps nothing.
type Discard struct{}

// Write implements [Sink].
func (Discard) Write(context.Context, Record) error { return nil }
