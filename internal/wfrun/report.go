package wfrun

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/audit"
)

// Report is what became of a run. It ends, as JSON, with the numbers that tell
// whether all went well.
type Report struct {
	File      string  `json:"file"`
	Workflow  string  `json:"workflow"`
	Seed      uint64  `json:"seed"`
	TimeScale float64 `json:"time_scale"`
	Workers   int     `json:"workers"`
	Namespace string  `json:"namespace"`
	Run       string  `json:"run"`
	Status    string  `json:"status"`
	Cause     string  `json:"cause,omitempty"` // of a run that did not complete
	// Output is that of a run that completed. It is not part of the JSON.
	Output      json.RawMessage `json:"-"`
	WorkerKills int             `json:"worker_kills"`
	// CoordinatorKills counts owners of the run's shard that were killed.
	CoordinatorKills int `json:"coordinator_kills"`
	// MissedKills counts workers that were killed and turned out to have just
	// finished what they held. They are not among the kills.
	MissedKills int `json:"missed_kills"`
	// KillsLeft counts kills that were asked for and not made, because the run
	// ended before.
	KillsLeft int           `json:"kills_left"`
	KillList  []Kill        `json:"kill_list"`
	Audit     *AuditSummary `json:"audit"`

	Tasks     int `json:"tasks"`
	Completed int `json:"completed"`
	// Executions counts attempts that began: claims and covers that were not
	// given back unexecuted.
	Executions int `json:"executions"`
	// Kills is WorkerKills plus CoordinatorKills.
	Kills int `json:"kills"`
	// Requeued counts attempts that were lost, with their claims, and begun
	// anew.
	Requeued int `json:"requeued"`
	// Violations is nil if the audit did not see the whole history: then
	// nothing is known.
	Violations    *int              `json:"violations"`
	ViolationList []audit.Violation `json:"violation_list"`
	WallSeconds   float64           `json:"wall_seconds"`
}

// Kill is a process that was killed on purpose.
type Kill struct {
	Process string `json:"process"`
	// After is how many nodes had completed.
	After int `json:"after"`
	// Claims is how many claims a worker left behind, and Held names the nodes
	// that they were made for; a worker may have gone on from one to the next.
	Claims int      `json:"claims"`
	Held   []string `json:"held,omitempty"`
}

// AuditSummary is what the audit is based on.
type AuditSummary struct {
	Complete      bool             `json:"complete"`
	FirstRevision grapnel.Revision `json:"first_revision"`
	LastRevision  grapnel.Revision `json:"last_revision"`
	// Error says why the history could not be read.
	Error string `json:"error,omitempty"`
}

// ErrNotClean is what [Report.Err] returns: a task was not completed, a promise
// was broken, or it is not known whether one was.
var ErrNotClean = errors.New("the run did not do what it should")

// Err returns nil if the run completed, each task has exactly one accepted
// completion, and an audit of the whole history found no violation; otherwise
// what is wrong, wrapping [ErrNotClean].
func (r *Report) Err() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrNotClean}, args...)...))
	}
	if r.Status != grapnel.RunCompleted.String() {
		wrong("it is %s %s", r.Status, r.Cause)
	}
	if r.Completed != r.Tasks {
		wrong("%d of %d tasks are completed", r.Completed, r.Tasks)
	}
	switch {
	case r.Violations == nil && r.Audit != nil && r.Audit.Error != "":
		wrong("its history could not be audited: %s", r.Audit.Error)
	case r.Violations == nil:
		wrong("revisions are missing from the history that was audited")
	case *r.Violations > 0:
		wrong("the audit found %d violations, the first: %v", *r.Violations, r.ViolationList[0])
	}
	return errors.Join(errs...)
}

// audited takes over what an audit found.
func (r *Report) audited(a audit.Report, err error) {
	r.ViolationList = []audit.Violation{}
	r.Audit = &AuditSummary{Complete: a.Complete && err == nil, FirstRevision: a.First, LastRevision: a.Last}
	if err != nil {
		r.Audit.Error = err.Error()
		return
	}
	r.Executions, r.Requeued = a.Executions, a.Losses
	r.ViolationList = append(r.ViolationList, a.Violations...)
	if a.Complete {
		n := len(a.Violations)
		r.Violations = &n
	}
}
