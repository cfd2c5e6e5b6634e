package grapnel

import "errors"

// The errors that Grapnel's packages return, always wrapped: test with
// [errors.Is]. Each package's documentation names the ones its functions
// return.
var (
	// ErrInvalid: an argument or a setting cannot be used; the text says why.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound: what was asked for is not in the store.
	ErrNotFound = errors.New("not found")
	// ErrExists: a run of this id exists, and the conflict policy is to fail.
	ErrExists = errors.New("already exists")
	// ErrConflict: what was to be changed has changed since it was read.
	ErrConflict = errors.New("changed by someone else")
	// ErrClaimTaken: another worker holds the node.
	ErrClaimTaken = errors.New("claim taken")
	// ErrClaimLost: the claim was held and is no more; what was done under it
	// does not count.
	ErrClaimLost = errors.New("claim lost")
	// ErrCorrupt: stored bytes do not decode. They are kept as they are.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnavailable: the store cannot be reached, or has no quorum or leader.
	// Nothing was written.
	ErrUnavailable = errors.New("store unavailable")
	// ErrUnknown: the request may have been applied, or may still be. It never
	// means "failed".
	ErrUnknown = errors.New("outcome unknown")
	// ErrTooLarge: a payload, definition or request is over a limit, which the
	// text names.
	ErrTooLarge = errors.New("too large")
	// ErrOverCapacity: the store is out of space and refuses writes.
	ErrOverCapacity = errors.New("store over capacity")
	// ErrWrongDefinition: the run's definition is not known here, or is not the
	// one that was expected.
	ErrWrongDefinition = errors.New("wrong definition")
	// ErrRunGone: the run was deleted, or another run has its id now.
	ErrRunGone = errors.New("run gone")
	// ErrRunEnded: the run has ended and takes no more events.
	ErrRunEnded = errors.New("run has ended")
	// ErrCancelled: the run was cancelled.
	ErrCancelled = errors.New("cancelled")
	// ErrTimedOut: a time-out of the run or node passed.
	ErrTimedOut = errors.New("timed out")
	// ErrStopping: the process is draining and takes no more work.
	ErrStopping = errors.New("stopping")
)
