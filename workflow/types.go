package workflow

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// customJSON reports whether values of type t are converted to or from JSON by
// methods of their own.
func customJSON(t reflect.Type) bool {
	for _, i := range []reflect.Type{jsonMarshaler, jsonUnmarshaler, textMarshaler, textUnmarshaler} {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// checkType returns an error if values of type t, called what, do not survive a
// conversion to JSON and back for a reason that shows in the type.
func checkType(what string, t reflect.Type) error {
	c := typeChecker{visited: map[reflect.Type]bool{}}
	if where, why := c.check(t); why != "" {
		if where != "" {
			where = " at " + where
		}
		return invalidf("%s of type %s cannot be JSON:%s %s", what, t, where, why)
	}
	return nil
}

type typeChecker struct{ visited map[reflect.Type]bool }

// check returns where in a value of type t, as a Go selector, the trouble is,
// and what it is, or an empty why.
func (c typeChecker) check(t reflect.Type) (where, why string) {
	if c.visited[t] || customJSON(t) {
		return "", ""
	}
	c.visited[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return "", fmt.Sprintf("%s has no form in JSON", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return "", fmt.Sprintf("%s is an interface, which JSON cannot be decoded into", t)
		}
	case reflect.Pointer:
		return c.check(t.Elem())
	case reflect.Slice, reflect.Array:
		where, why = c.check(t.Elem())
		return "[]" + where, why
	case reflect.Map:
		return c.checkMap(t)
	case reflect.Struct:
		return c.checkStruct(t)
	}
	return "", ""
}

func (c typeChecker) checkMap(t reflect.Type) (where, why string) {
	switch key := t.Key(); key.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	default:
		if !key.Implements(textMarshaler) || !reflect.PointerTo(key).Implements(textUnmarshaler) {
			return "", fmt.Sprintf("%s is no type for keys of an object", key)
		}
	}
	where, why = c.check(t.Elem())
	return "[…]" + where, why
}

func (c typeChecker) checkStruct(t reflect.Type) (where, why string) {
	hidden, shown := 0, 0
	for f := range t.Fields() {
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		promotes := f.Anonymous && embedded.Kind() == reflect.Struct
		switch {
		case f.Tag.Get("json") == "-":
			shown++ // left out on purpose
			continue
		case !f.IsExported() && !promotes:
			hidden++
			continue
		}
		shown++
		if where, why = c.check(f.Type); why != "" {
			return "." + f.Name + where, why
		}
	}
	if hidden > 0 && shown == 0 {
		return "", fmt.Sprintf("%s has unexported fields only, of which nothing would be kept", t)
	}
	return "", ""
}
