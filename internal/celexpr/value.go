package celexpr

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// adapter makes values of CEL from what package json decodes, when they are
// looked at, and gives all maps an order.
type adapter struct{ types.Adapter }

// NativeToValue implements [types.Adapter].
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case json.Number:
		return number(v.String())
	case map[string]any:
		return sortedMap{types.NewStringInterfaceMap(a, v), a}
	case map[ref.Val]ref.Val: // a literal
		return sortedMap{types.NewRefValMap(a, v), a}
	case []any:
		return types.NewDynamicList(a, v)
	case []ref.Val:
		return types.NewRefValList(a, v)
	case []string:
		return types.NewStringList(a, v)
	}
	return a.Adapter.NativeToValue(value)
}

// number returns the value of a number in JSON.
func number(text string) ref.Val {
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return types.NewErr("number %s does not fit into 64 bits", text)
		}
		return types.Double(f)
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return types.Int(i)
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return types.Uint(u)
	}
	return types.NewErr("number %s does not fit into 64 bits", text)
}

// sortedMap is a map whose keys come in an order. Go's maps have none.
type sortedMap struct {
	traits.Mapper
	adapter types.Adapter
}

// Iterator implements [traits.Iterable].
func (m sortedMap) Iterator() traits.Iterator {
	return types.NewRefValList(m.adapter, sortedKeys(m.Mapper)).Iterator()
}

// sortedKeys returns the keys of a map, those of one type together.
func sortedKeys(m traits.Mapper) []ref.Val {
	size, _ := m.Size().Value().(int64)
	keys := make([]ref.Val, 0, size)
	for it := m.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		if c := cmp.Compare(a.Type().TypeName(), b.Type().TypeName()); c != 0 {
			return c
		}
		if c, ok := a.(traits.Comparer); ok {
			if i, ok := c.Compare(b).(types.Int); ok {
				return int(i)
			}
		}
		return 0
	})
	return keys
}

// sortLiterals makes map literals sorted maps, too: they don't go through the
// adapter.
func sortLiterals(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if c, ok := i.(interpreter.InterpretableConstructor); ok && c.Type() == types.MapType {
		return sortedLiteral{i}, nil
	}
	return i, nil
}

type sortedLiteral struct{ interpreter.InterpretableV2 }

// Exec implements [interpreter.InterpretableV2].
func (l sortedLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return sorted(l.InterpretableV2.Exec(frame))
}

// Eval implements [interpreter.Interpretable].
func (l sortedLiteral) Eval(a interpreter.Activation) ref.Val {
	return sorted(l.InterpretableV2.Eval(a))
}

func sorted(v ref.Val) ref.Val {
	m, ok := v.(traits.Mapper)
	if _, done := v.(sortedMap); !ok || done {
		return v
	}
	return sortedMap{m, adapter{types.DefaultTypeAdapter}}
}
