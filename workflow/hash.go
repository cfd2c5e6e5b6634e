package workflow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// topologyVersion begins the bytes that are hashed. It changes only together
// with the encoding, which would make every stored run's definition a
// different one.
const topologyVersion = "grapnel topology 1"

// scopedTopologyVersion begins the bytes of definitions with scopes or
// expressions, which have more to say of each node. Others keep the hash they
// had before there were such.
const scopedTopologyVersion = "grapnel topology 2"

// Hash identifies the topology: the workflow's name, its nodes with their
// names, tasks, expressions, types, inputs, needs, scopes and branches, and how
// the output is made. Policies
// and the version label are no part of it, so they can change under a running
// run; nor is the code of inline functions, which are found by name. It is 32
// hex digits, and empty before [Definition.Seal].
func (d *Definition) Hash() string { return d.hash }

// Dependents returns, ascending, the nodes that need node i. The slice is the
// definition's own: don't modify it. It is nil before [Definition.Seal].
func (d *Definition) Dependents(i int) []int32 {
	if i < 0 || i >= len(d.dependents) {
		return nil
	}
	return d.dependents[i]
}

func (d *Definition) topologyHash() string {
	var t topology
	scoped := d.Scoped()
	if scoped {
		t.text(scopedTopologyVersion)
	} else {
		t.text(topologyVersion)
	}
	t.text(d.Name)
	t.text(d.InType)
	t.text(d.OutType)
	t.number(len(d.Nodes))
	for i := range d.Nodes {
		n := &d.Nodes[i]
		t.number(int(n.Kind))
		t.text(n.Name)
		t.text(n.Task)
		t.text(n.InType)
		t.text(n.OutType)
		t.source(n.Input)
		t.number(len(n.Needs))
		for _, need := range n.Needs {
			t.number(need)
		}
		if scoped {
			t.scope(n)
		}
	}
	t.source(d.Output)
	sum := sha256.Sum256(t.buf)
	return hex.EncodeToString(sum[:16])
}

// topology collects the canonical encoding of a definition: numbers as
// varints, texts and lists behind their length, so that no two topologies have
// the same bytes.
type topology struct{ buf []byte }

func (t *topology) number(n int) { t.buf = binary.AppendUvarint(t.buf, uint64(n)) }

func (t *topology) text(s string) {
	t.number(len(s))
	t.buf = append(t.buf, s...)
}

func (t *topology) path(p []string) {
	t.number(len(p))
	for _, name := range p {
		t.text(name)
	}
}

// scope encodes where a node is and what it holds.
func (t *topology) scope(n *Node) {
	t.text(n.Expr)
	t.number(n.Scope)
	t.number(n.Branch)
	t.flag(n.Exhaustive)
	t.number(len(n.Branches))
	for _, b := range n.Branches {
		t.text(b.Name)
		t.number(len(b.Keys))
		for _, k := range b.Keys {
			t.text(string(k))
		}
		t.source(b.Result)
	}
}

func (t *topology) flag(b bool) {
	if b {
		t.number(1)
	} else {
		t.number(0)
	}
}

// source encodes what counts for the kind of s, and nothing else.
func (t *topology) source(s Source) {
	t.number(int(s.Kind))
	switch s.Kind {
	case SourceNode, SourceItem, SourceIndex:
		t.number(s.Node)
	case SourceConst:
		t.text(string(s.Const))
	case SourceField:
		t.path(s.Path)
	case SourceStruct:
		t.text(string(s.Const))
		t.number(len(s.Paths))
		for _, p := range s.Paths {
			t.path(p)
		}
	case SourceNone, SourceInput, SourceRunID, SourceGather:
	}
	t.number(len(s.Of))
	for _, of := range s.Of {
		t.source(of)
	}
}

// linkDependents inverts the needs of all nodes. The lists share one array,
// since a definition may have 10,000 of them.
func (d *Definition) linkDependents() [][]int32 {
	counts := make([]int, len(d.Nodes))
	total := 0
	for i := range d.Nodes {
		for _, need := range d.Nodes[i].Needs {
			counts[need]++
			total++
		}
	}
	all := make([]int32, 0, total)
	dependents := make([][]int32, len(d.Nodes))
	for i, n := range counts {
		dependents[i] = all[len(all) : len(all) : len(all)+n]
		all = all[:len(all)+n]
	}
	for i := range d.Nodes {
		for _, need := range d.Nodes[i].Needs {
			dependents[need] = append(dependents[need], int32(i))
		}
	}
	return dependents
}
