package celexpr

import (
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Limits of expressions.
const (
	// MaxSource is the longest expression, in characters.
	MaxSource = 100_000
	// MaxCost is how much work one evaluation may do, in CEL's units: roughly
	// one for each operation and for each ten characters looked at.
	MaxCost = 1_000_000
	// MaxText is the longest text, in bytes, that a function may make.
	MaxText = 4 << 20
	// MaxResult is the longest result, in bytes of JSON.
	MaxResult = 1 << 20
	// maxRange is the longest list of lists.range.
	maxRange = 10_000
	// maxDistinct is the longest list whose distinct elements are looked for.
	maxDistinct = 5_000
	// maxRegexp is the largest program of a regular expression.
	maxRegexp = 1_000
)

// Versions of the extensions: a newer release of the library must not give old
// expressions another meaning.
const (
	stringsVersion  = 0 // without format, whose results have no bound
	listsVersion    = 3
	mathVersion     = 2
	encodersVersion = 0
	optionalVersion = 2
)

// baseEnv is the language as this package has it, without variables.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	options := []cel.EnvOption{
		cel.StdLib(),
		cel.CustomTypeAdapter(adapter{registry}),
		cel.CustomTypeProvider(registry),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.CostSizingStrategy(cost.AggregateSizingStrategy()),
		cel.CostModelVersion(1),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.OptionalTypes(cel.OptionalTypesVersion(optionalVersion)),
		ext.Strings(ext.StringsVersion(stringsVersion)),
		ext.Lists(ext.ListsVersion(listsVersion), ext.ListsMaxRangeSize(maxRange)),
		ext.Math(ext.MathVersion(mathVersion)),
		ext.Encoders(ext.EncodersVersion(encodersVersion)),
	}
	env, err := cel.NewCustomEnv(append(options, functions()...)...)
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	return env, nil
})
