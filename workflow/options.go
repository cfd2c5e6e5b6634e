package workflow

import (
	"slices"
	"time"
)

// TaskOption is a setting of a task's contract: a default for the nodes that
// run it.
type TaskOption interface{ applyTask(*contract) }

// NodeOption is a setting of one node that runs a task. It goes before the
// contract's.
type NodeOption interface{ applyNode(*nodeSpec) }

// InlineOption is a setting of an inline node. Being pure and quick, such nodes
// have neither retries nor time-outs.
type InlineOption interface {
	NodeOption
	inlineToo()
}

// Option is a setting of a workflow.
type Option interface{ applyWorkflow(*flowSpec) }

// Options that are valid in several places.
type (
	// PolicyOption is for tasks' contracts and for the nodes that run tasks.
	PolicyOption interface {
		TaskOption
		NodeOption
	}
	// AfterOption is for nodes of every kind, and for maps.
	AfterOption interface {
		InlineOption
		MapOption
	}
	// VersionOption is for contracts, nodes that run tasks, and workflows.
	VersionOption interface {
		PolicyOption
		Option
	}
	// TagsOption is for contracts and for nodes of every kind.
	TagsOption interface {
		TaskOption
		InlineOption
	}
	// OfferOption is for contracts, nodes of every kind, and workflows.
	OfferOption interface {
		TagsOption
		Option
	}
)

// nodeSpec is what the options of a node set.
type nodeSpec struct {
	id     string
	named  bool
	after  []Dep
	policy Policy
	errs   []error
}

// flowSpec is what the options of a workflow set.
type flowSpec struct {
	version string
	policy  RunPolicy
	errs    []error
}

// ID names a node. It is needed when a task or inline function appears twice in
// a graph: names are part of a definition's identity, and numbering would
// rename nodes whenever one is inserted. An inline function is looked up by the
// name of its node, so ID renames it, too.
func ID(name string) InlineOption { return idOption(name) }

type idOption string

func (o idOption) applyNode(n *nodeSpec) { n.id, n.named = string(o), true }
func (idOption) inlineToo()              {}

// After makes a node wait until all nodes that the values are made from have
// ended, without passing their outputs to it.
func After(d ...Dep) AfterOption { return afterOption(d) }

type afterOption []Dep

func (o afterOption) applyNode(n *nodeSpec) { n.after = append(n.after, o...) }
func (afterOption) inlineToo()              {}

// Retry sets the whole retry policy. Without it a task is attempted once.
func Retry(r RetryPolicy) PolicyOption {
	r.NonRetryable = slices.Clone(r.NonRetryable)
	return policyOption(func(p *Policy) { p.Retry = r })
}

// ScheduleToStart fails a node for good if no attempt has started so long after
// it became available; zero is no limit.
func ScheduleToStart(d time.Duration) PolicyOption {
	return policyOption(func(p *Policy) { p.ScheduleToStart = d })
}

// StartToClose fails an attempt that takes longer; it is then retried as
// [Retry] allows. Zero is no limit.
func StartToClose(d time.Duration) PolicyOption {
	return policyOption(func(p *Policy) { p.StartToClose = d })
}

// ScheduleToClose fails a node for good so long after it first became
// available, however many attempts that was; zero is no limit.
func ScheduleToClose(d time.Duration) PolicyOption {
	return policyOption(func(p *Policy) { p.ScheduleToClose = d })
}

// Heartbeat fails an attempt that has not called task.Heartbeat for so long; it
// is then retried as [Retry] allows. Zero asks for no heartbeats.
func Heartbeat(d time.Duration) PolicyOption {
	return policyOption(func(p *Policy) { p.Heartbeat = d })
}

// MaxLosses sets how many lost claims, of workers that died, fail the node for
// good; zero means [DefaultMaxLosses].
func MaxLosses(n int) PolicyOption {
	return policyOption(func(p *Policy) { p.MaxLosses = n })
}

type policyOption func(*Policy)

func (o policyOption) applyTask(c *contract) { o(&c.policy) }
func (o policyOption) applyNode(n *nodeSpec) { o(&n.policy) }

// Tags sets what a worker's tags must include to be offered a node. It replaces
// the contract's tags; none at all removes them.
func Tags(tags ...string) TagsOption { return tagsOption(slices.Clone(tags)) }

type tagsOption []string

func (o tagsOption) applyTask(c *contract) { c.policy.Tags = o }
func (o tagsOption) applyNode(n *nodeSpec) { n.policy.Tags = o }
func (tagsOption) inlineToo()              {}

// Version is, in a task's contract, the version of the task, which a worker
// must have to run a node of it; on a node, another one; in a workflow, a label
// for people. Empty is any version, or no label.
func Version(v string) VersionOption { return versionOption(v) }

type versionOption string

func (o versionOption) applyTask(c *contract)     { c.policy.Version = string(o) }
func (o versionOption) applyNode(n *nodeSpec)     { n.policy.Version = string(o) }
func (o versionOption) applyWorkflow(w *flowSpec) { w.version = string(o) }

// Queue sets where a node is offered: only workers that serve the queue get it.
// In a workflow it is the queue of the nodes that name none themselves, nor in
// their tasks' contracts; the default there is [DefaultQueue].
func Queue(name string) OfferOption { return queueOption(name) }

type queueOption string

func (o queueOption) applyTask(c *contract)     { c.policy.Queue = string(o) }
func (o queueOption) applyNode(n *nodeSpec)     { n.policy.Queue = string(o) }
func (o queueOption) applyWorkflow(w *flowSpec) { w.policy.Queue = string(o) }
func (queueOption) inlineToo()                  {}

// Priority is 1 (first) to 5. In a workflow it is the priority of the nodes
// that have none themselves; the default there is [DefaultPriority].
func Priority(p int) OfferOption { return priorityOption(p) }

type priorityOption int

func (o priorityOption) check() (int, []error) {
	if o < 1 || o > 5 {
		return 0, []error{priorityError(int(o))}
	}
	return int(o), nil
}

func (o priorityOption) applyTask(c *contract) {
	p, errs := o.check()
	c.policy.Priority, c.wrong = p, append(c.wrong, errs...)
}

func (o priorityOption) applyNode(n *nodeSpec) {
	p, errs := o.check()
	n.policy.Priority, n.errs = p, append(n.errs, errs...)
}

func (o priorityOption) applyWorkflow(w *flowSpec) {
	p, errs := o.check()
	w.policy.Priority, w.errs = p, append(w.errs, errs...)
}

func (priorityOption) inlineToo() {}

// RunTimeout ends a run that has been running for so long; zero is no limit.
func RunTimeout(d time.Duration) Option { return timeoutOption(d) }

type timeoutOption time.Duration

func (o timeoutOption) applyWorkflow(w *flowSpec) { w.policy.Timeout = time.Duration(o) }

func priorityError(p int) error {
	return invalidf("priority %d is not 1 (first) to 5", p)
}

// apply applies the options of one place, none of which may be nil.
func apply[O any](options []O, to func(O)) []error {
	var errs []error
	for i, o := range options {
		if any(o) == nil {
			errs = append(errs, invalidf("option %d is nil", i+1))
			continue
		}
		to(o)
	}
	return errs
}
