package task

import "github.com/grapnel-dev/grapnel/workflow"

// Fail returns an error for a task to return when trying again would not help:
// the node fails for good, whatever its retry policy. Kind is a word for
// programs, as in [workflow.RetryPolicy].NonRetryable; empty means
// [workflow.KindError]. The error wraps a *[workflow.Failure] with the message of
// err, and err itself; a nil err leaves the message empty.
//
// To have a failure retried, return any other error.
func Fail(kind string, err error) error {
	if kind == "" {
		kind = workflow.KindError
	}
	f := &workflow.Failure{Kind: kind, Node: -1, Permanent: true}
	if err == nil {
		return f
	}
	f.Message = err.Error()
	return &failed{failure: f, err: err}
}

// failed is a failure that remembers the error it was made from.
type failed struct {
	failure *workflow.Failure
	err     error
}

func (e *failed) Error() string { return e.failure.Error() }

// Unwrap puts the failure first: it is what counts where err wraps another one.
func (e *failed) Unwrap() []error { return []error{e.failure, e.err} }
