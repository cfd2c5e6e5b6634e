package workflow

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/grapnel-dev/grapnel"
)

// InlineFunc evaluates an inline function: JSON in, JSON out. Of several
// arguments the input is the list. An error is a *[Failure] that no retry
// mends: [KindPanic] with the stack if the function panicked, otherwise
// [KindBadInput], [KindBadOutput] or [KindTooLarge].
type InlineFunc func(in []byte) (out []byte, err error)

// inline is an inline function of a workflow.
type inline struct {
	fn      InlineFunc
	in, out string
}

// Inline adds a node that is a Go function of the workflow itself, for small
// decisions between tasks. Whoever completes what it needs evaluates it in
// passing. F must be
//
//   - pure: the same argument gives the same result, whenever and however often
//     it is called, in any process that has the workflow. No I/O, no clock, no
//     random numbers, nothing that other code changes;
//   - total: it returns for every argument, soon. A panic fails the node for
//     good.
//
// A running workflow finds the function by the workflow's name, its own name
// and its types: as long as these remain, a new build serves runs that an older
// one started.
func Inline[A, T any](g *Graph, name string, f func(A) T, a Value[A], o ...InlineOption) Value[T] {
	at := g.enter()
	fn := inlineFunc(func(in []byte) (func() T, error) {
		x, err := Decode[A](in)
		return func() T { return f(x) }, err
	})
	return Value[T]{e: g.addInline(at, name, f == nil, inline{fn, typeName[A](), typeName[T]()}, reflect.TypeFor[T](), a.e, o)}
}

// Inline2 is [Inline] for a function of two arguments.
func Inline2[A, B, T any](g *Graph, name string, f func(A, B) T, a Value[A], b Value[B], o ...InlineOption) Value[T] {
	at := g.enter()
	fn := inlineFunc(func(in []byte) (func() T, error) {
		var x A
		var y B
		err := decodeArguments(in, &x, &y)
		return func() T { return f(x, y) }, err
	})
	types := tuple(typeName[A](), typeName[B]())
	args := g.gather(at, "the arguments of inline function "+name, []*edge{a.e, b.e})
	return Value[T]{e: g.addInline(at, name, f == nil, inline{fn, types, typeName[T]()}, reflect.TypeFor[T](), args, o)}
}

// Inline3 is [Inline] for a function of three arguments.
func Inline3[A, B, C, T any](g *Graph, name string, f func(A, B, C) T, a Value[A], b Value[B], c Value[C], o ...InlineOption) Value[T] {
	at := g.enter()
	fn := inlineFunc(func(in []byte) (func() T, error) {
		var x A
		var y B
		var z C
		err := decodeArguments(in, &x, &y, &z)
		return func() T { return f(x, y, z) }, err
	})
	types := tuple(typeName[A](), typeName[B](), typeName[C]())
	args := g.gather(at, "the arguments of inline function "+name, []*edge{a.e, b.e, c.e})
	return Value[T]{e: g.addInline(at, name, f == nil, inline{fn, types, typeName[T]()}, reflect.TypeFor[T](), args, o)}
}

// Inline4 is [Inline] for a function of four arguments.
func Inline4[A, B, C, D, T any](g *Graph, name string, f func(A, B, C, D) T, a Value[A], b Value[B], c Value[C], d Value[D], o ...InlineOption) Value[T] {
	at := g.enter()
	fn := inlineFunc(func(in []byte) (func() T, error) {
		var w A
		var x B
		var y C
		var z D
		err := decodeArguments(in, &w, &x, &y, &z)
		return func() T { return f(w, x, y, z) }, err
	})
	types := tuple(typeName[A](), typeName[B](), typeName[C](), typeName[D]())
	args := g.gather(at, "the arguments of inline function "+name, []*edge{a.e, b.e, c.e, d.e})
	return Value[T]{e: g.addInline(at, name, f == nil, inline{fn, types, typeName[T]()}, reflect.TypeFor[T](), args, o)}
}

func (g *Graph) addInline(at place, name string, isNil bool, f inline, out reflect.Type, in *edge, o []InlineOption) *edge {
	what := "inline function " + name
	var set nodeSpec
	errs := apply(o, func(o InlineOption) { o.applyNode(&set) })
	set.errs = append(set.errs, errs...)
	set.errs = append(set.errs, set.policy.problems()...)
	set.errs = append(set.errs, checkType("output", out))
	if isNil {
		set.errs = append(set.errs, invalidf("the function is nil"))
	}
	if err := grapnel.ValidateName("inline function", name); err != nil {
		g.report(at, err)
	}
	e := g.add(at, newNode{
		Node: Node{Kind: KindInline, Name: name, Task: name, InType: f.in, OutType: f.out},
		what: what,
		in:   in,
		set:  set,
	})
	g.inlines[g.nodes[e.from.Node].Name] = f
	return e
}

// inlineFunc returns the function that decode returns, behind JSON. It covers
// panics in the JSON methods of the types, too.
func inlineFunc[T any](decode func(in []byte) (func() T, error)) InlineFunc {
	return func(in []byte) (out []byte, err error) {
		defer func() {
			if r := recover(); r != nil {
				f := PanicFailure(r)
				f.Permanent = true
				out, err = nil, f
			}
		}()
		call, err := decode(in)
		if err != nil {
			return nil, permanent(KindBadInput, err)
		}
		return encodeOutput(call())
	}
}

// decodeArguments decodes a list into pointers, one for each of its elements.
func decodeArguments(in []byte, to ...any) error {
	parts, err := Decode[[]json.RawMessage](in)
	if err != nil {
		return err
	}
	if len(parts) != len(to) {
		return invalidf("there are %d arguments, want %d", len(parts), len(to))
	}
	for i, part := range parts {
		if err := json.Unmarshal(part, to[i]); err != nil {
			return invalidf("argument %d is no %s: %w", i+1, reflect.TypeOf(to[i]).Elem(), err)
		}
	}
	return nil
}

// tuple returns the name of the list of arguments of these types.
func tuple(types ...string) string { return "(" + strings.Join(types, ", ") + ")" }
