package celexpr

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"

	"github.com/grapnel-dev/grapnel"
)

// Language is what nodes call the language of this package.
const Language = "cel"

// maxPrograms is how many expressions an evaluator keeps compiled.
const maxPrograms = 2_000

// Evaluator evaluates expressions. It may be used by any number of goroutines.
type Evaluator struct {
	env *cel.Env // without variables

	mu       sync.Mutex
	programs map[string]cel.Program // guarded by mu; by names and expression
}

// New returns an evaluator.
func New() (*Evaluator, error) {
	env, err := baseEnv()
	if err != nil {
		return nil, err
	}
	return &Evaluator{env: env, programs: map[string]cel.Program{}}, nil
}

// Language returns [Language].
func (e *Evaluator) Language() string { return Language }

// Evaluate returns the value of expr as JSON. Env is a JSON object, or empty for
// none; its fields are what the expression sees as variables. An error says what
// went wrong, wraps [grapnel.ErrInvalid], and is the same each time.
func (e *Evaluator) Evaluate(expr string, env []byte) ([]byte, error) {
	out, err := e.evaluate(expr, env)
	if err != nil {
		return nil, fmt.Errorf("%w: expression %s: %w", grapnel.ErrInvalid, shorten(expr), err)
	}
	return out, nil
}

func (e *Evaluator) evaluate(expr string, env []byte) ([]byte, error) {
	variables := map[string]any{}
	if len(env) > 0 {
		value, err := decode(env)
		if err != nil {
			return nil, fmt.Errorf("the environment is not JSON: %w", err)
		}
		fields, ok := value.(map[string]any)
		if !ok && value != nil {
			return nil, errors.New("the environment is not a JSON object")
		}
		if fields != nil {
			variables = fields
		}
	}
	program, err := e.program(expr, variables)
	if err != nil {
		return nil, err
	}
	value, _, err := program.Eval(variables)
	if err != nil {
		return nil, runtimeError(err)
	}
	var out bytes.Buffer
	if err := writeJSON(&out, value, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// program compiles expr for variables of these names, or finds it compiled.
func (e *Evaluator) program(expr string, variables map[string]any) (cel.Program, error) {
	names := make([]string, 0, len(variables))
	for name := range variables {
		names = append(names, name)
	}
	slices.Sort(names)
	key := strings.Join(names, "\x00") + "\x00\x00" + expr
	e.mu.Lock()
	p, ok := e.programs[key]
	e.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := e.compile(expr, names)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.programs) >= maxPrograms {
		clear(e.programs) // rare, and cheaper than knowing which is the oldest
	}
	e.programs[key] = p
	return p, nil
}

func (e *Evaluator) compile(expr string, names []string) (cel.Program, error) {
	options := make([]cel.EnvOption, len(names))
	for i, name := range names {
		options[i] = cel.Variable(name, cel.DynType)
	}
	env, err := e.env.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("declare %s: %w", strings.Join(names, ", "), err)
	}
	ast, issues := env.Compile(expr)
	if issues.Err() != nil {
		return nil, errors.New(readable(issues.Errors()[0].Message))
	}
	return env.Program(ast, cel.CostLimit(MaxCost), cel.CostTracking(estimator{}), cel.CustomDecoratorV2(sortLiterals))
}

// shorten returns an expression for a message.
func shorten(expr string) string {
	const most = 120
	text := strings.Join(strings.Fields(expr), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
