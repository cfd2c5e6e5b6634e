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
// # Branches and maps
//
// [If], [When], [Switch] and [Map] add scopes: graphs of their own, built by
// functions that are called once, while the graph around is built. Such a
// function adds nodes to the graph it gets, may use values of the graphs around,
// and returns the value of the scope:
//
//	sizes := workflow.Map(g, "each", files, func(g *workflow.Graph, f V[File]) V[int] {
//		return workflow.If(g, "large", workflow.Inline(g, "is-large", isLarge, f),
//			func(g *workflow.Graph) V[int] { return workflow.Do(g, resize, f) },
//			func(g *workflow.Graph) V[int] { return workflow.Const(g, 0) })
//	}, workflow.Parallel(8))
//
// To use the graph around inside of a scope, or a value outside of the scope that
// made it, is a mistake. In the definition all nodes are one list; those of a
// scope follow the node that holds it. A run takes one branch of a switch, and
// the nodes of the others end as skipped; it has the nodes of a map's body once
// for each item. What comes after a scope waits for all that is in it. When a
// node in a scope fails for good, the run fails.
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
