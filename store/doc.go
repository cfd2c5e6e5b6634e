// Package store is the port that all of Grapnel's state is written through:
// get, list, commit, watch, and leases. It has the shape of etcd's data model
// and no more of it than the protocol uses.
//
// # The model
//
// A store is an ordered map of keys. Every commit that changes something
// raises the store's revision by one, and a key remembers the revision that
// created it and the one that last changed it. A key may be bound to a lease;
// when the lease expires or is revoked, its keys are deleted, all in one
// revision of their own. History can be watched from any revision that has not
// been compacted.
//
// # What a Store promises
//
//   - A commit is atomic and isolated: it takes effect as if no other commit
//     was under way, whichever requests the store makes of it. Its guards see
//     the state before it, its gets the state after the writes that precede
//     them in it.
//   - A failing commit fails no other.
//   - A nil error means that the result is what happened. An error that wraps
//     [grapnel.ErrUnknown] means that the commit may have been applied or may
//     still be, at any later time; every other error means that it was not and
//     will not be.
//   - [Store.Get], [Store.List] without a revision, and commits are
//     linearizable.
//   - A watch delivers each revision whole and in order, none left out and none
//     twice, or ends with an error.
//
// # What it does not promise
//
// Watches lag. A lease that this process believes to be alive may have
// expired. Absence guards are not safe to repeat after an unknown outcome: the
// key may have been created and deleted in between.
//
// Adapters are in the packages below this one. Each passes the suite of package
// storetest.
package store
