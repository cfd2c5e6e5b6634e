package workflow

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel"
)

// Key is what a [Switch] can tell apart.
type Key interface {
	~string | ~bool | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Arm is one of the cases of a [Switch]; see [Case].
type Arm[K Key, T any] struct {
	key   K
	build func(*Graph) Value[T]
	at    place
}

// Case returns the case of a [Switch] for one key.
func Case[K Key, T any](key K, build func(*Graph) Value[T]) Arm[K, T] {
	return Arm[K, T]{key: key, build: build, at: caller()}
}

// If adds a choice between two branches by c, and returns the value of the one
// that a run takes. The functions are called at once, each with the graph of its
// branch, to which all it adds must go. They may use values of the graph around
// them, which become edges, but nobody else may use what they make, other than
// through the value that If returns.
//
//	fee := workflow.If(g, "vip", vip,
//		func(g *workflow.Graph) V[int] { return workflow.Const(g, 0) },
//		func(g *workflow.Graph) V[int] { return workflow.Do(g, price, order) })
//
// The nodes of the branch that is not taken end as [grapnel.NodeSkipped].
func If[T any](g *Graph, name string, c Value[bool], then, els func(*Graph) Value[T]) Value[T] {
	at := g.enter()
	s := g.newSwitch(at, name, typeName[bool](), typeName[T](), c.e)
	s.branch(at, "then", erase(then), true)
	s.branch(at, "else", erase(els), false)
	return Value[T]{e: s.end()}
}

// When adds a branch that a run takes if c is true. What it returns is for
// [After]: it comes to null, when all in the branch has ended or the branch was
// skipped.
func When(g *Graph, name string, c Value[bool], then func(*Graph)) Value[None] {
	at := g.enter()
	s := g.newSwitch(at, name, typeName[bool](), typeName[None](), c.e)
	var build func(*Graph) *edge
	if then != nil {
		build = func(g *Graph) *edge {
			then(g)
			return &edge{g: g, size: 1, depth: 1}
		}
	}
	s.branch(at, "then", build, true)
	return Value[None]{e: s.end()}
}

// Switch adds a choice between branches by the key k, and returns the value of
// the one that a run takes: the case that has the key, or other if none has. Other
// may be nil: then the switch is skipped, and its value is T's zero value. See
// [If] for what a branch's function may do, and [SwitchExhaustive] for a switch
// that must have a case.
func Switch[K Key, T any](g *Graph, name string, k Value[K], other func(*Graph) Value[T], cases ...Arm[K, T]) Value[T] {
	at := g.enter()
	s := g.newSwitch(at, name, typeName[K](), typeName[T](), k.e)
	addCases(s, cases)
	if other != nil {
		s.branch(at, "other", erase(other))
	}
	if len(s.branches) == 0 {
		g.report(at, invalidf("switch %s has no case", name))
	}
	return Value[T]{e: s.end()}
}

// SwitchExhaustive is a [Switch] that has a case for each of these values, which
// is checked when it is built, and whose key is one of them, which is checked
// when a run gets there: another one fails the node for good, with
// [KindNoBranch].
func SwitchExhaustive[K Key, T any](g *Graph, name string, k Value[K], values []K, cases ...Arm[K, T]) Value[T] {
	at := g.enter()
	s := g.newSwitch(at, name, typeName[K](), typeName[T](), k.e)
	s.exhaustive = true
	addCases(s, cases)
	missing := map[K]bool{}
	for _, v := range values {
		missing[v] = true
	}
	for _, c := range cases {
		if len(values) > 0 && !slices.Contains(values, c.key) {
			g.report(c.at, invalidf("switch %s has a case %v, which is none of its values %v", name, c.key, values))
		}
		delete(missing, c.key)
	}
	for _, v := range values {
		if missing[v] {
			g.report(at, invalidf("switch %s has no case %v: add one, or use workflow.Switch with a branch for all others", name, v))
		}
	}
	if len(values) == 0 {
		g.report(at, invalidf("switch %s names no values", name))
	}
	return Value[T]{e: s.end()}
}

func addCases[K Key, T any](s *scopeBuilder, cases []Arm[K, T]) {
	for _, c := range cases {
		s.branch(c.at, keyName(fmt.Sprint(c.key)), erase(c.build), c.key)
	}
}

// MapOption is a setting of a [Map].
type MapOption interface{ applyMap(*nodeSpec) }

// Parallel limits how many items of a [Map] are under way at a time; the first
// ones go first. Zero is no limit.
func Parallel(n int) MapOption { return parallelOption(n) }

type parallelOption int

func (o parallelOption) applyMap(n *nodeSpec) { n.policy.Parallel = int(o) }

func (o afterOption) applyMap(n *nodeSpec) { o.applyNode(n) }

// Map adds a body that a run has once for each item of a list, and returns the
// list of what the bodies come to, in the order of the items. Body is called at
// once, with the graph of the body and the item; see [If] for what it may do. A
// list may have [MaxItems] items; with more the node fails for good, with
// [KindTooManyItems]. When a node of an item fails for good the run fails.
//
//	sizes := workflow.Map(g, "each", files, func(g *workflow.Graph, f V[File]) V[int] {
//		return workflow.Do(g, measure, f)
//	}, workflow.Parallel(4))
func Map[E, R any](g *Graph, name string, items Value[[]E], body func(g *Graph, item Value[E]) Value[R], o ...MapOption) Value[[]R] {
	at := g.enter()
	s := g.newScope(at, KindMap, name, typeName[[]E](), typeName[[]R](), items.e)
	errs := apply(o, func(o MapOption) { o.applyMap(&s.set) })
	s.set.errs = append(s.set.errs, errs...)
	s.set.errs = append(s.set.errs, s.set.policy.problems()...)
	var build func(*Graph) *edge
	if body != nil {
		build = func(g *Graph) *edge {
			return body(g, Value[E]{e: g.value(at, Source{Kind: SourceItem, Node: g.scope - 1})}).e
		}
	}
	s.begin()
	s.build(at, Branch{}, "the body of map "+name, "", build)
	return Value[[]R]{e: s.end()}
}

// Index returns the index, from 0, of the item whose body g is of, the innermost
// one if maps are in maps.
func Index(g *Graph) Value[int] {
	at := g.enter()
	for scope := g; scope.outer != nil; scope = scope.outer {
		if scope.nodes[scope.scope-1].Kind == KindMap {
			return Value[int]{e: g.value(at, Source{Kind: SourceIndex, Node: scope.scope - 1})}
		}
	}
	return Value[int]{e: g.invalid(at, invalidf("there is no item here: %s is in the body of no map", g.what))}
}

// scopeBuilder adds a holder and its branches.
type scopeBuilder struct {
	g    *Graph
	at   place
	what string // "switch vip"
	n    newNode
	set  nodeSpec

	exhaustive bool
	branches   []Branch
	holder     *edge
	index      int
	keys       map[string]place
}

func (g *Graph) newSwitch(at place, name, in, out string, key *edge) *scopeBuilder {
	s := g.newScope(at, KindSwitch, name, in, out, key)
	s.begin()
	return s
}

func (g *Graph) newScope(at place, kind NodeKind, name, in, out string, input *edge) *scopeBuilder {
	what := kind.String() + " " + name
	return &scopeBuilder{g: g, at: at, what: what, keys: map[string]place{}, n: newNode{
		Node: Node{Kind: kind, Name: name, InType: in, OutType: out}, what: what, in: input,
	}}
}

// begin adds the holder, without its branches.
func (s *scopeBuilder) begin() {
	if err := grapnel.ValidateName(s.n.Kind.String(), s.n.Name); err != nil {
		s.g.report(s.at, err)
	}
	s.n.set = s.set
	s.holder = s.g.add(s.at, s.n)
	s.index = s.holder.from.Node
}

// erase returns build without its type; nil for nil.
func erase[T any](build func(*Graph) Value[T]) func(*Graph) *edge {
	if build == nil {
		return nil
	}
	return func(g *Graph) *edge { return build(g).e }
}

// branch adds a branch of a switch, which is taken for these keys.
func (s *scopeBuilder) branch(at place, name string, build func(*Graph) *edge, keys ...any) {
	b := Branch{Name: name}
	for _, key := range keys {
		data, err := marshal(key)
		if err != nil {
			s.g.report(at, fmt.Errorf("%s: key %v: %w", s.what, key, err))
			return
		}
		if first, ok := s.keys[string(data)]; ok {
			s.g.report(at, invalidf("%s: there is a case %v already, at %v", s.what, key, first))
			return
		}
		s.keys[string(data)] = at
		b.Keys = append(b.Keys, data)
	}
	if slices.ContainsFunc(s.branches, func(o Branch) bool { return o.Name == b.Name }) {
		b.Name = keyName(b.Name + string(b.Keys[0])) // two keys that look alike
	}
	s.build(at, b, fmt.Sprintf("the %s branch of %s", b.Name, s.what), b.Name+".", build)
}

// build calls the function that adds the nodes of a branch.
func (s *scopeBuilder) build(at place, b Branch, what, prefix string, build func(*Graph) *edge) {
	if build == nil {
		s.g.report(at, invalidf("the function of %s is nil", what))
		return
	}
	inner := &Graph{
		whole: s.g.whole, outer: s.g, what: what, at: at, scope: s.index + 1, branch: len(s.branches),
		prefix: s.g.nodes[s.index].Name + "." + prefix,
	}
	s.g.inner = inner
	out := inner.accept(at, "what the function of "+what+" returns", build(inner))
	inner.done, s.g.inner = true, nil
	s.g.count(at, out)
	b.Result = out.from
	s.branches = append(s.branches, b)
}

// end completes the holder and returns its value.
func (s *scopeBuilder) end() *edge {
	n := &s.g.nodes[s.index]
	n.Branches, n.Exhaustive = s.branches, s.exhaustive
	return s.holder
}

// keyName returns the name of the branch for a key, which is the key itself if
// that is a short name.
func keyName(key string) string {
	const most = 40
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("._-", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, key)
	if clean == key && key != "" && len(key) <= most {
		return key
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return fmt.Sprintf("%s-%08x", clean[:min(len(clean), most)], h.Sum32())
}
