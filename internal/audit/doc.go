// Package audit reads the history of a store, revision by revision, and checks
// the promises that Grapnel makes of it. It shares nothing with the code that
// writes that history but the persisted messages and the names of keys: it has
// its own idea of what may follow what.
//
// # What it checks
//
// For each revision it compares every head with the one before:
//
//   - one outcome: an outcome names the fence of a claim of that run that was
//     alive at that revision and was the right to that node; fences only grow;
//   - order: that claim, or cover, is younger than the outcomes of all nodes
//     that the node needs;
//   - order in scopes: nothing happens in a branch that was not taken, nor before
//     the switch or map around has decided, which it does once and under a claim;
//     and that ends after all in its scope;
//   - write-once: a completed node never changes, a record is written once, a
//     run that ended changes only into its next generation, a completed one
//     never;
//   - nothing lost: no two instances come of one start operation, a completed
//     run has completed all its nodes, and a recorded output has its record;
//   - cancel holds: nothing completes and no cover begins after a cancel;
//   - honest count: the losses counted of a node are those that happened, each
//     once and none left out, and it is not offered by an owner that knows of one
//     that is not counted;
//   - exactly-once folding: an event leaves the mailbox only in a commit that
//     writes the head and leaves a marker, and no run ends over one; what came
//     behind the end is refused, or dropped by a retry;
//   - leased: every version of a claim has a lease;
//   - no stale leader: losses are counted and events folded only while the
//     shard has an owner;
//   - timers: an attempt does not start before its not-before time by the
//     committed clock;
//   - no ghost: at the end no claim is left on a run that has ended.
//
// # What it cannot see
//
// A claim that was given back unexecuted looks like one given back while
// draining. User code that goes on after its claim was lost leaves no trace. The
// end or failure of a run settles the losses that were not counted before, and
// those before there was any owner need not be counted.
package audit
