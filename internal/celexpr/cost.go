package celexpr

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// estimator says what calls cost. The library's own estimates go by overload,
// and that is not known beforehand where values have no declared type, as most
// have here.
type estimator struct{}

// maxWeight is how much of a value is looked at to weigh it. It is as much as
// ends an evaluation.
const maxWeight = 10 * MaxCost

// CallCost returns one for the call and one for each ten characters or elements
// that it may have looked at; nil where the library knows better or the call
// takes the same time for all values.
func (estimator) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	total := 0
	switch function {
	case operators.Equals, operators.NotEquals, "matches", "contains", "startsWith", "endsWith",
		operators.Index, operators.OptIndex, operators.OptSelect, operators.Conditional,
		operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse:
		return nil
	case "size", operators.Add: // constant for lists and maps
		for _, arg := range args {
			total += textWeight(arg)
		}
	default:
		for _, arg := range args {
			weigh(arg, &total)
		}
		if result != nil {
			weigh(result, &total)
		}
	}
	cost := 1 + uint64(total)/10
	return &cost
}

// weigh adds the characters and elements of v to total, until that is more than
// anybody may spend.
func weigh(v ref.Val, total *int) {
	if *total += 1 + textWeight(v); *total > maxWeight {
		return
	}
	switch v := v.(type) {
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && *total <= maxWeight; {
			key := it.Next()
			weigh(key, total)
			if value, ok := v.Find(key); ok {
				weigh(value, total)
			}
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && *total <= maxWeight; {
			weigh(it.Next(), total)
		}
	}
}

func textWeight(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	}
	return 0
}
