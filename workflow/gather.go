package workflow

import (
	"fmt"
	"reflect"

	"github.com/grapnel-dev/grapnel"
)

// Gather returns the list of values, in their order. It is data, which any
// process can put together. The name is for messages.
func Gather[T any](g *Graph, name string, vs ...Value[T]) Value[[]T] {
	at := g.enter()
	if err := grapnel.ValidateName("list", name); err != nil {
		return Value[[]T]{e: g.invalid(at, err)}
	}
	edges := make([]*edge, len(vs))
	for i, v := range vs {
		edges[i] = v.e
	}
	return Value[[]T]{e: g.gather(at, "list "+name, edges)}
}

func (g *Graph) gather(at place, what string, edges []*edge) *edge {
	for i, e := range edges {
		edges[i] = g.accept(at, fmt.Sprintf("value %d of %s", i+1, what), e)
	}
	return g.value(at, Source{Kind: SourceGather, Of: sources(edges)}, edges...)
}

// Const returns a value that is known when the graph is built. It becomes part
// of the definition, so it may be at most [grapnel.MaxPayload] long as JSON. A
// Const of [None] is the input of a task that takes none.
func Const[T any](g *Graph, v T) Value[T] {
	at := g.enter()
	if _, none := any(v).(None); none {
		return Value[T]{e: g.value(at, Source{Kind: SourceNone})}
	}
	if err := checkType("constant", reflect.TypeFor[T]()); err != nil {
		return Value[T]{e: g.invalid(at, err)}
	}
	data, err := Encode(v)
	if err != nil {
		return Value[T]{e: g.invalid(at, fmt.Errorf("constant: %w", err))}
	}
	return Value[T]{e: g.value(at, Source{Kind: SourceConst, Const: data})}
}
