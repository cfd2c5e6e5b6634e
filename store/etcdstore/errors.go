package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// errTooManyOps: a request has more operations than the server takes.
var errTooManyOps = fmt.Errorf("%w: too many operations in one request", grapnel.ErrTooLarge)

// errClosed: the store was closed.
var errClosed = fmt.Errorf("%w: closed by this process", grapnel.ErrUnavailable)

// fault is what an error of etcd or of its client means.
type fault struct {
	// kind is the sentinel that says it.
	kind error
	// refused is set if the error proves that a write was not applied and will
	// not be.
	refused bool
	// passing is set if the same request may succeed a moment later.
	passing bool
}

func (f fault) is(kind error) bool { return errors.Is(f.kind, kind) }

// faults has the errors that are known by name. What is not here proves nothing
// about a write.
var faults = map[error]fault{
	rpctypes.ErrEmptyKey:          {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrKeyNotFound:       {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrDuplicateKey:      {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrValueProvided:     {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrLeaseProvided:     {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrInvalidSortOption: {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrFutureRev:         {kind: grapnel.ErrInvalid, refused: true},
	rpctypes.ErrLeaseTTLTooLarge:  {kind: grapnel.ErrInvalid, refused: true},

	rpctypes.ErrTooManyOps:      {kind: errTooManyOps, refused: true},
	rpctypes.ErrRequestTooLarge: {kind: grapnel.ErrTooLarge, refused: true},

	// Not refused: the server checks its quota once more when it applies a
	// request, and what exceeds it then is applied and answered with this error
	// all the same. See quota.
	rpctypes.ErrNoSpace: {kind: grapnel.ErrOverCapacity},

	rpctypes.ErrCompacted:     {kind: store.ErrCompacted, refused: true},
	rpctypes.ErrLeaseNotFound: {kind: store.ErrLeaseNotFound, refused: true},

	// Checked before a request is proposed, or before it is applied. The client
	// fetches a new token by itself when an old one has expired.
	rpctypes.ErrAuthFailed:           {kind: store.ErrDenied, refused: true},
	rpctypes.ErrUserEmpty:            {kind: store.ErrDenied, refused: true},
	rpctypes.ErrUserNotFound:         {kind: store.ErrDenied, refused: true},
	rpctypes.ErrPermissionDenied:     {kind: store.ErrDenied, refused: true},
	rpctypes.ErrPermissionNotGranted: {kind: store.ErrDenied, refused: true},
	rpctypes.ErrRoleNotGranted:       {kind: store.ErrDenied, refused: true},
	rpctypes.ErrInvalidAuthMgmt:      {kind: store.ErrDenied, refused: true},
	rpctypes.ErrInvalidAuthToken:     {kind: store.ErrDenied, refused: true},
	rpctypes.ErrAuthOldRevision:      {kind: store.ErrDenied, refused: true},
	rpctypes.ErrAuthNotEnabled:       {kind: store.ErrDenied, refused: true},

	// Found before anything is proposed.
	rpctypes.ErrNoLeader:        {kind: grapnel.ErrUnavailable, refused: true, passing: true},
	rpctypes.ErrTooManyRequests: {kind: grapnel.ErrUnavailable, refused: true, passing: true},
	rpctypes.ErrNotCapable:      {kind: grapnel.ErrUnavailable, refused: true, passing: true},
	// An alarm that keeps a member from applying anything.
	rpctypes.ErrCorrupt: {kind: grapnel.ErrUnavailable, refused: true},
}

// proposalDropped is the text of raft's error when it does not take a proposal,
// for lack of a leader for instance. It reaches clients without a name.
const proposalDropped = "raft proposal dropped"

// diagnose says what err means.
func diagnose(err error) fault {
	if named, ok := errors.AsType[rpctypes.EtcdError](rpctypes.Error(err)); ok {
		if f, ok := faults[named]; ok {
			return f
		}
		return fault{kind: grapnel.ErrUnavailable, passing: named.Code() == codes.Unavailable}
	}
	st, ok := status.FromError(err)
	if !ok {
		return fault{kind: grapnel.ErrUnavailable}
	}
	switch st.Code() {
	case codes.ResourceExhausted:
		// Of gRPC itself: a message over the limit of this side or the other.
		return fault{kind: grapnel.ErrTooLarge, refused: true}
	case codes.PermissionDenied, codes.Unauthenticated:
		return fault{kind: store.ErrDenied, refused: true}
	case codes.Unimplemented:
		return fault{kind: grapnel.ErrUnavailable, refused: true}
	case codes.Unavailable:
		return fault{kind: grapnel.ErrUnavailable, passing: true}
	}
	if strings.Contains(st.Message(), proposalDropped) {
		return fault{kind: grapnel.ErrUnavailable, refused: true, passing: true}
	}
	return fault{kind: grapnel.ErrUnavailable}
}

// readError is the error of a request that writes nothing, made for ctx.
func readError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%s)", contextError(ctx), describe(err))
	}
	f := diagnose(err)
	if f.is(store.ErrCompacted) {
		return new(store.CompactedError)
	}
	return fmt.Errorf("%w: %s", f.kind, describe(err))
}

// writeError is the error of a request that writes. sent tells whether any of it
// may have left this process.
func writeError(err error, sent bool) error {
	f := diagnose(err)
	switch {
	case f.refused:
		return fmt.Errorf("%w: %s", f.kind, describe(err))
	case !sent:
		return fmt.Errorf("%w: not sent: %s", grapnel.ErrUnavailable, describe(err))
	case f.is(grapnel.ErrOverCapacity):
		return fmt.Errorf("%w: %w: %s", grapnel.ErrUnknown, f.kind, describe(err))
	}
	return fmt.Errorf("%w: %s", grapnel.ErrUnknown, describe(err))
}

// describe is err's text without gRPC's wrapping. What it wraps is not passed
// on: a context's end in there is that of a request, not that of the caller.
func describe(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return rpctypes.ErrorDesc(err)
}

// contextError is the error of a call whose context has ended: the context's
// error and, if it is another, its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
