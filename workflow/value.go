package workflow

// Value is an edge of a graph: the promise of a T, not a T. Nothing runs while
// a graph is built, so there is no way to look inside; hand it to the functions
// of this package. The zero Value belongs to no graph and cannot be used.
//
// A short alias makes signatures readable:
//
//	type V[T any] = workflow.Value[T]
type Value[T any] struct {
	_ [0]*T // keeps Value[int] from being converted to Value[string]
	e *edge
}

// Dep is something that a node can wait for: any [Value].
type Dep interface{ dependency() *edge }

func (v Value[T]) dependency() *edge { return v.e }

// edge is a Value without its type.
type edge struct {
	g    *Graph
	from Source
	// size counts the sources that from consists of, since shared parts make
	// it grow exponentially; depth is how deep they are.
	size, depth int
}

// value returns an edge from s, whose parts are those of the edges.
func (g *Graph) value(at place, s Source, parts ...*edge) *edge {
	e := &edge{g: g, from: s, size: 1, depth: 1}
	for _, p := range parts {
		e.size += p.size
		e.depth = max(e.depth, p.depth+1)
		if e.size > MaxSources {
			g.abort(at, tooManySources())
		}
	}
	if e.depth > MaxSourceDepth {
		g.abort(at, tooDeep())
	}
	return e
}

// invalid reports err and returns an edge that stands for the value that could
// not be made, so that one mistake is one error.
func (g *Graph) invalid(at place, err error) *edge {
	g.report(at, err)
	return &edge{g: g, size: 1, depth: 1}
}
