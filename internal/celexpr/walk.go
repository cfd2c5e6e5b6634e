package celexpr

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/grapnel-dev/grapnel/internal/nearest"
)

// walk goes through an expression, resolves the chains of fields that begin
// with a variable, and notes what is used.
type walk struct {
	scope    *Scope
	expr     string
	ast      *ast.AST
	problems []Problem
	told     map[int64]bool // ids of expressions that have a problem
	uses     map[string]map[string]bool
	whole    map[string]bool
	dashed   [][2]int // places of names with a dash that were written as fields
	misread  bool     // what the checker says is about something else than was meant
}

// locals are the variables of macros around an expression, with their types as
// far as they are known, and otherwise nil.
type locals map[string]*Type

// with returns the locals with some more.
func (l locals) with(name string, t *Type) locals {
	all := maps.Clone(l)
	if all == nil {
		all = locals{}
	}
	all[name] = t
	return all
}

// expression walks e. It returns e's type if that follows from the variables'
// types alone, and otherwise nil.
func (w *walk) expression(e ast.Expr, in locals) *Type {
	switch e.Kind() {
	case ast.IdentKind:
		return w.variable(e, in, false)
	case ast.SelectKind:
		return w.selection(e, in)
	case ast.CallKind:
		return w.call(e, in)
	case ast.ListKind:
		for _, elem := range e.AsList().Elements() {
			w.expression(elem, in)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.expression(entry.AsMapEntry().Key(), in)
			w.expression(entry.AsMapEntry().Value(), in)
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			w.expression(field.AsStructField().Value(), in)
		}
	case ast.ComprehensionKind:
		w.comprehension(e, in)
	}
	return nil
}

func (w *walk) call(e ast.Expr, in locals) *Type {
	c := e.AsCall()
	switch c.FunctionName() {
	case operators.Index:
		return w.index(e, in)
	case operators.OptSelect:
		if name, ok := literal(c.Args()[1]); ok {
			w.field(e, c.Args()[0], name, in)
		}
		return nil
	}
	if c.IsMemberFunction() && !w.qualified(e, in) {
		w.expression(c.Target(), in)
	}
	for _, arg := range c.Args() {
		w.expression(arg, in)
	}
	return nil
}

// index resolves x[y]: with a text for y, it is a selection, as far as names go,
// and becomes one, so that the checker treats it as one.
func (w *walk) index(e ast.Expr, in locals) *Type {
	operand, key := e.AsCall().Args()[0], e.AsCall().Args()[1]
	if name, ok := literal(key); ok {
		fac := ast.NewExprFactory()
		e.SetKindCase(fac.NewSelect(e.ID(), fac.CopyExpr(operand), name))
		return w.field(e, e.AsSelect().Operand(), name, in)
	}
	of := w.expression(operand, in)
	w.expression(key, in)
	if of != nil && (of.Kind == KindList || of.Kind == KindMap) {
		return of.Elem
	}
	return nil
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// qualified reports whether a member call is one of a function whose name has a
// dot in it, such as math.abs, or was probably meant to be.
func (w *walk) qualified(e ast.Expr, in locals) bool {
	target, name := e.AsCall().Target(), e.AsCall().FunctionName()
	if target.Kind() != ast.IdentKind {
		return false
	}
	space := target.AsIdent()
	functions := w.scope.env.Functions()
	if _, local := in[space]; local || w.scope.roots[space] != nil || w.scope.elsewhere[space] != "" {
		return false
	}
	if functions[space+"."+name] != nil {
		return true
	}
	if functions[name] != nil { // so it is the variable that is wrong
		return false
	}
	w.told[target.ID()] = true
	w.problemAt(e.ID(), w.place(target.ID()), w.unknownFunction(space+"."+name))
	return true
}

func (w *walk) comprehension(e ast.Expr, in locals) {
	c := e.AsComprehension()
	over := w.expression(c.IterRange(), in)
	var elem *Type
	switch {
	case over == nil:
	case over.Kind == KindList:
		elem = over.Elem
	case over.Kind == KindMap:
		elem = String
	}
	for _, name := range []string{c.IterVar(), c.IterVar2()} {
		if _, taken := w.scope.roots[name]; taken {
			w.problem(e.ID(), "%s has a meaning of its own and cannot be the name of an element; take another name", name)
		}
	}
	inner := in.with(c.IterVar(), elem).with(c.AccuVar(), nil)
	if c.HasIterVar2() {
		inner = inner.with(c.IterVar2(), nil)
	}
	for _, part := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
		w.expression(part, inner)
	}
}

// variable looks up a name. Part is set if only a field of it is used.
func (w *walk) variable(e ast.Expr, in locals, part bool) *Type {
	name := e.AsIdent()
	if t, ok := in[name]; ok || strings.HasPrefix(name, "@") {
		return t
	}
	t, ok := w.scope.roots[name]
	if !ok {
		w.unknownVariable(e.ID(), name)
		return nil
	}
	if !part {
		w.whole[name] = true
		if t.Parts != "" {
			w.misread = true
			w.problem(e.ID(), "%s", t.Parts)
		}
	}
	return t
}

func (w *walk) unknownVariable(id int64, name string) {
	if why, ok := w.scope.elsewhere[name]; ok {
		w.problem(id, "%s", why)
		return
	}
	if _, err := w.scope.provider.FindIdent(name); err || w.typeName(name) {
		return
	}
	known := slices.Sorted(maps.Keys(w.scope.roots))
	w.problem(id, "there is no %s here%s", name, suggest(name, known, "there are "+strings.Join(known, ", ")))
}

// typeName reports whether name is one of CEL's types, which are values, too.
func (w *walk) typeName(name string) bool {
	_, err := w.scope.env.Compile(name)
	return err.Err() == nil
}

// selection resolves x.field.
func (w *walk) selection(e ast.Expr, in locals) *Type {
	return w.field(e, e.AsSelect().Operand(), e.AsSelect().FieldName(), in)
}

// field resolves the field of an operand that e stands for.
func (w *walk) field(e, operand ast.Expr, field string, in locals) *Type {
	root := ""
	var of *Type
	if operand.Kind() == ast.IdentKind {
		of = w.variable(operand, in, true)
		if _, local := in[operand.AsIdent()]; !local && of != nil {
			root = operand.AsIdent()
		}
	} else {
		of = w.expression(operand, in)
	}
	if of == nil {
		return nil
	}
	if of.Kind == KindObject {
		t, ok := of.Fields[field]
		if !ok {
			w.unknownField(e.ID(), of, field, "")
			return nil
		}
		if why, hidden := w.scope.hidden[root][field]; hidden {
			w.unknownField(e.ID(), of, field, why)
			return nil
		}
		if root != "" {
			if w.uses[root] == nil {
				w.uses[root] = map[string]bool{}
			}
			w.uses[root][field] = true
		}
		return t
	}
	if root != "" {
		w.whole[root] = true
	}
	if of.Kind == KindMap {
		return of.Elem
	}
	return nil
}

// unknownField reports a field that is not there, or is not to be used: why says
// why.
func (w *walk) unknownField(id int64, of *Type, field, why string) {
	at := w.place(id)
	if i := strings.Index(w.expr[at:], field); i >= 0 {
		at += i
	}
	if why == "" {
		why = of.Missing[field]
	}
	if why != "" {
		w.problemAt(id, at, why)
		return
	}
	known := slices.Sorted(maps.Keys(of.Fields))
	for _, name := range slices.Backward(known) { // the longest of those that begin alike
		if strings.HasPrefix(name, field+"-") && strings.HasPrefix(w.expr[at:], name) {
			w.misread = true
			w.dashed = append(w.dashed, [2]int{at, at + len(name)})
			w.problemAt(id, at, fmt.Sprintf("%s has a dash in its name, which reads as minus; write %s[%q]", name, of.Name, name))
			return
		}
	}
	rest := "it has " + strings.Join(known, ", ")
	if len(known) == 0 {
		rest = "it has nothing"
	}
	w.problemAt(id, at, fmt.Sprintf("there is no %s in %s%s", field, of.Name, suggest(field, known, rest)))
}

// suggest returns the end of a message about an unknown name: the nearest known
// one, or otherwise.
func suggest(name string, known []string, otherwise string) string {
	if near, ok := nearest.Likely(name, known...); ok {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return "; " + otherwise
}

func (w *walk) problem(id int64, format string, args ...any) {
	w.problemAt(id, w.place(id), fmt.Sprintf(format, args...))
}

func (w *walk) problemAt(id int64, at int, text string) {
	w.told[id] = true
	for _, d := range w.dashed {
		if at > d[0] && at < d[1] {
			return // the rest of a name that was taken for a difference
		}
	}
	w.problems = append(w.problems, Problem{Offset: at, Text: text})
}

// place returns where the checker says that an expression is.
func (w *walk) place(id int64) int {
	return toName(w.expr, offset(w.expr, w.ast.SourceInfo().GetStartLocation(id)))
}

// toName returns the place of the name that is called, if at is that of the
// parenthesis behind it.
func toName(expr string, at int) int {
	if at >= len(expr) || expr[at] != '(' {
		return at
	}
	for at > 0 && (expr[at-1] == '_' || expr[at-1] >= '0' && expr[at-1] <= '9' || expr[at-1]|0x20 >= 'a' && expr[at-1]|0x20 <= 'z') {
		at--
	}
	return at
}

// typeProblem reports what CEL's checker says, unless it follows from what was
// said before.
func (w *walk) typeProblem(issue *common.Error) {
	if w.told[issue.ExprID] || w.misread {
		return
	}
	at := toName(w.expr, offset(w.expr, issue.Location))
	text := readable(issue.Message)
	switch m := undeclared.FindStringSubmatch(issue.Message); {
	case m != nil:
		text = w.unknownFunction(m[1])
	case noField.MatchString(issue.Message) && len(w.problems) > 0:
		return
	default:
		if m := noOverload.FindStringSubmatch(issue.Message); m != nil && m[2] == "" && w.memberOnly(m[1]) {
			text = fmt.Sprintf("%s is called on a value: write VALUE.%s(…)", m[1], m[1])
		}
	}
	w.problemAt(issue.ExprID, at, text)
}

// memberOnly reports whether a function can only be called on a value.
func (w *walk) memberOnly(name string) bool {
	f := w.scope.env.Functions()[name]
	return f != nil && !slices.ContainsFunc(f.OverloadDecls(), func(o *decls.OverloadDecl) bool { return !o.IsMemberFunction() })
}

func (w *walk) unknownFunction(name string) string {
	var known []string
	for f := range w.scope.env.Functions() {
		if !strings.ContainsAny(f, "@_!-") {
			known = append(known, f)
		}
	}
	for _, m := range w.scope.env.Macros() {
		known = append(known, m.Function())
	}
	known = append(known, "math.greatest", "math.least")
	slices.Sort(known)
	return fmt.Sprintf("there is no function %s%s", name, suggest(name, slices.Compact(known), "see docs/YAML.md for those there are"))
}
