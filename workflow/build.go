package workflow

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/grapnel-dev/grapnel"
)

// Workflow is a workflow with an input of type In and an output of type Out:
// its definition and the code of its inline functions. [New] makes it, usually
// for a package-level variable; it is not modified afterwards, and may be used
// by any number of goroutines.
type Workflow[In, Out any] struct {
	_ [0]*In
	_ [0]*Out
	f *flow
}

// Any is a [Workflow] of any types, as a worker serves it and a client starts
// it.
type Any interface {
	// Name returns the workflow's name.
	Name() string
	// Definition returns the definition, which is not to be modified, or Err.
	Definition() (*Definition, error)
	// Err returns every mistake in the workflow, joined, or nil.
	Err() error
	// Inline returns the inline function of the node with this name.
	Inline(name string) (InlineFunc, bool)
	// InlineFor returns the inline function for a node of a definition that
	// another build of the workflow may have made: ok is false unless there is
	// one of its name and its types.
	InlineFor(n *Node) (fn InlineFunc, ok bool)
	// Tasks returns the tasks that the nodes run, in the order of their first
	// use.
	Tasks() []AnyTask
}

// flow is a Workflow without its types.
type flow struct {
	name    string
	def     *Definition
	err     error
	inlines map[string]inline
	tasks   []AnyTask
}

// New makes a workflow. It calls build once, at once, with the graph to add
// nodes to and the run's input, and takes the value that build returns for the
// run's output. A run ends when all nodes have ended, whether or not the output
// is made from them.
//
// New never panics. Mistakes, a panic of build included, are collected with the
// place of the call that made them: see [Workflow.Err]. Workers and clients
// refuse a workflow with mistakes, too.
func New[In, Out any](name string, build func(g *Graph, in Value[In]) Value[Out], o ...Option) *Workflow[In, Out] {
	g := newGraph(name, caller())
	def := &Definition{Name: name, InType: typeName[In](), OutType: typeName[Out]()}
	g.checkFlow(reflect.TypeFor[In](), reflect.TypeFor[Out]())
	g.protect(func() { g.configure(def, o) })
	if build == nil {
		g.report(g.made, invalidf("the build function is nil"))
	} else {
		g.protect(func() {
			in := Value[In]{e: g.value(g.made, Source{Kind: SourceInput})}
			out := g.accept(g.made, "what the build function returns", build(g, in).e)
			g.count(g.made, out)
			def.Output = out.from
		})
	}
	return &Workflow[In, Out]{f: g.finish(def)}
}

func (g *Graph) checkFlow(in, out reflect.Type) {
	for _, err := range []error{
		grapnel.ValidateName("workflow", g.name), checkType("input", in), checkType("output", out),
	} {
		if err != nil {
			g.report(g.made, err)
		}
	}
}

func (g *Graph) configure(def *Definition, o []Option) {
	var set flowSpec
	errs := apply(o, func(o Option) { o.applyWorkflow(&set) })
	errs = append(errs, set.errs...)
	errs = append(errs, set.policy.problems()...)
	errs = append(errs, validName("version", set.version))
	for _, err := range errs {
		if err != nil {
			g.report(g.made, err)
		}
	}
	def.Version, def.Policy = set.version, set.policy
}

// protect calls f, which calls user code, and makes a panic a mistake at the
// place where it happened.
func (g *Graph) protect(f func()) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil:
		case tooBig: // reported
		default:
			g.report(caller(), invalidf("the build function panics: %v", r))
		}
	}()
	f()
}

// finish closes the graph.
func (g *Graph) finish(def *Definition) *flow {
	g.done = true
	f := &flow{name: g.name, inlines: g.inlines}
	for _, c := range g.tasks {
		f.tasks = append(f.tasks, c.erased())
	}
	if len(g.errs) == 0 {
		def.Nodes = g.nodes
		if err := def.Seal(); err != nil {
			g.report(g.made, err)
		}
	}
	if len(g.errs) > 0 {
		f.err = fmt.Errorf("workflow %s cannot be built:\n%w", g.name, errors.Join(g.errs...))
		return f
	}
	f.def = def
	return f
}

// Name returns the workflow's name.
func (w *Workflow[In, Out]) Name() string { return w.flow().name }

// Definition returns the definition, which is not to be modified, or
// [Workflow.Err].
func (w *Workflow[In, Out]) Definition() (*Definition, error) { return w.flow().def, w.flow().err }

// Err returns every mistake in the workflow, each a *[BuildError] with file and
// line, joined; or nil.
func (w *Workflow[In, Out]) Err() error { return w.flow().err }

// Inline returns the inline function of the node with this name.
func (w *Workflow[In, Out]) Inline(name string) (InlineFunc, bool) {
	f, ok := w.flow().inlines[name]
	return f.fn, ok
}

// InlineFor returns the inline function for a node of a definition that another
// build of the workflow may have made: ok is false unless there is one of its
// name and its types.
func (w *Workflow[In, Out]) InlineFor(n *Node) (fn InlineFunc, ok bool) {
	f, ok := w.flow().inlines[n.Task]
	if !ok || n.Kind != KindInline || f.in != n.InType || f.out != n.OutType {
		return nil, false
	}
	return f.fn, true
}

// Tasks returns the tasks that the nodes run, in the order of their first use.
func (w *Workflow[In, Out]) Tasks() []AnyTask { return slices.Clone(w.flow().tasks) }

// flow returns w without its types; of a Workflow that New didn't make, one that
// says so.
func (w *Workflow[In, Out]) flow() *flow {
	if w == nil || w.f == nil {
		return &flow{err: invalidf("nil or zero Workflow, which New did not make")}
	}
	return w.f
}
