package grapnel

import "fmt"

// RunStatus is where a run stands. The numbers are persisted and never change
// their meaning.
type RunStatus uint8

// Statuses of a run.
const (
	// RunRunning: some nodes have not ended, or events wait to be folded.
	RunRunning RunStatus = 1
	// RunCancelling: a cancel was committed; no attempt starts any more, and
	// the run ends as cancelled.
	RunCancelling RunStatus = 2
	// RunCompleted: every node completed, and the output is there.
	RunCompleted RunStatus = 3
	// RunFailed: a node failed for good. The first such failure is the cause.
	RunFailed RunStatus = 4
	// RunCancelled: the run was cancelled before it could end otherwise.
	RunCancelled RunStatus = 5
	// RunTimedOut: the run's own time-out passed.
	RunTimedOut RunStatus = 6
)

var runStatusNames = [...]string{1: "running", 2: "cancelling", 3: "completed", 4: "failed", 5: "cancelled", 6: "timed-out"}

// Ended reports whether the status is final. A failed, cancelled or timed-out
// run goes on only through an explicit retry, which begins a new generation.
func (s RunStatus) Ended() bool { return s >= RunCompleted && s <= RunTimedOut }

// String returns the status as users write it, such as "timed-out".
func (s RunStatus) String() string {
	if int(s) < len(runStatusNames) && runStatusNames[s] != "" {
		return runStatusNames[s]
	}
	return fmt.Sprintf("status-%d", uint8(s))
}

// ParseRunStatus is the inverse of String. The error wraps [ErrInvalid].
func ParseRunStatus(s string) (RunStatus, error) {
	for i, name := range runStatusNames {
		if name != "" && name == s {
			return RunStatus(i), nil
		}
	}
	return 0, fmt.Errorf("%w: run status %q; one of running, cancelling, completed, failed, cancelled, timed-out", ErrInvalid, s)
}

// MarshalText returns String, so that JSON has the status as users write it.
func (s RunStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is [ParseRunStatus].
func (s *RunStatus) UnmarshalText(text []byte) error {
	parsed, err := ParseRunStatus(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// NodeStatus is where a node stands. The numbers are persisted and never
// change their meaning. Whether a pending node is available, waiting or being
// executed is derived, never stored.
type NodeStatus uint8

// Statuses of a node.
const (
	// NodePending: no outcome that ends the node has been committed.
	NodePending NodeStatus = 0
	// NodeCompleted: the node has its output.
	NodeCompleted NodeStatus = 1
	// NodeFailed: the node failed and will not be tried again.
	NodeFailed NodeStatus = 2
	// NodeCancelled: the run ended, by failure, cancel or time-out, before the
	// node did.
	NodeCancelled NodeStatus = 3
	// NodeSkipped: the node is in a branch that was not taken, or no branch of it
	// was. It counts as having ended, and whoever reads it gets null.
	NodeSkipped NodeStatus = 4
)

var nodeStatusNames = [...]string{"pending", "completed", "failed", "cancelled", "skipped"}

// Done reports whether those that need the node may start: it has completed or
// was skipped.
func (s NodeStatus) Done() bool { return s == NodeCompleted || s == NodeSkipped }

// String returns the status as users write it.
func (s NodeStatus) String() string {
	if int(s) < len(nodeStatusNames) {
		return nodeStatusNames[s]
	}
	return fmt.Sprintf("status-%d", uint8(s))
}
