package audit

import (
	"fmt"

	"github.com/grapnel-dev/grapnel"
)

// Violation is a promise that a revision broke.
type Violation struct {
	Promise  string           `json:"promise"`
	Revision grapnel.Revision `json:"revision"`
	Run      string           `json:"run,omitempty"`
	Node     string           `json:"node,omitempty"`
	Text     string           `json:"text"`
}

func (v Violation) String() string {
	return fmt.Sprintf("revision %d, run %q, node %s: %s: %s", v.Revision, v.Run, v.Node, v.Promise, v.Text)
}

// Report is what an [Auditor] found.
type Report struct {
	// Complete is set if every revision from the store's first to Last was
	// seen. Otherwise no violations means nothing.
	Complete bool             `json:"complete"`
	First    grapnel.Revision `json:"first_revision"`
	Last     grapnel.Revision `json:"last_revision"`

	Runs      int `json:"runs"`
	Ended     int `json:"ended"`
	Nodes     int `json:"nodes"`     // of all runs
	Completed int `json:"completed"` // nodes with a committed output
	// Executions counts claims and covers that were not given back.
	Executions int `json:"executions"`
	// Losses counts claims that vanished although nobody deleted them, while
	// they were the right to a node.
	Losses   int `json:"losses"`
	Releases int `json:"releases"`

	Violations []Violation `json:"violations"`
}
