package workflow

import (
	"fmt"
	"time"
)

// Definition is a workflow as data: what [New] makes of Go code, what is
// persisted, and what [Advance] reads. It is not modified once built.
type Definition struct {
	// Name and Version are the workflow's. The version is a label for people;
	// what tells two definitions apart is Hash.
	Name    string
	Version string
	// Nodes in an order in which each comes after all that it needs. A node's
	// key is its index.
	Nodes []Node
	// Output says how the run's output is made.
	Output Source
	// InType and OutType name the types of input and output, for messages.
	InType  string
	OutType string
	// Policy is what may change under a running run.
	Policy RunPolicy

	dependents [][]int32 // by node, the nodes that need it
	scopes     scopes
	hash       string
}

// RunPolicy is the part of a definition that concerns whole runs and is not
// part of its identity.
type RunPolicy struct {
	// Queue is where inline nodes are offered that nobody evaluated in passing,
	// and the queue of tasks that name none. Empty means [DefaultQueue].
	Queue string
	// Timeout ends a run that has been running for so long; zero is no limit.
	Timeout time.Duration
	// Priority is 1 (first) to 5; zero means [DefaultPriority].
	Priority int
}

// Defaults of policies.
const (
	DefaultQueue     = "default"
	DefaultPriority  = 3
	DefaultMaxLosses = 5
)

// NodeKind says what a node does.
type NodeKind uint8

// Kinds of nodes. The numbers are persisted.
const (
	// KindTask runs a registered task.
	KindTask NodeKind = 1
	// KindInline evaluates a pure function of the workflow.
	KindInline NodeKind = 2
	// KindExpr evaluates an expression, which is data: see [Evaluator].
	KindExpr NodeKind = 3
	// KindSwitch holds branches of which it picks at most one.
	KindSwitch NodeKind = 4
	// KindMap holds a body that is instantiated for each item of a list.
	KindMap NodeKind = 5
)

// Node is a place in the graph.
type Node struct {
	Kind NodeKind
	// Name is unique in the definition: the task's or the inline function's
	// name, or the one given with [ID]. [New] begins the names of nodes in a
	// scope with the holder's, and of those in a switch with the branch's:
	// "each.resize", "paid.then.mail".
	Name string
	// Task names the task to run or the inline function to evaluate. Of a
	// KindExpr it is the language, such as "cel"; holders of scopes have none.
	Task string
	// Expr is the source text of a KindExpr.
	Expr string
	// Scope is 0 for a node at the top, or else 1 more than the index of its
	// holder, the KindSwitch or KindMap whose scope the node is in. The nodes of
	// a scope, and of the scopes in it, follow their holder directly.
	Scope int
	// Branch is the index of the holder's branch that the node belongs to. Among
	// the nodes of one scope it does not fall.
	Branch int
	// Branches are what a holder holds: the branches of a KindSwitch, or the one
	// body of a KindMap. A holder's time-outs end with its decision.
	Branches []Branch
	// Exhaustive makes a KindSwitch fail for good, with [KindNoBranch], when no
	// branch has its key. Otherwise it ends as skipped then.
	Exhaustive bool
	// Input says how the node's input is made. Of a KindExpr it is the
	// environment, a JSON object; of a KindSwitch the key, a JSON string, number
	// or bool; of a KindMap the list, where null is an empty one.
	Input Source
	// Needs lists, ascending and without repetition, the nodes that must have
	// ended before this one starts: those its input reads and those of [After].
	// They are nodes before it of its own scope and branch, or of the scopes
	// around that.
	Needs []int
	// InType and OutType name the types of input and output.
	InType  string
	OutType string
	// Policy is what may change under a running run.
	Policy Policy
}

// Policy is the part of a node that is not part of its identity. Each zero
// field means "no limit" unless it says otherwise.
type Policy struct {
	Retry RetryPolicy
	// ScheduleToStart fails the node for good if no attempt has started so long
	// after the node became available.
	ScheduleToStart time.Duration
	// StartToClose fails an attempt that takes longer; it is then retried as
	// Retry allows.
	StartToClose time.Duration
	// ScheduleToClose fails the node for good so long after it first became
	// available, however many attempts that was.
	ScheduleToClose time.Duration
	// Heartbeat fails an attempt that has not called task.Heartbeat for so
	// long.
	Heartbeat time.Duration
	// Priority is 1 (first) to 5; zero means the run's.
	Priority int
	// Queue is where the node is offered; empty means the workflow's.
	Queue string
	// Tags must all be among a worker's tags.
	Tags []string
	// Version must be the one that the worker has the task in; empty means any.
	Version string
	// MaxLosses is how many lost claims fail the node for good; zero means
	// [DefaultMaxLosses].
	MaxLosses int
	// Parallel is how many items of a KindMap may be under way at a time, first
	// items first; zero means all of them.
	Parallel int
}

// RetryPolicy says how often and when a failed attempt is repeated. A lost
// claim is not a failed attempt.
type RetryPolicy struct {
	// Attempts is how many attempts may fail before the node fails for good;
	// zero and one mean the first. Negative means no limit.
	Attempts int
	// Backoff is the delay before the second attempt; zero means 1 s.
	Backoff time.Duration
	// Factor multiplies the delay from attempt to attempt; zero means 2, and
	// values below 1 count as 1.
	Factor float64
	// MaxBackoff caps the delay, before jitter; zero means 100 times Backoff.
	MaxBackoff time.Duration
	// Jitter is the part of the delay, 0 to 1, that is random: with 0.2 the
	// delay is between 0.8 and 1.0 of what it would be. Zero means none.
	Jitter float64
	// NonRetryable lists kinds of failures that end the node at once.
	NonRetryable []string
}

// Delay returns how long to wait before the attempt that follows the failed
// one numbered attempt, from 1. Random is in [0, 1) and decides the jitter.
func (p RetryPolicy) Delay(attempt int, random float64) time.Duration {
	base, factor, most := p.Backoff, p.Factor, p.MaxBackoff
	if base <= 0 {
		base = time.Second
	}
	if factor == 0 {
		factor = 2
	}
	factor = max(factor, 1)
	if most <= 0 {
		most = 100 * base
	}
	d := float64(base)
	for i := 1; i < attempt && d < float64(most); i++ {
		d *= factor
	}
	d = min(d, float64(most))
	return time.Duration(d * (1 - min(max(p.Jitter, 0), 1)*random))
}

// Node returns the node at index i, or an error if there is none.
func (d *Definition) Node(i int) (*Node, error) {
	if i < 0 || i >= len(d.Nodes) {
		return nil, fmt.Errorf("workflow %s has no node %d", d.Name, i)
	}
	return &d.Nodes[i], nil
}

// Queue returns where node i is offered.
func (d *Definition) Queue(i int) string {
	for _, q := range []string{d.Nodes[i].Policy.Queue, d.Policy.Queue} {
		if q != "" {
			return q
		}
	}
	return DefaultQueue
}
