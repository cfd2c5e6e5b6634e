package workflow

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/grapnel-dev/grapnel"
)

// Task is the contract of a task: its name, the types of its input and output,
// and default settings for the nodes that run it. Programs share contracts to
// start and author workflows; only workers need implementations. Make one with
// [NewTask] or [TaskFunc], usually in a package-level variable.
type Task[In, Out any] struct {
	_ [0]*In
	_ [0]*Out
	c *contract
}

// AnyTask is a [Task] of any types, as a worker takes it.
type AnyTask interface {
	// Name, Version and Policy return the contract's. A worker that has a task
	// in one version runs the nodes that ask for this version or for none.
	Name() string
	Version() string
	Policy() Policy
	// Types returns the names of the types of input and output.
	Types() (in, out string)
	// Implementation returns the implementation of [TaskFunc], if there is one.
	Implementation() (Handler, bool)
	// Err returns what is wrong with the contract, or nil.
	Err() error
}

// Handler executes one attempt of a task: JSON in, JSON out. Panics of the
// task's function come through; see [PanicFailure].
type Handler func(ctx context.Context, in []byte) (out []byte, err error)

// contract is a Task without its types.
type contract struct {
	name    string
	policy  Policy
	in, out string
	handler Handler
	wrong   []error // while it is being made
	errs    []error // with their place
}

// NewTask returns a contract without implementation, for workers to implement
// with worker.Handle. It does not panic: mistakes are reported by [Task.Err],
// by the workflows that use the task, and by workers.
func NewTask[In, Out any](name string, o ...TaskOption) Task[In, Out] {
	return newTask[In, Out](name, o)
}

// TaskFunc returns a contract with an implementation, which a worker that
// serves a workflow with this task brings along.
func TaskFunc[In, Out any](name string, fn func(context.Context, In) (Out, error), o ...TaskOption) Task[In, Out] {
	t := newTask[In, Out](name, o)
	if fn == nil {
		t.c.errs = append(t.c.errs, caller().error(invalidf("task %s: nil function", name)))
		return t
	}
	t.c.handler = t.Handler(fn)
	return t
}

func newTask[In, Out any](name string, o []TaskOption) Task[In, Out] {
	c := &contract{name: name, in: typeName[In](), out: typeName[Out]()}
	errs := apply(o, func(o TaskOption) { o.applyTask(c) })
	c.wrong = append(c.wrong, errs...)
	c.wrong = append(c.wrong, c.policy.problems()...)
	c.wrong = append(c.wrong, checkType("input", reflect.TypeFor[In]()), checkType("output", reflect.TypeFor[Out]()))
	at := caller()
	if err := grapnel.ValidateName("task", name); err != nil {
		c.errs = append(c.errs, at.error(err))
	}
	for _, err := range c.wrong {
		if err != nil {
			c.errs = append(c.errs, at.error(fmt.Errorf("task %s: %w", name, err)))
		}
	}
	c.wrong = nil
	return Task[In, Out]{c: c}
}

// Handler returns fn behind JSON. Input that does not decode fails with
// [KindBadInput], output that does not encode with [KindBadOutput], or with
// [KindTooLarge] if it is over [grapnel.MaxPayload]; all are a *[Failure] that
// no retry mends. Errors of fn are returned as they are.
func (t Task[In, Out]) Handler(fn func(context.Context, In) (Out, error)) Handler {
	return func(ctx context.Context, data []byte) ([]byte, error) {
		in, err := Decode[In](data)
		if err != nil {
			return nil, permanent(KindBadInput, err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return encodeOutput(out)
	}
}

// encodeOutput is Encode with failures for errors.
func encodeOutput(v any) ([]byte, error) {
	data, err := Encode(v)
	switch {
	case errors.Is(err, grapnel.ErrTooLarge):
		return nil, permanent(KindTooLarge, err)
	case err != nil:
		return nil, permanent(KindBadOutput, err)
	}
	return data, nil
}

// Name returns the task's name.
func (t Task[In, Out]) Name() string { return t.c.get().name }

// Version returns the task's version; empty means that it has none.
func (t Task[In, Out]) Version() string { return t.c.get().policy.Version }

// Policy returns the defaults for nodes that run the task.
func (t Task[In, Out]) Policy() Policy { return t.c.get().policy.clone() }

// Types returns the names of the types of input and output.
func (t Task[In, Out]) Types() (in, out string) { return t.c.get().in, t.c.get().out }

// Implementation returns the implementation that was given to [TaskFunc].
func (t Task[In, Out]) Implementation() (Handler, bool) {
	h := t.c.get().handler
	return h, h != nil
}

// Err returns everything that is wrong with the contract, each a *[BuildError],
// or nil.
func (t Task[In, Out]) Err() error { return errors.Join(t.c.get().errs...) }

// get returns c, or a contract that says so if there is none.
func (c *contract) get() *contract {
	if c == nil {
		return &contract{errs: []error{invalidf("zero Task, which neither NewTask nor TaskFunc made")}}
	}
	return c
}

// erased returns a contract without its types as an AnyTask.
func (c *contract) erased() AnyTask { return Task[any, any]{c: c} }

// typeName returns what definitions call T.
func typeName[T any]() string { return reflect.TypeFor[T]().String() }
