// Package etcdstore keeps Grapnel's state in etcd.
//
// # Requests
//
// Each request is bounded by [Config.RequestTimeout]. What is known not to have
// been applied, and may succeed a moment later, is sent again within that time:
// reads whose connection broke, and writes that never left this process or met a
// member without a leader. A write of which this is not known is never sent
// twice; its error is [grapnel.ErrUnknown].
//
// # Group commit
//
// Concurrent commits share requests as nested transactions, up to the number of
// operations and bytes that the server takes. Etcd does not isolate the pieces
// of a request: nested compares see the state before it, nested gets see what
// earlier siblings wrote, and one dead lease, forbidden key or oversized value
// fails it as a whole. The promises of [store.Store] are kept by these rules:
//
//   - Pieces share a request only if no key or range that one of them writes, in
//     either branch, is read, compared or written by another. A piece that does
//     not fit waits for another request; the oldest one always goes.
//   - A request that is refused as a whole was not applied, so its pieces are
//     sent again, alone, and each gets its own answer. If it was refused for its
//     size they are sent in smaller requests, and the size is remembered.
//   - A request whose outcome is unknown is an unknown outcome for each piece.
//   - A caller that stops waiting takes its piece along as long as it is queued.
//     One that is under way goes on without it, and its outcome is unknown.
//   - A piece that goes alone is not nested, and one that only reads always goes
//     alone: nested it would become a write.
//
// # Identity
//
// Answers name the cluster, and linearizable ones a revision that never goes
// back. When either is not as before, a backup was restored or the cluster
// replaced. The store then ends all watches and refuses every call with a
// [ClusterChangedError] until another one is opened.
//
// # What is not promised
//
// Members that cannot be reached when the store is opened are not checked for
// their version. A restore that keeps the cluster's id and jumps ahead in
// revisions looks like progress.
package etcdstore
