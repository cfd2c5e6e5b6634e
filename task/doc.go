// Package task is what the code of tasks calls: who am I, I am still alive, and
// this failure is final. All of it goes through the context that the task's
// function was called with.
//
// # What a task can rely on
//
// The context of an attempt ends as soon as its result cannot count any more,
// and [context.Cause] says why: an error that wraps [grapnel.ErrClaimLost] if the
// worker can no longer be sure that it alone executes the node,
// [grapnel.ErrCancelled] if the run has ended or was cancelled,
// [grapnel.ErrTimedOut] if a time-out of the node passed, and
// [grapnel.ErrStopping] if the worker is shutting down and its grace is over.
//
// # What it cannot
//
// A node may be executed more than once, and at the same time by two processes,
// of which one does not know yet that it has lost the node. At most one of their
// results is committed. What a task does elsewhere it makes safe with
// [Info.IdempotencyKey], or with [Info.Fence] where the other side remembers the
// largest fence it has seen.
package task
