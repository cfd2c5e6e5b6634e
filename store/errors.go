package store

import (
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
)

var (
	// ErrUnknown is [grapnel.ErrUnknown].
	ErrUnknown = grapnel.ErrUnknown
	// ErrLeaseNotFound: the lease expired or was revoked, or never was.
	ErrLeaseNotFound = errors.New("lease not found")
	// ErrCompacted: the history asked for is gone. The error is a
	// [CompactedError].
	ErrCompacted = errors.New("revision compacted")
	// ErrDenied: the store refuses these credentials, or this access to them.
	ErrDenied = errors.New("permission denied")
)

// CompactedError says that history was asked for that is gone. It is
// [ErrCompacted].
type CompactedError struct {
	// Revision is the oldest revision that can still be asked for; zero if the
	// store did not say.
	Revision grapnel.Revision
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("%v: the oldest one kept is %d", ErrCompacted, e.Revision)
}

// Is reports whether target is [ErrCompacted].
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }
