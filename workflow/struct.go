package workflow

import (
	"fmt"
	"reflect"

	"github.com/grapnel-dev/grapnel"
)

// Setter records which fields of a struct get their values from other nodes;
// see [Struct].
type Setter struct {
	g    *Graph
	what string
	base reflect.Value // the pointer that fill got
	done bool

	paths [][]string
	of    []*edge
}

// Struct returns a T put together from values. Fill runs once, while the graph
// is built, on a pointer to a zero T: what it assigns is constant, and what it
// hands to [Set] comes from other values:
//
//	mail := workflow.Struct(g, "mail", func(s *workflow.Setter, m *Mail) {
//		m.Subject = "Your order"
//		workflow.Set(s, &m.To, email)
//	})
//
// The result is data, which any process can put together. The name is for
// messages. A T that encodes as JSON null counts as an object without fields.
func Struct[T any](g *Graph, name string, fill func(s *Setter, t *T)) Value[T] {
	at := g.enter()
	what := "struct " + name
	errs := []error{grapnel.ValidateName("struct", name), checkType(what, reflect.TypeFor[T]())}
	if fill == nil {
		return Value[T]{e: g.invalid(at, invalidf("%s: nil function", what))}
	}
	c := new(cell[T])
	s := &Setter{g: g, what: what, base: reflect.ValueOf(&c.v)}
	fill(s, &c.v)
	s.done = true
	for _, err := range errs {
		if err != nil {
			return Value[T]{e: g.invalid(at, err)}
		}
	}
	data, err := Encode(c.v)
	if err != nil {
		return Value[T]{e: g.invalid(at, fmt.Errorf("%s: %w", what, err))}
	}
	if len(s.paths) == 0 {
		return Value[T]{e: g.value(at, Source{Kind: SourceConst, Const: data})}
	}
	return Value[T]{e: g.value(at, Source{Kind: SourceStruct, Const: data, Paths: s.paths, Of: sources(s.of)}, s.of...)}
}

// Set makes the field that p points to, which must be one of the struct being
// filled or of a struct in it, get the value of v. The limits of [Field] on
// what can be selected apply.
func Set[F any](s *Setter, p *F, v Value[F]) {
	if s == nil {
		panic("workflow: nil *Setter")
	}
	s.set(s.g.enter(), reflect.ValueOf(p), v.e)
}

func (s *Setter) set(at place, p reflect.Value, v *edge) {
	v = s.g.accept(at, "value set in "+s.what, v)
	fail := func(err error) { s.g.report(at, fmt.Errorf("%s: %w", s.what, err)) }
	switch {
	case s.done:
		fail(invalidf("set after its function returned"))
		return
	case p.IsNil():
		fail(invalidf("set at a nil pointer"))
		return
	}
	path, err := locate(s.base, p)
	if err != nil {
		fail(err)
		return
	}
	if len(path) == 0 {
		fail(invalidf("set as a whole: set its fields, or use the value itself"))
		return
	}
	for _, other := range s.paths {
		if isPrefix(path, other) || isPrefix(other, path) {
			fail(invalidf("%q is set although %q is set already", path, other))
			return
		}
	}
	s.paths = append(s.paths, path)
	s.of = append(s.of, v)
}

func sources(edges []*edge) []Source {
	of := make([]Source, len(edges))
	for i, e := range edges {
		of[i] = e.from
	}
	return of
}
