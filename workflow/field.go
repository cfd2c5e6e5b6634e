package workflow

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Field returns a field of v, or a field of a field and so on, as sel selects
// it from a *T:
//
//	email := workflow.Field(order, func(o *Order) *string { return &o.Customer.Email })
//
// Sel runs once, while the graph is built, on a zero T: what is kept is the
// place of the field in the JSON of T, which any process can look up. So it
// selects only within the struct itself, not through pointers, slices, arrays,
// maps, or types with JSON methods of their own: use [Inline] for these. If the
// JSON does not have the field, for instance because it was empty and omitted,
// the value is F's zero value.
func Field[T, F any](v Value[T], sel func(*T) *F) Value[F] {
	if v.e == nil {
		return Value[F]{} // whoever uses it has a graph to report to
	}
	g := v.e.g // perhaps that of a scope around the one that is being built
	at := caller()
	if g.done {
		return Value[F]{e: g.invalid(at, invalidf("field of a value that was made in %s, begun at %v, and is used outside of it: let the function there return it", g.what, g.at))}
	}
	path, err := selectPath(sel)
	if err != nil {
		return Value[F]{e: g.invalid(at, fmt.Errorf("field of %s: %w", reflect.TypeFor[T](), err))}
	}
	return Value[F]{e: g.field(at, v.e, path)}
}

// field returns the value at path in v. A field of a field is one longer path.
func (g *Graph) field(at place, v *edge, path []string) *edge {
	if len(path) == 0 {
		return v
	}
	if s := v.from; s.Kind == SourceField {
		return &edge{g: g, size: v.size, depth: v.depth,
			from: Source{Kind: SourceField, Path: slices.Concat(s.Path, path), Of: s.Of}}
	}
	return g.value(at, Source{Kind: SourceField, Path: path, Of: []Source{v.from}}, v)
}

// cell is a T with something behind it, so that the address of an empty T, or
// of an empty field at its end, is no other variable's.
type cell[T any] struct {
	v T
	_ byte
}

func selectPath[T, F any](sel func(*T) *F) (path []string, err error) {
	if sel == nil {
		return nil, invalidf("nil selector")
	}
	defer func() {
		if r := recover(); r != nil {
			err = invalidf("the selector panics on a zero %s (%v): what is behind pointers, in slices and in maps cannot be selected as data; use workflow.Inline",
				reflect.TypeFor[T](), r)
		}
	}()
	c := new(cell[T])
	p := sel(&c.v)
	if p == nil {
		return nil, invalidf("the selector returns nil")
	}
	return locate(reflect.ValueOf(&c.v), reflect.ValueOf(p))
}

// locate returns the path, in the JSON of the variable that base points to, of
// the field that p points to. It is empty for the variable itself.
func locate(base, p reflect.Value) (path []string, err error) {
	t, want := base.Type().Elem(), p.Type().Elem()
	from, to := base.Pointer(), p.Pointer()
	if from == to && t == want {
		return nil, nil
	}
	if to < from || to-from > t.Size() {
		return nil, notInside(t, want)
	}
	switch found := fieldsAt(t, to-from, want, nil); len(found) {
	case 0:
		return nil, notInside(t, want)
	case 1:
		return jsonPath(t, found[0])
	default:
		return nil, invalidf("%s and %s are empty fields at the same address: use workflow.Inline", goPath(t, found[0]), goPath(t, found[1]))
	}
}

func notInside(t, want reflect.Type) error {
	return invalidf("the pointer leads to no field of type %s inside %s: what is behind pointers, in slices, arrays and maps cannot be selected as data; use workflow.Inline", want, t)
}

// fieldsAt returns the fields of type want at an offset in struct type t, each
// as the fields that lead to it, the outermost first. Only empty fields can be
// several; otherwise offset and type tell which it is.
func fieldsAt(t reflect.Type, offset uintptr, want reflect.Type, outer []reflect.StructField) [][]reflect.StructField {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var found [][]reflect.StructField
	for f := range t.Fields() {
		if offset < f.Offset || offset > f.Offset+f.Type.Size() {
			continue
		}
		chain := append(slices.Clone(outer), f)
		if offset == f.Offset && f.Type == want {
			found = append(found, chain)
		}
		found = append(found, fieldsAt(f.Type, offset-f.Offset, want, chain)...)
	}
	return found
}

// jsonPath returns where encoding/json puts the field at the end of chain.
func jsonPath(t reflect.Type, chain []reflect.StructField) ([]string, error) {
	var path []string
	whole := goPath(t, chain)
	for in := t; len(chain) > 0; {
		if customJSON(in) {
			return nil, invalidf("%s: %s has JSON methods of its own, so where it puts its fields is not known: use workflow.Inline", whole, in)
		}
		field, ok := memberOn(in, chain)
		if !ok {
			return nil, invalidf("%s has no place in the JSON of %s: it is unexported, left out by its tag, embedded or hidden by another field; use workflow.Inline", whole, in)
		}
		if field.quoted {
			return nil, invalidf(`%s is quoted in JSON by the "string" option: use workflow.Inline`, whole)
		}
		path = append(path, field.name)
		in = chain[len(field.index)-1].Type
		chain = chain[len(field.index):]
	}
	return path, nil
}

// memberOn returns the member of the JSON object for struct type t that chain
// leads to or through.
func memberOn(t reflect.Type, chain []reflect.StructField) (jsonField, bool) {
	index := make([]int, len(chain))
	for i, f := range chain {
		index[i] = f.Index[0]
	}
	for _, f := range jsonFields(t) {
		if len(f.index) <= len(index) && slices.Equal(f.index, index[:len(f.index)]) {
			return f, true
		}
	}
	return jsonField{}, false
}

// goPath returns chain as one writes it in Go.
func goPath(t reflect.Type, chain []reflect.StructField) string {
	var s strings.Builder
	s.WriteString(t.String())
	for _, f := range chain {
		s.WriteString("." + f.Name)
	}
	return s.String()
}
