// Package coordinator looks after runs: it finds the nodes that can be executed
// and offers them to workers, counts the claims that were lost, lets time run
// out, folds what is sent to runs, ends runs, and archives them. It executes
// nothing and calls no user code.
//
// # Roles
//
// Runs are divided into shards ([store.Shards]), and a coordinator acts only on
// the shards it owns. Any number of coordinators may run; each follows all runs,
// so that those that own little are warm standbys, and each tries to own every
// shard that nobody owns. Which shards one tries to own is decided in one place
// (loop.wants); everything else goes by what is owned.
//
//	            lease granted,               key of an unowned           view is as new
//	            member key put               shard put                   as the key
//	(nothing) ─────────────────▶ member ───────────────────▶ owner ────────────────▶ active
//	    ▲                          │                           │                       │
//	    └──────────────────────────┴───────────────────────────┴───────────────────────┘
//	       the lease can no longer be trusted, or the shard's key is gone or another's
//
// A coordinator whose lease can no longer be trusted drops everything it owns at
// that moment and starts over as another member. What it knows of the runs it
// keeps: the view depends on no lease.
//
// # Structure
//
// One goroutine, the loop, owns all state. Watches, commits and listings happen
// on others, which hand the loop functions to call. The loop never waits for the
// store, but for a definition it has not seen. For each run that changed it
// derives what the run wants (plan.go): nodes to offer, a commit, a time to look
// again. A commit (duty.go) does all that is due in one transaction; a run has
// one owner's commit on its way at most. What a commit wrote comes back by the
// watch, as all other changes do.
//
// # Offers
//
// Available nodes wait in the order of the time at which they became available
// plus [Config.Ageing] for each step of priority. So the urgent go first, and
// nothing waits for ever: a node of priority 5 gets ahead of nodes of priority 1
// that come four intervals later. The first in line that some free worker can
// run goes to the worker with the least to do for its slots; workers that let
// offers expire unheard count as busier than they say.
//
// # Time
//
// A coordinator keeps one clock for all its shards: the wall clock when its
// membership began, or the largest time that a head carries, plus the time since
// then on the monotonic clock. Deadlines are compared with it alone, and
// messages carry it to workers.
//
// # Invariants
//
//   - Every write to a run, its deletion included, guards that the shard's key is
//     the one this member put. A leader that was paused writes nothing.
//   - A shard is acted upon only once the view is at least as new as the
//     ownership, and, after a cold start, once history has been searched for
//     losses. To see how far the watch is, a member puts a key of its own among
//     those of the runs ([store.Keys.Barrier]).
//   - A claim that vanished in a revision that neither wrote nor deleted its
//     run's head was lost. The loss is counted for the node that the claim was
//     the right to at that revision, whatever has become of it since, and the
//     node is not offered before.
//   - The clock of times in heads never goes back, and nothing happens early by
//     it.
//   - Bytes that do not decode are never changed.
//
// # When things fail
//
//   - A coordinator dies: its lease runs out, its shard keys vanish, and the
//     others, who see that, take them at once. Losses that nobody had counted
//     are known to whoever was watching, and read from history by others.
//   - The answer to a commit is lost: it is sent again, and its guards and the
//     head tell whether it had arrived. A shard whose key carries this member's
//     id and lease is its own, however that came to be known.
//   - A watch is interrupted: it goes on behind the last revision applied.
//   - History was compacted that was not read: everything is listed again.
//   - An event is missed all the same: the sweep finds the difference to a
//     listing and reads the run again.
//   - The store's revision goes back, because it was restored from a backup: the
//     sweep notices, and everything is dropped and read anew.
//   - A worker dies: its offers are made to others, its claims are losses.
//   - An offer or stop is lost: an offer expires and is made again, and a worker
//     that was not told to stop fails its commit's guard.
//   - A head, claim or event does not decode: the run is reported
//     ([store.Keys.Corrupt]) and left alone until its bytes change.
//   - The sink fails: the run stays and is tried again.
//
// # What is not promised
//
// Offers are hints: a node may be offered to several workers, or to one that
// has no slot left. Being owner does not exclude others from trying; only the
// guards do.
//
// A loss is counted only if its deletion can be read from the time when owners
// recorded last what they had processed ([store.Keys.Processed]). If somebody
// compacts the store beyond that while no coordinator is watching, the losses in
// between are not counted; their nodes are offered again all the same. The same
// goes for losses before the first coordinator of a namespace ever ran, and for
// those that the owner has not counted by the time their run ends or fails: a
// worker that claims a lost node again, with an old offer or because it looked
// for itself, may be faster.
//
// Events of a kind that this version does not know are left in the mailbox for a
// newer one, and keep their run from ending.
package coordinator
