package workflow

import "github.com/grapnel-dev/grapnel"

// Event is something that happened to a run, for [Advance] to apply. All times,
// random choices and results of user code reach a run's state through events.
// The nodes in it are slots: see [State].
type Event interface{ event() }

// NodeCompleted: an attempt returned an output, or an inline node was
// evaluated.
type NodeCompleted struct {
	Node    int
	Fence   grapnel.Fence
	Started Moment
	Now     Moment
	// Output is JSON; if Recorded is set it is empty and kept in a record.
	Output   []byte
	Recorded bool
}

// SwitchDecided: the key of a switch is known. It is no user code that tells it,
// but data, so any process may that holds the claim or has freed the switch.
type SwitchDecided struct {
	Node    int
	Fence   grapnel.Fence
	Started Moment
	Now     Moment
	// Key is the JSON that the switch's input came to; null is no key.
	Key []byte
}

// MapExpanded: the list of a map is known. See [SwitchDecided].
type MapExpanded struct {
	Node    int
	Fence   grapnel.Fence
	Started Moment
	Now     Moment
	// Items is the length of the list.
	Items int
}

// AttemptFailed: an attempt returned an error, panicked or took too long.
type AttemptFailed struct {
	Node    int
	Fence   grapnel.Fence
	Attempt int
	Started Moment
	Now     Moment
	Failure Failure
	// RetryAt is when the next attempt may start, if there is one.
	RetryAt Moment
}

// NodeExpired: the node was available for longer than its policy allows. The
// commit that carries it deletes the claim of an attempt that is running.
type NodeExpired struct {
	Node int
	Kind string // KindScheduleToStart or KindScheduleToClose
	Now  Moment
}

// ClaimLost: the claim that covered the node vanished although nobody deleted
// it. It may be heard of late: the node may have been claimed again, and even
// have failed an attempt or completed since.
type ClaimLost struct {
	Node   int
	Fence  grapnel.Fence
	Worker grapnel.WorkerID
	Now    Moment
}

// NodeCovered: the worker that holds the claim of node By goes on with Node
// under the same claim.
type NodeCovered struct {
	Node  int
	By    int
	Fence grapnel.Fence
	Now   Moment
}

// RunCancelled: somebody asked that the run stop.
type RunCancelled struct {
	Now    Moment
	Reason string
}

// RunExpired: the run's deadline passed.
type RunExpired struct{ Now Moment }

// RunEnded closes a run that is [State.Finished]. It is an event of its own
// because the commit that carries it also has to find no event waiting.
type RunEnded struct {
	Now Moment
	// Started has the starts of attempts that end with the run, by node, as far
	// as their claims told. Of nodes that a claim covers the state has them.
	Started map[int]Moment
}

// RunRetried begins a new generation of a run that ended otherwise than
// completed: what completed stays, the rest is tried again.
type RunRetried struct {
	Now      Moment
	Deadline Moment
}

func (NodeCompleted) event() {}
func (SwitchDecided) event() {}
func (MapExpanded) event()   {}
func (AttemptFailed) event() {}
func (NodeExpired) event()   {}
func (ClaimLost) event()     {}
func (NodeCovered) event()   {}
func (RunCancelled) event()  {}
func (RunExpired) event()    {}
func (RunEnded) event()      {}
func (RunRetried) event()    {}

// Verdict is what [Advance] made of an event.
type Verdict uint8

const (
	// Applied: the event took effect.
	Applied Verdict = iota + 1
	// Repeated: this very event took effect before; nothing changed.
	Repeated
	// Discarded: the event came too late to count. If the run is being
	// cancelled, the node is marked as having ended; otherwise nothing changed.
	Discarded
)

// String returns the verdict's name in lower case.
func (v Verdict) String() string {
	switch v {
	case Applied:
		return "applied"
	case Repeated:
		return "repeated"
	case Discarded:
		return "discarded"
	}
	return "no verdict"
}

// Changes tells what an event did.
type Changes struct {
	Verdict Verdict
	// Freed lists the nodes whose needs are met since this event, in order.
	Freed []int
}
