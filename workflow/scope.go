package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grapnel-dev/grapnel"
)

// Limits of scopes.
const (
	// MaxItems is how many items the list of a map may have.
	MaxItems = 256
	// MaxSlots is how many nodes a run may have, those of the definition and
	// those that maps add for their items together.
	MaxSlots = 20_000
	// MaxScopeDepth is how deeply scopes may be in scopes.
	MaxScopeDepth = 16
	// MaxBranches is how many branches a switch may have.
	MaxBranches = 256
	// MaxExpr is the longest expression, in bytes.
	MaxExpr = 16 << 10
)

// Branch is one of the branches of a switch, or the body of a map.
type Branch struct {
	// Name is for people and in the names of the branch's nodes. It is unique in
	// its switch; that of a map's body is not used and may be empty.
	Name string
	// Keys are what the switch's key is compared with, as JSON: strings, numbers
	// or bools. The branch of a switch that has none is taken when no other one
	// has the key; there may be one such branch.
	Keys [][]byte
	// Result says how the value of the scope is made, once all of its nodes have
	// ended. It reads nodes of the branch, or what these may read.
	Result Source
}

// Holds reports whether nodes of this kind hold scopes.
func (k NodeKind) Holds() bool { return k == KindSwitch || k == KindMap }

// String returns the kind's name in lower case.
func (k NodeKind) String() string {
	switch k {
	case KindTask:
		return "task"
	case KindInline:
		return "inline"
	case KindExpr:
		return "expression"
	case KindSwitch:
		return "switch"
	case KindMap:
		return "map"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Scoped reports whether the definition has anything that definitions did not
// have at first: scopes or expressions. Such definitions are hashed and stored
// with more to each node.
func (d *Definition) Scoped() bool {
	for i := range d.Nodes {
		if n := &d.Nodes[i]; n.Kind > KindInline || n.Scope != 0 {
			return true
		}
	}
	return false
}

// scopes is what follows from where the nodes of a definition are.
type scopes struct {
	end     []int32    // by node, the index behind the last one in its scope
	inMap   []int32    // by node, the innermost map around it, or -1
	inside  [][]branch // by node, of a holder, what follows for its branches
	closers [][]closer // by node, the branches outside of it whose results read it
}

// branch is what follows for a branch of a holder.
type branch struct {
	nodes []int32 // directly in the branch
	outer []int32 // nodes around the scope that the result reads
}

// closer is a branch of a holder.
type closer struct{ holder, branch int32 }

// holderOf returns the node that holds the scope node i is in, or -1.
func (d *Definition) holderOf(i int) int { return d.Nodes[i].Scope - 1 }

// linkScopes computes which node is in which scope. Results are not looked at.
func (d *Definition) linkScopes() {
	n := len(d.Nodes)
	s := scopes{end: make([]int32, n), inMap: make([]int32, n), inside: make([][]branch, n), closers: make([][]closer, n)}
	for i := range d.Nodes {
		s.end[i], s.inMap[i] = int32(i+1), -1
		if len(d.Nodes[i].Branches) > 0 {
			s.inside[i] = make([]branch, len(d.Nodes[i].Branches))
		}
		h := d.holderOf(i)
		if h < 0 {
			continue
		}
		s.inMap[i] = s.inMap[h]
		if d.Nodes[h].Kind == KindMap {
			s.inMap[i] = int32(h)
		}
		b := &s.inside[h][d.Nodes[i].Branch]
		b.nodes = append(b.nodes, int32(i))
	}
	for i := n - 1; i >= 0; i-- {
		if h := d.holderOf(i); h >= 0 {
			s.end[h] = max(s.end[h], s.end[i])
		}
	}
	d.scopes = s
}

// linkResults computes what results read around their scopes.
func (d *Definition) linkResults() {
	for h := range d.Nodes {
		for b := range d.Nodes[h].Branches {
			reads := map[int]bool{}
			d.Nodes[h].Branches[b].Result.Nodes(reads)
			for _, x := range slices.Sorted(maps.Keys(reads)) {
				if x < h {
					d.scopes.inside[h][b].outer = append(d.scopes.inside[h][b].outer, int32(x))
					d.scopes.closers[x] = append(d.scopes.closers[x], closer{int32(h), int32(b)})
				}
			}
		}
	}
}

// checkScopes checks where the nodes are and what holders hold. Its errors name
// their nodes.
func (d *Definition) checkScopes(sources *int) []error {
	var errs []error
	var open []int // the holders around the node before, the innermost last
	last := make(map[int]int, 8)
	for i := range d.Nodes {
		n := &d.Nodes[i]
		fail := func(err error) { errs = append(errs, d.at(i, err)) }
		for len(open) > 0 && open[len(open)-1] != n.Scope-1 {
			open = open[:len(open)-1]
		}
		switch h := n.Scope - 1; {
		case n.Scope < 0 || h >= 0 && len(open) == 0:
			fail(invalidf("it is in the scope of node %d, which is not open here: the nodes of a scope follow their holder directly", h))
			return errs
		case h < 0 && n.Branch != 0:
			fail(invalidf("it is in branch %d of no scope", n.Branch))
			return errs
		case h >= 0 && (n.Branch < 0 || n.Branch >= len(d.Nodes[h].Branches)):
			fail(invalidf("it is in branch %d of node %d (%s), which has %d", n.Branch, h, d.Nodes[h].Name, len(d.Nodes[h].Branches)))
			return errs
		case h >= 0 && n.Branch < last[h]:
			fail(invalidf("it is in branch %d of node %d (%s), whose branch %d began before", n.Branch, h, d.Nodes[h].Name, last[h]))
			return errs
		case h >= 0:
			last[h] = n.Branch
		}
		if err := n.checkHolder(); err != nil {
			fail(err)
		}
		if n.Kind.Holds() {
			if open = append(open, i); len(open) > MaxScopeDepth {
				fail(fmt.Errorf("%w: scopes are more than %d levels deep", grapnel.ErrTooLarge, MaxScopeDepth))
				return errs
			}
		}
	}
	if len(errs) > 0 {
		return errs
	}
	d.linkScopes()
	return d.checkVisible(sources)
}

// checkVisible checks that nodes and results read only what they can see.
func (d *Definition) checkVisible(sources *int) []error {
	var errs []error
	for i := range d.Nodes {
		n := &d.Nodes[i]
		for _, need := range n.Needs {
			if err := d.visible(need, n.Scope-1, n.Branch, i); err != nil {
				errs = append(errs, d.at(i, fmt.Errorf("needs: %w", err)))
			}
		}
		if err := d.checkItems(n.Input, n.Scope-1); err != nil {
			errs = append(errs, d.at(i, fmt.Errorf("input: %w", err)))
		}
		for b := range n.Branches {
			if err := d.checkResult(i, b, sources); err != nil {
				errs = append(errs, d.at(i, fmt.Errorf("result of branch %d: %w", b, err)))
			}
		}
	}
	reads := map[int]bool{}
	d.Output.Nodes(reads)
	for _, x := range slices.Sorted(maps.Keys(reads)) {
		if err := d.visible(x, -1, 0, len(d.Nodes)); err != nil {
			errs = append(errs, fmt.Errorf("output: %w", err))
		}
	}
	if err := d.checkItems(d.Output, -1); err != nil {
		errs = append(errs, fmt.Errorf("output: %w", err))
	}
	return errs
}

// checkResult checks the result of branch b of node h, which is made after all
// nodes of the branch.
func (d *Definition) checkResult(h, b int, sources *int) error {
	end := int(d.scopes.end[h])
	s := d.Nodes[h].Branches[b].Result
	if err := s.check(end, sources); err != nil {
		return err
	}
	reads := map[int]bool{}
	s.Nodes(reads)
	for _, x := range slices.Sorted(maps.Keys(reads)) {
		if err := d.visible(x, h, b, end); err != nil {
			return err
		}
	}
	return d.checkItems(s, h)
}

// visible checks that node x can be read from a place in branch b of the scope
// of node holder (-1: the top) that comes before node limit.
func (d *Definition) visible(x, holder, b, limit int) error {
	scope := d.holderOf(x)
	for holder != scope && holder >= 0 {
		// What is around a scope must come before its holder.
		limit, b, holder = holder, d.Nodes[holder].Branch, d.holderOf(holder)
	}
	switch {
	case holder != scope || d.Nodes[x].Branch != b:
		return invalidf("node %d (%s) is in another scope: what is inside of a scope is read through its holder, node %d (%s)",
			x, d.Nodes[x].Name, scope, d.Nodes[scope].Name)
	case x >= limit:
		return invalidf("node %d (%s) is not before it", x, d.Nodes[x].Name)
	}
	return nil
}

// checkItems checks that the items that s reads are of maps around the scope of
// node holder, or that scope's own.
func (d *Definition) checkItems(s Source, holder int) error {
	if s.Kind == SourceItem || s.Kind == SourceIndex {
		h := holder
		for h >= 0 && h != s.Node {
			h = d.holderOf(h)
		}
		if h < 0 || d.Nodes[h].Kind != KindMap {
			return invalidf("the item of node %d is read outside of a map's body that this is", s.Node)
		}
	}
	for _, of := range s.Of {
		if err := d.checkItems(of, holder); err != nil {
			return err
		}
	}
	return nil
}

// checkHolder checks what a node holds, apart from results.
func (n *Node) checkHolder() error {
	switch n.Kind {
	case KindMap:
		if len(n.Branches) != 1 || len(n.Branches[0].Keys) > 0 || n.Exhaustive {
			return invalidf("a map has one branch, its body, without keys")
		}
		return nil
	case KindSwitch:
		return n.checkBranches()
	}
	if len(n.Branches) > 0 || n.Exhaustive {
		return invalidf("a node of kind %v has no branches", n.Kind)
	}
	return nil
}

func (n *Node) checkBranches() error {
	if len(n.Branches) == 0 {
		return invalidf("a switch without branches")
	}
	if len(n.Branches) > MaxBranches {
		return fmt.Errorf("%w: a switch with more than %d branches", grapnel.ErrTooLarge, MaxBranches)
	}
	var errs []error
	names, keys, other := map[string]bool{}, map[string]bool{}, false
	for i, b := range n.Branches {
		if err := grapnel.ValidateName("branch", b.Name); err != nil {
			errs = append(errs, err)
		} else if names[b.Name] {
			errs = append(errs, invalidf("two branches are named %s", b.Name))
		}
		names[b.Name] = true
		if len(b.Keys) == 0 {
			if other || n.Exhaustive {
				errs = append(errs, invalidf("branch %s has no key, which is for the one branch of a switch that is not exhaustive", b.Name))
			}
			other = true
		}
		for _, k := range b.Keys {
			key, err := canonicalKey(k)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("branch %d (%s): %w", i, b.Name, err))
			case keys[key]:
				errs = append(errs, invalidf("two branches have the key %s", k))
			}
			keys[key] = true
		}
	}
	return errors.Join(errs...)
}

// choose returns the branch of a switch for a key, or -1 if there is none.
// Errors are those of keys that are no keys.
func (n *Node) choose(key []byte) (int, error) {
	other := slices.IndexFunc(n.Branches, func(b Branch) bool { return len(b.Keys) == 0 })
	if len(key) == 0 || bytes.Equal(key, []byte("null")) {
		return other, nil
	}
	want, err := canonicalKey(key)
	if err != nil {
		return -1, err
	}
	for i := range n.Branches {
		for _, k := range n.Branches[i].Keys {
			if have, err := canonicalKey(k); err == nil && have == want {
				return i, nil
			}
		}
	}
	return other, nil
}

// canonicalKey returns the same text for JSON of the same key: escapes in
// strings and the spelling of numbers do not count.
func canonicalKey(data []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return "", invalidf("key %q is not JSON", data)
	}
	switch v := v.(type) {
	case string:
		return "s" + v, nil
	case bool:
		return fmt.Sprintf("b%t", v), nil
	case json.Number:
		return "n" + canonicalNumber(v.String()), nil
	}
	return "", invalidf("key %s is no string, number or bool", data)
}

func (d *Definition) at(i int, err error) error {
	return fmt.Errorf("node %d (%s): %w", i, d.Nodes[i].Name, err)
}
