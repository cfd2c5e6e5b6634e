package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grapnel-dev/grapnel"
)

// Limits of definitions.
const (
	// MaxNodes is how many nodes a definition may have.
	MaxNodes = 10_000
	// MaxEdges is how many needs all nodes together may have.
	MaxEdges = 100_000
	// MaxSources is how many sources the inputs of all nodes and the output may
	// consist of, counting each [Source] with all that it is made from.
	MaxSources = 100_000
	// MaxSourceDepth is how deeply sources may be made from sources.
	MaxSourceDepth = 100
)

// Seal checks the graph and computes what follows from it: the hash and the
// dependents of each node. Whoever fills a Definition, from storage or from
// another format, calls it once, before anybody else sees the definition; what
// [New] makes is sealed. Nothing may be modified afterwards but policies.
//
// The error joins everything that is wrong and wraps [grapnel.ErrInvalid] or
// [grapnel.ErrTooLarge]. Policies are not checked, for a stored one may predate
// a rule: see [Policy.Validate] and [RunPolicy.Validate].
func (d *Definition) Seal() error {
	var errs []error
	if err := grapnel.ValidateName("workflow", d.Name); err != nil {
		errs = append(errs, err)
	}
	if len(d.Nodes) > MaxNodes {
		return tooManyNodes(d.Name)
	}
	names := make(map[string]int, len(d.Nodes))
	sources, edges := 0, 0
	for i := range d.Nodes {
		n := &d.Nodes[i]
		if edges += len(n.Needs); edges > MaxEdges {
			return tooManyEdges(d.Name)
		}
		if first, ok := names[n.Name]; ok {
			errs = append(errs, fmt.Errorf("%w: nodes %d and %d are both named %s", grapnel.ErrInvalid, first, i, n.Name))
		} else {
			names[n.Name] = i
		}
		if err := n.check(i, &sources); err != nil {
			errs = append(errs, fmt.Errorf("node %d (%s): %w", i, n.Name, err))
		}
	}
	if err := d.Output.check(len(d.Nodes), &sources); err != nil {
		errs = append(errs, fmt.Errorf("output: %w", err))
	}
	if len(errs) == 0 {
		errs = d.checkScopes(&sources)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("workflow %s: %w", d.Name, err)
	}
	d.dependents = d.linkDependents()
	d.linkResults()
	d.hash = d.topologyHash()
	return nil
}

// check checks node n at index i, which may need only nodes before it.
func (n *Node) check(i int, sources *int) error {
	var errs []error
	errs = append(errs, grapnel.ValidateName("node", n.Name), n.checkKind())
	for j, need := range n.Needs {
		if need < 0 || need >= i {
			errs = append(errs, fmt.Errorf("%w: needs node %d, which is not before it", grapnel.ErrInvalid, need))
		}
		if j > 0 && need <= n.Needs[j-1] {
			errs = append(errs, fmt.Errorf("%w: needs %v are not ascending", grapnel.ErrInvalid, n.Needs))
			break
		}
	}
	if err := n.Input.check(i, sources); err != nil {
		return errors.Join(append(errs, fmt.Errorf("input: %w", err))...)
	}
	reads := map[int]bool{}
	n.Input.Nodes(reads)
	for _, need := range n.Needs {
		delete(reads, need)
	}
	for _, node := range slices.Sorted(maps.Keys(reads)) {
		errs = append(errs, fmt.Errorf("%w: reads node %d but does not need it", grapnel.ErrInvalid, node))
	}
	return errors.Join(errs...)
}

// checkKind checks that n has what its kind calls for.
func (n *Node) checkKind() error {
	if n.Kind != KindExpr && n.Expr != "" {
		return invalidf("a node of kind %v has no expression", n.Kind)
	}
	switch n.Kind {
	case KindTask:
		return grapnel.ValidateName("task", n.Task)
	case KindInline:
		return grapnel.ValidateName("inline function", n.Task)
	case KindExpr:
		switch {
		case n.Expr == "":
			return invalidf("the expression is empty")
		case len(n.Expr) > MaxExpr:
			return fmt.Errorf("%w: the expression has %d bytes, at most %d are allowed", grapnel.ErrTooLarge, len(n.Expr), MaxExpr)
		}
		return grapnel.ValidateName("language", n.Task)
	case KindSwitch, KindMap:
		if n.Task != "" {
			return invalidf("a %v runs no task, but names %s", n.Kind, n.Task)
		}
		return nil
	}
	return fmt.Errorf("%w: unknown kind of node %d", grapnel.ErrInvalid, n.Kind)
}

// check checks a source that may read the nodes before index limit, and counts
// it into sources.
func (s Source) check(limit int, sources *int) error {
	return s.checkAt(0, limit, sources)
}

func (s Source) checkAt(depth, limit int, sources *int) error {
	*sources++
	switch {
	case *sources > MaxSources:
		return tooManySources()
	case depth >= MaxSourceDepth:
		return tooDeep()
	}
	if err := s.checkShape(limit); err != nil {
		return err
	}
	for i, of := range s.Of {
		if err := of.checkAt(depth+1, limit, sources); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	return nil
}

// checkShape checks that s has what its kind calls for.
func (s Source) checkShape(limit int) error {
	parts := 0
	switch s.Kind {
	case SourceNone, SourceInput, SourceRunID:
	case SourceNode, SourceItem, SourceIndex:
		if s.Node < 0 || s.Node >= limit {
			return fmt.Errorf("%w: node %d is read before it is made", grapnel.ErrInvalid, s.Node)
		}
	case SourceConst:
		if !json.Valid(s.Const) {
			return fmt.Errorf("%w: constant is not JSON", grapnel.ErrInvalid)
		}
	case SourceField:
		parts = 1
		if len(s.Path) == 0 {
			return fmt.Errorf("%w: field without a path", grapnel.ErrInvalid)
		}
	case SourceStruct:
		parts = len(s.Paths)
		if !json.Valid(s.Const) {
			return fmt.Errorf("%w: constant part of a struct is not JSON", grapnel.ErrInvalid)
		}
		if err := checkPaths(s.Paths); err != nil {
			return err
		}
	case SourceGather:
		parts = len(s.Of)
	default:
		return fmt.Errorf("%w: unknown kind of source %d", grapnel.ErrInvalid, s.Kind)
	}
	if len(s.Of) != parts {
		return fmt.Errorf("%w: source of kind %d is made from %d others, want %d", grapnel.ErrInvalid, s.Kind, len(s.Of), parts)
	}
	return nil
}

// checkPaths checks that no path is empty or leads into, or to, another one.
func checkPaths(paths [][]string) error {
	sorted := slices.Clone(paths)
	slices.SortFunc(sorted, slices.Compare)
	for i, p := range sorted {
		if len(p) == 0 {
			return fmt.Errorf("%w: struct sets an empty path", grapnel.ErrInvalid)
		}
		if i > 0 && isPrefix(sorted[i-1], p) {
			return fmt.Errorf("%w: struct sets %q twice", grapnel.ErrInvalid, sorted[i-1])
		}
	}
	return nil
}

// isPrefix reports whether path p leads to the place q or to one around it.
func isPrefix(p, q []string) bool { return len(p) <= len(q) && slices.Equal(p, q[:len(p)]) }

func tooManyNodes(name string) error {
	return fmt.Errorf("%w: workflow %s has more than %d nodes", grapnel.ErrTooLarge, name, MaxNodes)
}

func tooManyEdges(name string) error {
	return fmt.Errorf("%w: the nodes of workflow %s need more than %d others in all", grapnel.ErrTooLarge, name, MaxEdges)
}

func tooManySources() error {
	return fmt.Errorf("%w: the inputs of all nodes together are made from more than %d sources", grapnel.ErrTooLarge, MaxSources)
}

func tooDeep() error {
	return fmt.Errorf("%w: a value is made from values more than %d levels deep", grapnel.ErrTooLarge, MaxSourceDepth)
}
