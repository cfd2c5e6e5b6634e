// Package memstore is a [store.Store] in memory that behaves as etcd does,
// seen through the port: revisions, leases, history, watches and compaction. It
// is deterministic: what it answers follows from the calls alone, in their
// order, and time comes from the standard library, so that it runs on the fake
// clock of testing/synctest.
//
// It keeps all history until it is compacted. Nothing in it survives the
// process.
package memstore
