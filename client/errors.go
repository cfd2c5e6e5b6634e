package client

import (
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// ExistsError says which run has the id of a start that may not share it. It is
// [grapnel.ErrExists].
type ExistsError struct {
	Run      grapnel.RunID
	Instance grapnel.Instance
	Workflow string
	// Status is where the existing run stood.
	Status grapnel.RunStatus
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("run %q of workflow %s %v and is %v", e.Run, e.Workflow, grapnel.ErrExists, e.Status)
}

// Is reports whether target is [grapnel.ErrExists].
func (e *ExistsError) Is(target error) bool { return target == grapnel.ErrExists }

// EndedError says that a run has ended and takes no more events. It is
// [grapnel.ErrRunEnded].
type EndedError struct {
	Run    grapnel.RunID
	Status grapnel.RunStatus
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("run %q is %v: %v", e.Run, e.Status, grapnel.ErrRunEnded)
}

// Is reports whether target is [grapnel.ErrRunEnded].
func (e *EndedError) Is(target error) bool { return target == grapnel.ErrRunEnded }

// statusError says that a run's status does not allow what was asked for. It is
// [grapnel.ErrConflict].
type statusError struct {
	run    grapnel.RunID
	status grapnel.RunStatus
	advice string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("run %q is %v, %s", e.run, e.status, e.advice)
}

// Is reports whether target is [grapnel.ErrConflict].
func (e *statusError) Is(target error) bool { return target == grapnel.ErrConflict }

// RunFailedError says that a run ended without an output, and why. It is
// [grapnel.ErrCancelled] if it was cancelled and [grapnel.ErrTimedOut] if its
// own time-out passed; beyond that, errors.Is and errors.As see the cause.
type RunFailedError struct {
	Run      grapnel.RunID
	Instance grapnel.Instance
	// Status is failed, cancelled or timed-out.
	Status grapnel.RunStatus
	// Cause is the first failure, or nil.
	Cause *workflow.Failure

	described string
}

func runFailed(h *snapshot.Head) *RunFailedError {
	e := &RunFailedError{Run: h.Run, Instance: h.Instance, Status: h.State.Status, Cause: h.State.Cause}
	if e.Cause != nil {
		e.described = h.State.Describe(e.Cause)
	}
	return e
}

func (e *RunFailedError) Error() string {
	text := fmt.Sprintf("run %q %s", e.Run, outcomeWord(e.Status))
	switch {
	case e.Cause != nil && e.Status == grapnel.RunCancelled && e.Cause.Kind == workflow.KindCancelled:
		if e.Cause.Message == "" {
			return text
		}
		return text + ": " + e.Cause.Message
	case e.described != "":
		return text + ": " + e.described
	case e.Cause != nil:
		return text + ": " + e.Cause.Error()
	}
	return text
}

func outcomeWord(s grapnel.RunStatus) string {
	switch s {
	case grapnel.RunCancelled:
		return "was cancelled"
	case grapnel.RunTimedOut:
		return "timed out"
	}
	return s.String()
}

// Is reports whether target is the sentinel of the run's status.
func (e *RunFailedError) Is(target error) bool {
	switch e.Status {
	case grapnel.RunCancelled:
		return target == grapnel.ErrCancelled
	case grapnel.RunTimedOut:
		return target == grapnel.ErrTimedOut
	}
	return false
}

// Unwrap returns Cause.
func (e *RunFailedError) Unwrap() error {
	if e.Cause == nil {
		return nil
	}
	return e.Cause
}
