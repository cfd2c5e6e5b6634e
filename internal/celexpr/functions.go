package celexpr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// functions are those of this package, and the library's that can make much of
// little, with a bound.
func functions() []cel.EnvOption {
	list, str := cel.ListType(cel.StringType), cel.StringType
	anyType := cel.TypeParamType("T")
	return []cel.EnvOption{
		cel.Function("text", cel.Overload("grapnel_text", []*cel.Type{cel.DynType}, str,
			cel.UnaryBinding(stringOf(text)))),
		cel.Function("quote", cel.Overload("grapnel_quote", []*cel.Type{cel.DynType}, str,
			cel.UnaryBinding(stringOf(quote)))),
		cel.Function("toJSON", cel.Overload("grapnel_to_json", []*cel.Type{cel.DynType}, str,
			cel.UnaryBinding(stringOf(toJSON)))),
		cel.Function("fromJSON", cel.Overload("grapnel_from_json", []*cel.Type{str}, cel.DynType,
			cel.UnaryBinding(fromJSON))),
		cel.Function("join",
			cel.MemberOverload("list_join", []*cel.Type{list}, str,
				cel.UnaryBinding(func(l ref.Val) ref.Val { return join(l, types.String("")) })),
			cel.MemberOverload("list_join_string", []*cel.Type{list, str}, str, cel.BinaryBinding(join))),
		cel.Function("reverse",
			cel.MemberOverload("string_reverse", []*cel.Type{str}, str, cel.UnaryBinding(reverse))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", []*cel.Type{str, str, str}, str,
				cel.FunctionBinding(replace)),
			cel.MemberOverload("string_replace_string_string_int", []*cel.Type{str, str, str, cel.IntType}, str,
				cel.FunctionBinding(replace))),
		cel.Function("distinct",
			cel.MemberOverload("list_distinct", []*cel.Type{cel.ListType(anyType)}, cel.ListType(anyType),
				cel.UnaryBinding(distinct))),
	}
}

// stringOf makes a function of CEL from f, which may fail.
func stringOf(f func(ref.Val) (string, error)) func(ref.Val) ref.Val {
	return func(v ref.Val) ref.Val {
		s, err := f(v)
		if err != nil {
			return types.WrapErr(err)
		}
		return types.String(s)
	}
}

// quote returns the text of v as one word of a POSIX shell.
func quote(v ref.Val) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(s, 0) {
		return "", errors.New("a text with a zero byte cannot be a word of a shell")
	}
	if quotes := strings.Count(s, "'"); len(s)+3*quotes > MaxText {
		return "", tooLong("quote")
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'", nil
}

func toJSON(v ref.Val) (string, error) {
	var out bytes.Buffer
	if err := writeJSON(&out, v, 0); err != nil {
		return "", err
	}
	return out.String(), nil
}

func fromJSON(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	value, err := decode([]byte(s))
	if err != nil {
		return types.NewErr("fromJSON: the text is not JSON: %v", err)
	}
	return adapter{types.DefaultTypeAdapter}.NativeToValue(value)
}

// decode reads JSON, keeping numbers as they are written.
func decode(data []byte) (any, error) {
	if !json.Valid(data) { // also what follows the first value
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, err
		}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return value, nil
}

func join(l, sep ref.Val) ref.Val {
	list, ok := l.(traits.Lister)
	separator, isString := sep.(types.String)
	if !ok || !isString {
		return types.MaybeNoSuchOverloadErr(l)
	}
	var b strings.Builder
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; {
		elem := it.Next()
		s, ok := elem.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(elem) // or the element's error
		}
		if !first {
			b.WriteString(string(separator))
		}
		first = false
		b.WriteString(string(s))
		if b.Len() > MaxText {
			return types.WrapErr(tooLong("join"))
		}
	}
	return types.String(b.String())
}

// distinct compares each element with each. What a call costs is counted when it
// returns, hence the limit.
func distinct(v ref.Val) ref.Val {
	list, ok := v.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if size, ok := list.Size().(types.Int); !ok || size > maxDistinct {
		return types.NewErr("distinct takes lists of at most %d elements, this one has %d", maxDistinct, size)
	}
	var found []ref.Val
	for it := list.Iterator(); it.HasNext() == types.True; {
		elem := it.Next()
		if types.IsError(elem) {
			return elem
		}
		if !slices.ContainsFunc(found, func(f ref.Val) bool { return types.Equal(f, elem) == types.True }) {
			found = append(found, elem)
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, found)
}

func reverse(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	var b strings.Builder
	for rest := string(s); rest != ""; {
		r, n := utf8.DecodeLastRuneInString(rest)
		b.WriteRune(r)
		rest = rest[:len(rest)-n]
	}
	return types.String(b.String())
}

// replace implements s.replace(old, new) and s.replace(old, new, most).
func replace(args ...ref.Val) ref.Val {
	s, ok1 := args[0].(types.String)
	from, ok2 := args[1].(types.String)
	to, ok3 := args[2].(types.String)
	if !ok1 || !ok2 || !ok3 {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	most := -1
	if len(args) > 3 {
		n, ok := args[3].(types.Int)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[3])
		}
		most = int(min(max(n, -1), MaxText))
	}
	count := strings.Count(string(s), string(from))
	if most >= 0 {
		count = min(count, most)
	}
	// Both factors are at most MaxText or so: the product does not overflow.
	if len(s)+count*max(len(to)-len(from), 0) > MaxText {
		return types.WrapErr(tooLong("replace"))
	}
	return types.String(strings.Replace(string(s), string(from), string(to), most))
}

func tooLong(function string) error {
	return fmt.Errorf("%s would make a text of more than %d bytes", function, MaxText)
}
