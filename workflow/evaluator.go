package workflow

// Evaluator evaluates the expressions of one language, those of nodes of
// [KindExpr]. It must be pure and total, as an inline function is, and safe for
// concurrent use.
type Evaluator interface {
	// Language returns the language's name, such as "cel", which nodes name in
	// Task.
	Language() string
	// Evaluate returns the value of expr, as JSON, with the fields of env, a JSON
	// object, as its variables. An error fails the node for good, with
	// [KindBadExpression].
	Evaluate(expr string, env []byte) (out []byte, err error)
}
