package store

import (
	"context"
	"time"

	"github.com/grapnel-dev/grapnel"
)

// Store is a connection to a key-value store with etcd's model.
//
// Methods return errors that wrap [grapnel.ErrUnavailable] when the store
// cannot be reached or has no quorum and nothing was written, and the context's
// error when the caller gave up before anything was sent. They are safe for
// concurrent use.
type Store interface {
	// Get returns the current value of key. If there is none the error wraps
	// [grapnel.ErrNotFound].
	Get(ctx context.Context, key string) (KV, error)

	// List returns a page of the keys that begin with a prefix, in order. If
	// the revision asked for has been compacted the error is a
	// [CompactedError].
	List(ctx context.Context, r ListRequest) (Page, error)

	// Commit applies t. A guard that does not hold is no error: the result
	// says so. Errors, beside those above, wrap [grapnel.ErrUnknown],
	// [grapnel.ErrTooLarge], [grapnel.ErrOverCapacity], [ErrLeaseNotFound]
	// when a put names a lease that is gone, or [grapnel.ErrInvalid] for a
	// transaction that could never be applied.
	Commit(ctx context.Context, t Txn) (Result, error)

	// Watch delivers the changes of the keys that begin with a prefix. It
	// returns at once; whatever keeps it from going on is the last value of
	// the channel. The channel is closed when the watch has ended, which it
	// does when ctx ends, and after a [Batch] with an error.
	Watch(ctx context.Context, r WatchRequest) <-chan Batch

	// Grant makes a lease that expires ttl after the last time it was kept
	// alive. The store may lengthen ttl, to whole seconds for instance: the
	// result says what it gave.
	Grant(ctx context.Context, ttl time.Duration) (Lease, error)

	// KeepAlive makes the lease expire a full TTL from now, once. If there is
	// no such lease the error wraps [ErrLeaseNotFound].
	KeepAlive(ctx context.Context, id LeaseID) (Lease, error)

	// Revoke ends the lease and deletes its keys in one revision. Revoking a
	// lease that is gone is no error. It may return [grapnel.ErrUnknown].
	Revoke(ctx context.Context, id LeaseID) error
}

// LeaseID names a lease; zero is no lease.
type LeaseID int64

// Lease is a lease as the store granted or renewed it.
type Lease struct {
	ID  LeaseID
	TTL time.Duration
}

// KV is a key and what the store knows of it.
type KV struct {
	Key    string
	Value  []byte // not to be modified
	Create grapnel.Revision
	Mod    grapnel.Revision
	Lease  LeaseID
}

// ListRequest asks for a page of keys.
type ListRequest struct {
	Prefix string
	// After continues a listing behind this key; empty begins at the prefix.
	After string
	// Limit is the most keys a page holds; zero means [DefaultPage].
	Limit int
	// Revision lists the keys as they were then; zero means now. The pages of
	// one listing agree with each other only if all after the first name the
	// first one's revision.
	Revision grapnel.Revision
	// KeysOnly leaves values empty, and leases zero.
	KeysOnly bool
}

// DefaultPage is how many keys a page holds when the request names no limit.
const DefaultPage = 1000

// Page is a part of a listing.
type Page struct {
	KVs []KV
	// Revision is the revision listed; for a request that named none, the
	// store's current one.
	Revision grapnel.Revision
	// More is set when keys follow the last one.
	More bool
}

// WatchRequest says what to watch.
type WatchRequest struct {
	Prefix string
	// From is the first revision delivered. Zero means the next one: the watch
	// then begins with a batch without events, which tells that it is open and
	// the revision behind which it begins. Stores deliver such a watch at once;
	// one from an earlier revision may first have to catch up, which takes etcd
	// up to 100 ms.
	From grapnel.Revision
	// Previous asks for the pair before each change, as far as it has not been
	// compacted.
	Previous bool
}

// Batch is one or more whole revisions of a watch, in order, or the watch's
// end.
type Batch struct {
	// Revision is the latest one that the watch has got to: everything up to
	// it that matches was delivered. A batch without events only says this.
	Revision grapnel.Revision
	Events   []Event
	// Err is set on the last batch, which has no events: a [CompactedError] if
	// From, or what the watch lagged behind at, has been compacted; an error
	// that wraps [grapnel.ErrUnavailable] if the connection or the leader is
	// lost; the cause of the context's end.
	Err error
}

// Event is a change of one key.
type Event struct {
	// Deleted tells a deletion from a put. In a deletion only Key and Mod, the
	// revision of the deletion, are set in KV.
	Deleted bool
	KV      KV
	// Previous is the pair before the change, if it was asked for, existed and
	// was not compacted; a zero Mod tells that it is missing.
	Previous KV
}
