// Package claim is the right to execute a node: taking it, keeping it, proving
// it in a commit, giving it back, and knowing when it is lost. It is the only
// source of fences.
//
// A claim is a key bound to a lease. Its create revision is the claim's
// [grapnel.Fence]. Whoever writes under a claim puts [Claim.Guard] into the
// commit, so a commit takes effect only while that very claim is there.
//
//	         Acquire               Extend, Report
//	(none) ───────────▶ held ──────────────────▶ held
//	   ▲                 │ │ └── lease runs out, or an owner deletes the key ──▶ lost
//	   │     Release     │ └──── a commit that deletes the key ──▶ done
//	   └─────────────────┘
//
// # Invariants
//
//   - Every claim key has a lease, in every version of it.
//   - A claim key that is deleted on purpose is deleted in a commit that writes
//     the run's head. One that vanishes without it was lost.
//   - A claim that a process may still have on its way is void once the process
//     has rewritten its session key: each claim guards on that key's revision.
//
// # When things fail
//
// A claim whose outcome is unknown is never sent again: an "absent" guard is
// not safe to repeat, because the key may have been created and lost in
// between. Instead the session key is rewritten, which voids the request
// wherever it is, and the claim is read in the same transaction.
//
// If the lease cannot be kept alive, the claim's context ends with cause
// [ErrLost] before the store lets the lease run out. Code that does not heed the
// context goes on, as does a process that was stopped for longer than the TTL;
// their commits then fail the guard and change nothing. A claim does not keep a
// second process from executing the node at the same time once the first has
// lost it; only commits, and resources that check fences, are exclusive.
package claim
