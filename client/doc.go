// Package client starts runs, watches them, changes their course and looks into
// a namespace. It talks to the store and to nobody else: neither a coordinator
// nor a worker has to be up for a start, a cancel or a listing to succeed.
//
// # Starting
//
// [Start] takes a workflow with its types and returns a [Run], which waits for
// the output. The run's id is an idempotency key: see [WithID] and
// [ConflictPolicy]. A start whose reply is lost is sent again under the same
// operation id, for at most [snapshot.ResendLife], and recognises its own run
// whatever has become of it since. Beyond that "at most once" is not promised.
//
// # Waiting
//
// [Run.Wait] and [Client.WaitEnded] follow the run by a watch, without polling.
// They go on through connections and leaders that are lost, until their context
// ends, and they report the first end they see: of a run that fails and is
// retried, the failure, unless the retry came before they looked. To wait for
// the generation that a retry began, wait again.
//
// # Watching
//
// [Client.Watch] yields a run after each of its changes, and [Client.Overview]
// what goes on in the whole namespace.
//
// # What is not promised
//
// Whatever is returned about a run was true when it was read. A listing is not
// of one moment: each page is read when it is asked for.
package client
