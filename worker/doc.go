// Package worker executes the nodes of runs: it claims what coordinators offer
// it, or what it finds by itself when there is none, calls the tasks' functions,
// and commits what they return.
//
//	            offer                Acquire               fit to be executed
//	(inbox, or ──────▶ queued, slot ────────▶ claimed ───────────────────────▶ attempt
//	 own search)                                 │                              │  ▲
//	                                             │ not fit                      │  │ the head covers
//	                                             ▼                outcome       ▼  │ one more node
//	                                          released ◀──────────────────── commit ──▶ done
//	                                                   stopped, draining
//
// A [Worker] lives in sessions, one after the other, each with a lease, an id
// and an inbox of its own. A session that can no longer be trusted takes
// everything with it: the contexts of its tasks end with cause
// [grapnel.ErrClaimLost], and what they return is thrown away.
//
// # Invariants
//
//   - A function is called only while the claim can be trusted, after the head as
//     of the claim's revision has the node ready and no other live claim covers
//     it.
//   - Every commit guards on the claims whose outcomes it carries. It deletes
//     them, or lets them cover one more node, and so always writes the head.
//   - Of each run the worker has at most one commit whose result it does not know.
//   - A claim that nobody executes is released or gone with its lease.
//   - A slot is taken until the function it was taken for has returned.
//   - After the end of Run's context no attempt starts.
//
// # Commits
//
// The outcomes of one run that wait at the same time share a commit. It is an
// edit that is applied anew whenever the head has changed: it may find that a
// claim is gone, and tells from the fence in the head whether that was this very
// commit, sent before and answered never, or a loss. Inline nodes, expressions,
// switches and maps that an outcome frees are evaluated in the same commit, and
// those that these free, and so on. What of them that commit cannot evaluate is
// claimed and executed like a task. If in the end exactly one node was freed that this worker can execute,
// the claim stays and covers it, which saves a claim and an offer: a chain of n
// steps costs n+3 key operations. If the run has nothing left to do, the commit
// ends it, unless an event waits in its mailbox.
//
// # When things fail
//
//   - The store refuses commits, or does not answer: they are sent again until
//     their outcome is known or the session is lost. Functions go on meanwhile.
//   - The session is lost, or the process was stopped for longer than the TTL:
//     see above; a late commit fails its guard. A new session begins.
//   - A claim of a node with a heartbeat time-out has a lease of its own, a little
//     longer than the time-out, so that the time-out is committed before the lease
//     runs out.
//   - A function panics: the attempt fails with the stack. It does not return in
//     time: the failure is committed all the same, at the deadline.
//   - An owner deletes the claim, because of a cancel or a time-out, and says so:
//     the context ends with that cause, and nothing is committed.
//   - The run was deleted or cannot be decoded: nothing is committed, and the
//     claim is released as far as there is one.
//   - The watch of the inbox ends: it is listed again. Offers that were missed are
//     made again.
//
// # Shutting down
//
// When Run's context ends the worker says that it is draining, takes no more
// nodes and begins no more steps of chains. After [Config.Grace] the contexts of
// tasks end with cause [grapnel.ErrStopping]. A success still counts then; an
// error gives the node back, which is no failed attempt; and what has not
// returned after [Config.StopWait] is given back too, and left behind.
//
// # What is not promised
//
// A node may be executed more than once, by two processes at the same time even:
// at most one outcome is committed. See package task for how to live with it.
package worker
