package workflow

import (
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
)

// Moment is a point in time as state keeps it: Unix milliseconds on the shard's
// clock. Zero is no time.
type Moment int64

// MomentOf returns t as a Moment; the zero time gives zero.
func MomentOf(t time.Time) Moment {
	if t.IsZero() {
		return 0
	}
	return Moment(t.UnixMilli())
}

// Time returns m in UTC; zero gives the zero time.
func (m Moment) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// Add returns the moment d later, rounded up to a millisecond.
func (m Moment) Add(d time.Duration) Moment {
	return m + Moment((d+time.Millisecond-1)/time.Millisecond)
}

// Sub returns the time from o to m.
func (m Moment) Sub(o Moment) time.Duration { return time.Duration(m-o) * time.Millisecond }

// State is where a run stands in its graph. [Advance] is the only thing that
// changes it. The exported fields are what is persisted; the rest follows from
// them and the definition.
type State struct {
	Status grapnel.RunStatus
	// Generation is how often the run was retried after it had ended.
	Generation int
	// Clock is the largest time that was ever written into this state.
	Clock Moment
	// Started is when the run was started; Deadline when it times out, or zero;
	// Ended when it ended, or zero.
	Started  Moment
	Deadline Moment
	Ended    Moment
	// Cause is the first failure, or nil. From then on nothing starts.
	Cause *Failure
	// Nodes has an entry for each slot: first one for each node of the
	// definition, then, for each of Expansions, those of the instances of the
	// map's body. What is called a node by its number in events and the like is
	// the number of its slot, which never changes while the run exists.
	Nodes []NodeState
	// Expansions are the maps whose lists are known, in the order in which they
	// became so.
	Expansions []Expansion

	def    *Definition
	blocks []block // by expansion
	// unmet is, by slot, how many of the node's needs have not ended, among them
	// that the switch it is in picks its branch; of a holder that has been
	// decided, how many parts of its scope have not. Templates have 1.
	unmet    []int32
	itemLeft []int32 // by item of all expansions, how many nodes have not ended
	open     int     // nodes that have not ended
	ready    int     // nodes that are ready as long as the run is running
}

// NodeState is where a node stands.
type NodeState struct {
	Status grapnel.NodeStatus
	// Choice is what a holder has decided: of a switch the branch it has picked,
	// of a map the index of its expansion, each plus one. Zero is nothing yet. The
	// node completes when all in its scope have ended.
	Choice int
	// Recorded is set when the output is in a record of its own and Output is
	// empty.
	Recorded bool
	// Output is the output, as JSON, once the node has completed. Holders have
	// none: what they come to is made from the nodes in their scope.
	Output []byte
	// Fence is the one under which the last outcome, be it a failed attempt,
	// was committed.
	Fence grapnel.Fence
	// Available is when the node last became available, or, in the future, when
	// its next attempt may start. Since is when it first became available.
	// Both are zero until its needs are met.
	Available Moment
	Since     Moment
	// Started is when the attempt that ended the node, or ended with it,
	// started, or, of a covered node, when its attempt started. Finished is when
	// the node ended.
	Started  Moment
	Finished Moment
	// Cover tells which claim covers the node, if it was chained to another
	// one. It means nothing once that claim is gone.
	Cover Cover
	// Trouble is nil for a node that never failed and was never lost.
	Trouble *Trouble
	// Unknown holds fields that a newer version persisted.
	Unknown []byte
}

// Cover names the claim that covers a chained node.
type Cover struct {
	Node  int // whose claim key it is
	Fence grapnel.Fence
}

// Trouble is what went wrong with a node.
type Trouble struct {
	// Failures is how many attempts failed; Losses how many claims were lost.
	// Both begin anew with a generation.
	Failures int
	Losses   int
	// LossFence is the largest fence whose loss was counted.
	LossFence grapnel.Fence
	// LostBy names the workers whose claims were lost, oldest first.
	LostBy []string
	// Last is the last failure.
	Last *Failure
}

// Failure says why an attempt, node or run failed.
type Failure struct {
	// Kind is a word for programs: one of the Kind constants, or the one given
	// to task.Fail.
	Kind string
	// Message is for people.
	Message string
	// Stack is the stack of a panic.
	Stack string
	// Node and Attempt tell where it happened; Node is a slot, or -1 if it was at
	// no node.
	Node    int
	Attempt int
	// Permanent is set when the failure must not be retried whatever the
	// policy.
	Permanent bool
	// Unknown holds fields that a newer version persisted.
	Unknown []byte
}

// Kinds of failures that Grapnel itself reports.
const (
	KindError           = "error"
	KindPanic           = "panic"
	KindLost            = "lost"
	KindTooLarge        = "output-too-large"
	KindBadInput        = "bad-input"
	KindBadOutput       = "bad-output"
	KindScheduleToStart = "timeout-schedule-to-start"
	KindStartToClose    = "timeout-start-to-close"
	KindScheduleToClose = "timeout-schedule-to-close"
	KindHeartbeat       = "timeout-heartbeat"
	KindRunTimeout      = "timeout-run"
	// KindBadExpression: an expression does not compile or cannot be evaluated.
	KindBadExpression = "bad-expression"
	// KindNoBranch: no branch of an exhaustive switch has the key.
	KindNoBranch = "no-branch"
	// KindTooManyItems: a map's list is longer than [MaxItems], or the run would
	// have more than [MaxSlots] nodes.
	KindTooManyItems = "too-many-items"
	KindCancelled    = "cancelled"
)

// Attempt returns the number, from 1, of the attempt that is current while the
// node is pending, and of its last one afterwards.
func (n *NodeState) Attempt() int {
	if n.Trouble == nil {
		return 1
	}
	a := n.Trouble.Failures + n.Trouble.Losses
	if n.Status == grapnel.NodePending || n.Status == grapnel.NodeCompleted {
		a++
	}
	return max(a, 1)
}

// current reports whether an attempt with this number is the one under way. Of
// losses that came before it some may have been counted only since it began:
// then its number is lower than the node's, but not as low as that of an attempt
// that has failed.
func (n *NodeState) current(attempt int) bool {
	failures := 0
	if n.Trouble != nil {
		failures = n.Trouble.Failures
	}
	lowest := failures + 1
	if mutation.On(mutation.LossRenumbersAttempt) {
		lowest = n.Attempt()
	}
	return attempt >= lowest && attempt <= n.Attempt()
}
