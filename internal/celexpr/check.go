package celexpr

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"
)

// Scope knows what an expression may use. It may be used by any number of
// goroutines.
type Scope struct {
	env       *cel.Env
	provider  *provider
	roots     map[string]*Type
	elsewhere map[string]string
	hidden    map[string]map[string]string // by variable and field, why it is
}

// Problem is something wrong in an expression.
type Problem struct {
	// Offset is where, in bytes.
	Offset int
	// Text says what.
	Text string
}

// Checked is what is known of an expression that has no problems.
type Checked struct {
	// Type is of its value.
	Type *Type
	// Uses has the variables that it uses, each with the fields of it that it
	// uses, in order; none if it uses the variable as a whole.
	Uses map[string][]string
}

// NewScope returns a scope with these variables. Elsewhere has names that are
// none here, with the reason.
func NewScope(variables map[string]*Type, elsewhere map[string]string) (*Scope, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	base, err := baseEnv()
	if err != nil {
		return nil, err
	}
	s := &Scope{env: base, provider: &provider{Provider: registry, objects: map[string]*Type{}}, elsewhere: elsewhere}
	return s.With(variables)
}

// With returns a scope with more variables. It shares what s knows, so it takes
// little time.
func (s *Scope) With(variables map[string]*Type) (*Scope, error) {
	inner := *s
	inner.provider = &provider{Provider: s.provider, objects: map[string]*Type{}}
	inner.roots = maps.Clone(s.roots)
	if inner.roots == nil {
		inner.roots = map[string]*Type{}
	}
	maps.Copy(inner.roots, variables)
	options := []cel.EnvOption{cel.CustomTypeProvider(inner.provider)}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		options = append(options, cel.Variable(name, inner.provider.cel(variables[name])))
	}
	env, err := s.env.Extend(options...)
	if err != nil {
		return nil, fmt.Errorf("declare the variables of expressions: %w", err)
	}
	inner.env = env
	return &inner, nil
}

// Hide returns a scope in which a field of a variable cannot be used, with the
// reason.
func (s *Scope) Hide(variable, field, why string) *Scope {
	inner := *s
	inner.hidden = map[string]map[string]string{variable: {field: why}}
	return &inner
}

// Check parses an expression and checks its names and types. It returns what is
// wrong with it, by place, or what is known of it.
func (s *Scope) Check(expr string) (*Checked, []Problem) {
	if strings.TrimSpace(expr) == "" {
		return nil, []Problem{{Text: "the expression is empty"}}
	}
	parsed, issues := s.env.Parse(expr)
	if issues.Err() != nil {
		// What the parser says after the first error is guesswork.
		return nil, []Problem{syntax(expr, issues.Errors()[0])}
	}
	w := &walk{scope: s, expr: expr, ast: parsed.NativeRep(), uses: map[string]map[string]bool{}, whole: map[string]bool{}, told: map[int64]bool{}}
	w.expression(w.ast.Expr(), nil)
	checked, issues := s.env.Check(parsed)
	for _, issue := range issues.Errors() {
		w.typeProblem(issue)
	}
	if len(w.problems) > 0 {
		slices.SortStableFunc(w.problems, func(a, b Problem) int { return cmp.Compare(a.Offset, b.Offset) })
		return nil, slices.Compact(w.problems)
	}
	result := &Checked{Type: s.provider.known(checked.OutputType()), Uses: map[string][]string{}}
	for name, fields := range w.uses {
		result.Uses[name] = slices.Sorted(maps.Keys(fields))
	}
	for name := range w.whole {
		result.Uses[name] = nil
	}
	return result, nil
}

func syntax(expr string, issue *common.Error) Problem {
	return Problem{Offset: offset(expr, issue.Location), Text: readable(issue.Message)}
}

// offset returns the place in bytes of a place in lines and characters.
func offset(expr string, at common.Location) int {
	line, column := at.Line(), at.Column()
	if line < 1 || column < 0 {
		return 0
	}
	rest, start := expr, 0
	for ; line > 1; line-- {
		i := strings.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		start += i + 1
		rest = rest[i+1:]
	}
	for ; column > 0 && start < len(expr); column-- {
		_, n := utf8.DecodeRuneInString(expr[start:])
		start += n
	}
	return start
}
