package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Middleware wraps the execution of a task, in its encoded form. The context
// carries what package task reads.
type Middleware func(next workflow.Handler) workflow.Handler

// Handle makes fn the implementation of a task. Middleware is called in the
// order given, the first outermost. A task may be registered in several
// versions; a node that asks for none gets the one registered last. Mistakes are
// returned by [Worker.Run], before which all registration has to be done.
func Handle[In, Out any](w *Worker, t workflow.Task[In, Out], fn func(context.Context, In) (Out, error), mw ...Middleware) {
	if err := t.Err(); err != nil {
		w.reg.mistake(err)
		return
	}
	if fn == nil {
		w.reg.mistake(fmt.Errorf("%w: task %s: nil function", grapnel.ErrInvalid, t.Name()))
		return
	}
	w.reg.handle(t.Name(), t.Version(), wrap(t.Handler(fn), mw))
}

// HandleRaw makes fn, which takes and returns JSON, the implementation of the
// task of this name and version, which may be empty. Output that is not JSON, or
// over [grapnel.MaxPayload], fails the node for good; no output at all is null.
// Otherwise it is like [Handle].
func (w *Worker) HandleRaw(name, version string, fn workflow.Handler, mw ...Middleware) {
	if err := grapnel.ValidateName("task", name); err != nil {
		w.reg.mistake(err)
		return
	}
	if fn == nil {
		w.reg.mistake(fmt.Errorf("%w: task %s: nil function", grapnel.ErrInvalid, name))
		return
	}
	w.reg.handle(name, version, wrap(fn, mw))
}

func wrap(h workflow.Handler, mw []Middleware) workflow.Handler {
	for _, m := range slices.Backward(mw) {
		h = m(h)
	}
	return h
}

// Serve makes the worker announce the definitions of workflows, evaluate their
// inline functions, also for definitions that other builds of the same workflow
// made as far as the functions are still there, and execute those of their tasks
// that were made with [workflow.TaskFunc], unless [Handle] names another
// implementation. Mistakes are returned by [Worker.Run].
func (w *Worker) Serve(wfs ...workflow.Any) {
	for _, wf := range wfs {
		if wf == nil {
			w.reg.mistake(fmt.Errorf("%w: nil workflow served", grapnel.ErrInvalid))
			continue
		}
		w.reg.serve(wf)
	}
}

// registry is what a worker can execute. It does not change any more once Run
// has begun.
type registry struct {
	mu        sync.Mutex
	sealed    bool                     // guarded by mu, like all below until it is set
	errs      []error                  //
	tasks     map[string]*taskVersions //
	workflows map[string]workflow.Any  // by name

	evaluators map[string]workflow.Evaluator // by language; not modified
}

// taskVersions are the implementations of one task.
type taskVersions struct {
	handlers map[string]implementation
	latest   string // the version registered last
}

type implementation struct {
	run workflow.Handler
	// from is the task that brought the implementation along; nil for one that
	// was registered by itself.
	from workflow.AnyTask
}

func newRegistry(evaluators []workflow.Evaluator) *registry {
	r := &registry{tasks: map[string]*taskVersions{}, workflows: map[string]workflow.Any{}, evaluators: map[string]workflow.Evaluator{}}
	for _, e := range evaluators {
		r.evaluators[e.Language()] = e
	}
	return r
}

// languages returns the languages whose expressions can be evaluated.
func (r *registry) languages() []string { return slices.Sorted(maps.Keys(r.evaluators)) }

// change calls f, or panics if it is too late for changes.
func (r *registry) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sealed {
		panic("worker: registration after Run has begun")
	}
	f()
}

func (r *registry) mistake(err error) { r.change(func() { r.errs = append(r.errs, err) }) }

func (r *registry) handle(name, version string, h workflow.Handler) {
	r.change(func() { r.add(name, version, implementation{run: h}) })
}

func (r *registry) serve(wf workflow.Any) {
	r.change(func() {
		if err := wf.Err(); err != nil {
			r.errs = append(r.errs, err)
			return
		}
		if other, ok := r.workflows[wf.Name()]; ok && other != wf {
			r.errs = append(r.errs, fmt.Errorf("%w: two workflows named %s are served", grapnel.ErrInvalid, wf.Name()))
			return
		}
		r.workflows[wf.Name()] = wf
		for _, t := range wf.Tasks() {
			if h, ok := t.Implementation(); ok {
				r.add(t.Name(), t.Version(), implementation{run: h, from: t})
			}
		}
	})
}

// add registers an implementation. One registered by itself goes before one that
// a workflow brings along.
func (r *registry) add(name, version string, impl implementation) {
	t := r.tasks[name]
	if t == nil {
		t = &taskVersions{handlers: map[string]implementation{}}
		r.tasks[name] = t
	}
	old, ok := t.handlers[version]
	switch {
	case !ok, old.from != nil && impl.from == nil:
		t.handlers[version] = impl
		t.latest = version
	case old.from == nil && impl.from != nil, old.from != nil && old.from == impl.from:
	default:
		r.errs = append(r.errs, fmt.Errorf("%w: task %s has two implementations in version %q", grapnel.ErrInvalid, name, version))
	}
}

// seal ends registration, once, and returns all mistakes made in it.
func (r *registry) seal() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sealed {
		return fmt.Errorf("%w: Run was called before", grapnel.ErrInvalid)
	}
	r.sealed = true
	return errors.Join(r.errs...)
}

// versions returns the versions in which each task is there.
func (r *registry) versions() map[string][]string {
	versions := make(map[string][]string, len(r.tasks))
	for name, t := range r.tasks {
		for v := range t.handlers {
			versions[name] = append(versions[name], v)
		}
		slices.Sort(versions[name])
	}
	return versions
}

// handler returns what executes node i of def.
func (r *registry) handler(def *workflow.Definition, i int) (workflow.Handler, bool) {
	n := &def.Nodes[i]
	if n.Kind != workflow.KindTask {
		fn, ok := r.inPassing(def, i)
		return func(_ context.Context, in []byte) ([]byte, error) { return fn(in) }, ok
	}
	t, ok := r.tasks[n.Task]
	if !ok {
		return nil, false
	}
	version := n.Policy.Version
	if version == "" {
		version = t.latest
	}
	impl, ok := t.handlers[version]
	return impl.run, ok
}

// inPassing returns what evaluates node i of def, which is no task. Switches and
// maps are decided, not evaluated: their function is not to be called.
func (r *registry) inPassing(def *workflow.Definition, i int) (workflow.InlineFunc, bool) {
	switch n := &def.Nodes[i]; n.Kind {
	case workflow.KindInline:
		return r.inline(def, i)
	case workflow.KindExpr:
		e, ok := r.evaluators[n.Task]
		return func(env []byte) ([]byte, error) { return evaluate(e, n.Expr, env) }, ok
	case workflow.KindSwitch, workflow.KindMap:
		return nil, true
	}
	return nil, false
}

// evaluate evaluates an expression. Errors are failures that no retry mends.
func evaluate(e workflow.Evaluator, expr string, env []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			f := workflow.PanicFailure(p)
			f.Permanent = true
			out, err = nil, f
		}
	}()
	if out, err = e.Evaluate(expr, env); err != nil {
		f := workflow.FailureOf(err)
		f.Kind, f.Permanent = workflow.KindBadExpression, true
		return nil, f
	}
	r := checkOutput(out)
	if r.failure != nil {
		return nil, r.failure
	}
	return r.output, nil
}

// inline returns the function of inline node i of def.
func (r *registry) inline(def *workflow.Definition, i int) (workflow.InlineFunc, bool) {
	wf, ok := r.workflows[def.Name]
	if !ok {
		return nil, false
	}
	return wf.InlineFor(&def.Nodes[i])
}

// serves reports whether all inline nodes of def can be evaluated.
func (r *registry) serves(def *workflow.Definition) bool {
	if _, ok := r.workflows[def.Name]; !ok {
		return false
	}
	for i := range def.Nodes {
		if def.Nodes[i].Kind != workflow.KindInline {
			continue
		}
		if _, ok := r.inline(def, i); !ok {
			return false
		}
	}
	return true
}
