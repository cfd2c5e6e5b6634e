// Package workflow is for authoring workflows: typed Go code that builds a
// graph, which is data. It also holds the state machine, [Advance], that moves
// a run through its graph.
//
// A workflow is a graph of nodes. Some run tasks, which are functions of the
// user's that workers execute, with retries and time-outs; others are inline
// functions, small decisions in between. The edges are [Value]s: a Value[T]
// stands for a T that will be there when a run gets to it. So the compiler
// checks every edge, and nothing runs while a graph is built:
//
//	type V[T any] = workflow.Value[T]
//
//	var (
//		charge = workflow.NewTask[Payment, Receipt]("charge", workflow.StartToClose(10*time.Second))
//		mail   = workflow.NewTask[Mail, workflow.None]("mail")
//	)
//
//	var orders = workflow.New("order", func(g *workflow.Graph, in V[Order]) V[Receipt] {
//		receipt := workflow.Do(g, charge, workflow.Field(in, func(o *Order) *Payment { return &o.Payment }))
//		workflow.Do(g, mail, workflow.Struct(g, "thanks", func(s *workflow.Setter, m *Mail) {
//			m.Subject = "Thank you"
//			workflow.Set(s, &m.To, workflow.Field(in, func(o *Order) *string { return &o.Email }))
//		}), workflow.After(receipt))
//		return receipt
//	})
//
// There is no replay and there are no rules of determinism for tasks: every
// node that completes is a checkpoint.
//
// # Values as data
//
// All values are JSON. [Field], [Struct], [Gather] and [Const] are data: they
// become part of the definition, and any process makes the values, without the
// user's code. Constants, outputs of nodes, and the input and output of a run
// are at most [grapnel.MaxPayload] long; what is put together from them for the
// input of a node, [MaxEvaluated].
//
// # Inline functions
//
// What cannot be data is Go code of the workflow: [Inline]. Such a function
// must be pure, because it may be evaluated more than once, by different
// processes, of which one result is kept; and total, because it fails its node
// for good when it panics. It is evaluated by whichever process completes what
// it needs, if that process serves the workflow, and otherwise by a worker that
// does. A coordinator never runs it.
//
// # Mistakes
//
// Neither [New] nor [NewTask] panics or returns an error, so that workflows and
// tasks can be package-level variables. All mistakes are collected, each a
// [*BuildError] with the file and line of the call that made it: see
// [Workflow.Err]. Workers and clients refuse a workflow that has any.
//
// # Identities
//
// Three things that may change separately are kept apart:
//
//   - The topology hash, [Definition.Hash], covers the names, tasks, types and
//     edges of all nodes. A run stays with the definition it was started with;
//     with another hash it is another definition, for new runs.
//   - The policy, [Policy] and [RunPolicy]: time-outs, retries, priorities,
//     queues, tags. It may change under a running run.
//   - The code of tasks and inline functions, which is found by name (and
//     version) and by types. Whether a new build may serve old runs is whether
//     it still has the names and types that their definitions ask for.
//
// So a node's name must not depend on how many nodes there are: the same task
// twice needs an [ID].
package workflow
