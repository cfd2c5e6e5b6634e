package celexpr

import (
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// Kind says what a [Type] is.
type Kind uint8

// Kinds of types. Other is for CEL's types that JSON has no counterpart of.
const (
	KindAny Kind = iota
	KindBool
	KindInt
	KindNumber
	KindString
	KindNull
	KindList
	KindMap
	KindObject
	KindOther
)

// Type is what is known of a value before there is one.
type Type struct {
	Kind Kind
	// Elem is of the elements of a list or the values of a map.
	Elem *Type
	// Name is what messages call an object, or another type.
	Name string
	// Fields are what an object has, by name.
	Fields map[string]*Type
	// Missing says, of fields that there might have been, why there are none.
	Missing map[string]string
	// Parts, if set, makes it an error to use the object other than by one of
	// its fields; it is the message.
	Parts string
}

// Types without parts.
var (
	Any    = &Type{Kind: KindAny}
	Bool   = &Type{Kind: KindBool}
	Int    = &Type{Kind: KindInt}
	Number = &Type{Kind: KindNumber}
	String = &Type{Kind: KindString}
)

// List returns the type of a list of elem.
func List(elem *Type) *Type { return &Type{Kind: KindList, Elem: elem} }

// Map returns the type of a map from texts to elem.
func Map(elem *Type) *Type { return &Type{Kind: KindMap, Elem: elem} }

// Object returns the type of an object with exactly these fields, which
// messages call name.
func Object(name string, fields map[string]*Type) *Type {
	return &Type{Kind: KindObject, Name: name, Fields: fields}
}

// String returns what messages call the type.
func (t *Type) String() string {
	switch t.Kind {
	case KindBool:
		return "bool"
	case KindInt:
		return "int"
	case KindNumber:
		return "number"
	case KindString:
		return "string"
	case KindNull:
		return "null"
	case KindList:
		return fmt.Sprintf("list of %v", t.Elem)
	case KindMap:
		return fmt.Sprintf("map of %v", t.Elem)
	case KindObject, KindOther:
		return t.Name
	}
	return "any"
}

// provider tells CEL's checker of objects.
type provider struct {
	types.Provider // of what is not found in objects
	objects        map[string]*Type
}

// object finds an object by its name.
func (p *provider) object(name string) (*Type, bool) {
	for {
		if t, ok := p.objects[name]; ok {
			return t, true
		}
		outer, ok := p.Provider.(*provider)
		if !ok {
			return nil, false
		}
		p = outer
	}
}

// cel returns t as CEL has it, and notes the objects in it.
func (p *provider) cel(t *Type) *cel.Type {
	switch t.Kind {
	case KindBool:
		return cel.BoolType
	case KindInt:
		return cel.IntType
	case KindNumber:
		return cel.DoubleType
	case KindString:
		return cel.StringType
	case KindNull:
		return cel.NullType
	case KindList:
		return cel.ListType(p.cel(t.Elem))
	case KindMap:
		return cel.MapType(cel.StringType, p.cel(t.Elem))
	case KindObject:
		if known, ok := p.object(t.Name); ok && known == t {
			return cel.ObjectType(t.Name)
		}
		p.objects[t.Name] = t
		for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
			p.cel(t.Fields[name])
		}
		return cel.ObjectType(t.Name)
	}
	return cel.DynType
}

// known is the inverse of cel.
func (p *provider) known(t *cel.Type) *Type {
	switch t.Kind() {
	case types.BoolKind:
		return Bool
	case types.IntKind:
		return Int
	case types.DoubleKind:
		return Number
	case types.StringKind:
		return String
	case types.NullTypeKind:
		return &Type{Kind: KindNull}
	case types.ListKind:
		return List(p.known(t.Parameters()[0]))
	case types.MapKind:
		if t.Parameters()[0].Kind() == types.StringKind {
			return Map(p.known(t.Parameters()[1]))
		}
		return Map(Any)
	case types.StructKind:
		if object, ok := p.object(t.TypeName()); ok {
			return object
		}
	case types.DynKind, types.AnyKind, types.TypeParamKind:
		return Any
	case types.OpaqueKind:
		if t.TypeName() == "optional_type" {
			return Any
		}
	}
	return &Type{Kind: KindOther, Name: typeNames(t.String())}
}

// FindStructType implements [types.Provider].
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.object(name); ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements [types.Provider].
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if object, ok := p.object(name); ok {
		return slices.Sorted(maps.Keys(object.Fields)), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements [types.Provider].
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	object, ok := p.object(name)
	if !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	t, ok := object.Fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: p.cel(t)}, true
}
