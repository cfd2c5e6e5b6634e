package workflow

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel"
)

// Graph is what a build function adds nodes to. It lives as long as the call
// of the build function, is not for use by several goroutines, and panics when
// used afterwards. The functions that build scopes, such as the branches of an
// [If], get graphs of their own, and may not use the one around.
type Graph struct {
	*whole
	outer *Graph // the graph around the scope, or nil
	inner *Graph // of the scope that is being built, or nil
	what  string // for messages: "the then branch of switch vip"
	at    place  // of the call that began the scope
	done  bool

	scope, branch int    // of the nodes
	prefix        string // of their names
}

// whole is what the graphs of one workflow have in common.
type whole struct {
	name  string
	made  place // of the call of New
	nodes []Node
	named map[string]place // where each node was made
	// tasks are those that the nodes run, in the order of their first use.
	tasks   []*contract
	inlines map[string]inline

	sources, edges int // of all nodes so far
	errs           []error
	reported       map[*contract]bool // contracts whose errors are in errs
}

// BuildError is a mistake in the building of a workflow or task and where it
// was made. It wraps [grapnel.ErrInvalid], or [grapnel.ErrTooLarge] for what is
// over a limit.
type BuildError struct {
	// File and Line are of the call that was wrong; for mistakes that concern
	// the whole graph, of the call of [New].
	File string
	Line int
	Err  error
}

// Error returns "file:line: " and what is wrong.
func (e *BuildError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns Err.
func (e *BuildError) Unwrap() error { return e.Err }

func newGraph(name string, at place) *Graph {
	return &Graph{what: "workflow " + name, at: at, whole: &whole{
		name: name, made: at,
		named: map[string]place{}, inlines: map[string]inline{}, reported: map[*contract]bool{},
	}}
}

// report records a mistake made at a place.
func (g *whole) report(at place, err error) {
	g.errs = append(g.errs, at.error(err))
}

// enter begins a call of a user into package workflow and returns its place.
func (g *Graph) enter() place {
	if g == nil {
		panic("workflow: nil *Graph")
	}
	if g.done {
		panic(fmt.Sprintf("workflow: graph of %s is used after its build function returned", g.what))
	}
	at := caller()
	if g.inner != nil {
		g.report(at, invalidf("the graph of %s is used inside of %s: use the graph that its function gets", g.what, g.inner.what))
	}
	return at
}

// accept returns e if it is an edge of this graph or of one around it, and
// otherwise reports that what is not.
func (g *Graph) accept(at place, what string, e *edge) *edge {
	switch {
	case e == nil:
		return g.invalid(at, invalidf("%s is the zero Value, which no graph made", what))
	case e.g.whole != g.whole:
		return g.invalid(at, invalidf("%s belongs to another graph, that of workflow %s made at %v", what, e.g.name, e.g.made))
	case !g.isIn(e.g):
		return g.invalid(at, invalidf("%s was made in %s, begun at %v, and is used outside of it: let the function there return it", what, e.g.what, e.g.at))
	}
	return e
}

// isIn reports whether g is the graph other or that of a scope inside of it.
func (g *Graph) isIn(other *Graph) bool {
	for ; g != nil; g = g.outer {
		if g == other {
			return true
		}
	}
	return false
}

// tooBig is what a graph panics with when it is over a limit, so that a build
// function that would go on for ever ends.
type tooBig struct{ err error }

func (t tooBig) String() string { return t.err.Error() }

// node is a node about to be added.
type newNode struct {
	Node
	what string // "task charge"
	in   *edge
	set  nodeSpec
}

// add adds a node and returns its output. A node with mistakes is added too, so
// that those who use it don't look mistaken as well.
func (g *Graph) add(at place, n newNode) *edge {
	if len(g.nodes) >= MaxNodes {
		g.abort(at, tooManyNodes(g.name))
	}
	n.nameIt(g, at)
	n.Scope, n.Branch = g.scope, g.branch
	if n.Kind == KindInline {
		n.Task = n.Name // two nodes of one name could hold different closures
	}
	for _, err := range n.set.errs {
		if err != nil {
			g.report(at, fmt.Errorf("%s: %w", n.what, err))
		}
	}
	in := g.accept(at, "input of "+n.what, n.in)
	needs := map[int]bool{}
	in.from.Nodes(needs)
	for _, d := range n.set.after {
		if d == nil {
			g.report(at, invalidf("%s comes after nil", n.what))
			continue
		}
		g.accept(at, "what "+n.what+" comes after", d.dependency()).from.Nodes(needs)
	}
	n.Input, n.Needs, n.Policy = in.from, slices.Sorted(maps.Keys(needs)), n.set.policy
	g.count(at, in)
	if g.edges += len(n.Needs); g.edges > MaxEdges {
		g.abort(at, tooManyEdges(g.name))
	}
	g.nodes = append(g.nodes, n.Node)
	return &edge{g: g, from: Source{Kind: SourceNode, Node: len(g.nodes) - 1}, size: 1, depth: 1}
}

// nameIt gives n its name, the one of ID before its own. A name that is no name
// was reported by whoever made it.
func (n *newNode) nameIt(g *Graph, at place) {
	if n.set.named {
		n.Name = n.set.id
		n.what = fmt.Sprintf("node %s (%s)", n.set.id, n.what)
		if err := grapnel.ValidateName("node", n.Name); err != nil {
			g.report(at, err)
			return
		}
	}
	if g.prefix != "" && n.Name != "" {
		n.Name = g.prefix + n.Name
		if len(n.Name) > grapnel.MaxName {
			g.report(at, invalidf("%s: with the names of the scopes around it, its name %s has %d bytes, at most %d are allowed", n.what, n.Name, len(n.Name), grapnel.MaxName))
			return
		}
	}
	if first, ok := g.named[n.Name]; ok && n.Name != "" {
		hint := "name one of them with workflow.ID"
		if n.set.named {
			hint = "choose another ID"
		}
		g.report(at, invalidf("%s: there is a node named %s already, made at %v: %s", n.what, n.Name, first, hint))
		return
	}
	g.named[n.Name] = at
}

// count adds the sources of a node's input, or of the output, to the total.
func (g *whole) count(at place, e *edge) {
	if g.sources += e.size; g.sources > MaxSources {
		g.abort(at, tooManySources())
	}
}

func (g *whole) abort(at place, err error) {
	g.report(at, err)
	panic(tooBig{err})
}

// place is a line of a user's code.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

func (p place) error(err error) error { return &BuildError{File: p.file, Line: p.line, Err: err} }

// packagePrefix begins the names of this package's functions in a stack.
var packagePrefix = reflect.TypeFor[Graph]().PkgPath() + "."

// caller returns the innermost place on the stack that is neither in this
// package nor in the runtime, which is there between a panic and its cause.
func caller() place {
	pcs := make([]uintptr, 32)
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs)
		if n == 0 {
			return place{file: "unknown"}
		}
		frames := runtime.CallersFrames(pcs[:n])
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if f.Function != "" && !strings.HasPrefix(f.Function, packagePrefix) && !strings.HasPrefix(f.Function, "runtime.") {
				return place{f.File, f.Line}
			}
		}
	}
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", grapnel.ErrInvalid, fmt.Errorf(format, args...))
}
