// Package snapshot is the durable state of runs: its persisted format, and the
// operations that create, load, change, list and delete it.
//
// A run's state is its head, one key that every commit rewrites and that
// therefore stays small, and records, which are outputs the head has no room
// for and which are written once. [Head] is the head decoded; the graph part of
// it is a [workflow.State], which [workflow.Advance] changes.
//
// # Changing a run
//
// Everybody who changes a run, be it a worker that commits an outcome, a
// coordinator that counts a loss or a client that retries, does so with
// [Runs.Update]: it applies an edit to the head as it was read, writes it on
// condition that the head is still the same and that the edit's own guards
// hold, and otherwise applies the edit to the head that is there now. An edit
// is therefore called as often as needed and must depend on nothing but its
// arguments. A request whose outcome is unknown is sent again until it is
// known; the edit then finds its own work done or not.
//
// # Format
//
// The value of a head begins with a fixed-size summary, which tells what the
// run wants without decoding the rest (see [Summary]), and goes on with the
// message Head of internal/pb. Fields that a newer version wrote survive a
// rewrite. A value in a newer format is left alone ([ErrNewerFormat]); bytes
// that cannot be decoded are [grapnel.ErrCorrupt] and are kept.
//
// # What is not promised
//
// A head that was read may have changed since. Update alone does not make its
// caller the only one to execute a node: that is what claims are for, whose
// guards go into the edit's.
package snapshot
