// Package render draws the graph of a workflow, or of a run with the state of
// each node, as Mermaid, as DOT for Graphviz, or as SVG.
//
// A graph of hundreds of nodes drawn node by node is a grey square. [Collapse]
// makes one node of those that do the same at the same depth, as often as it has
// to, and drawings show of such a group how many nodes it stands for and in
// which states they are.
//
// Names come from users: whatever is in them, the drawings stay well-formed and
// show it as text. The SVG stands alone: no scripts, no fonts or styles from
// elsewhere.
package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// State is where a node stands, in the words of package client. The empty State
// is that of graphs without a run.
type State string

// States in the order of legends and summaries.
const (
	Failed    State = "failed"
	Running   State = "running"
	Open      State = "open" // its scope is running
	Available State = "available"
	Waiting   State = "waiting"
	Pending   State = "pending"
	Completed State = "completed"
	Cancelled State = "cancelled"
	Skipped   State = "skipped"
)

var states = []State{Failed, Running, Open, Available, Waiting, Pending, Completed, Cancelled, Skipped}

// Graph is what is drawn.
type Graph struct {
	// Title is a line above the drawing.
	Title string
	// Nodes in an order in which each comes after all that it needs.
	Nodes []Node
}

// Node is a node, or a group of them.
type Node struct {
	Name string
	// Detail is a smaller line below the name, such as the task; it may be empty.
	Detail string
	// Group is what nodes have in common that may be drawn as one: the task.
	Group string
	State State
	// Needs are indices of nodes.
	Needs []int

	// Count is how many nodes a group stands for; zero and one mean no group.
	Count int
	// States counts the nodes of a group by state.
	States map[State]int
}

// Many makes the node a group of nodes in these states.
func (n *Node) Many(of map[State]int) {
	n.Count, n.States, n.State = 0, of, foremost(of)
	for _, c := range of {
		n.Count += c
	}
}

func (n *Node) isGroup() bool { return n.Count > 1 }

// counts returns how many nodes are in each state.
func (g *Graph) counts() map[State]int {
	found := map[State]int{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if !n.isGroup() {
			found[n.State]++
			continue
		}
		for s, c := range n.States {
			found[s] += c
		}
	}
	return found
}

// lines are the texts of a node: its name and, if there is one, a second line.
func (n *Node) lines() (name, second string) {
	name = clean(n.Name)
	if n.isGroup() {
		name += fmt.Sprintf(" ×%d", n.Count)
	}
	var parts []string
	if d := clean(n.Detail); d != "" && d != clean(n.Name) {
		parts = append(parts, d)
	}
	switch {
	case n.isGroup():
		if text := stateText(n.States); text != "" {
			parts = append(parts, text)
		}
	case n.State != "":
		parts = append(parts, string(n.State))
	}
	return name, strings.Join(parts, " · ")
}

// stateText is a count of states in words.
func stateText(counts map[State]int) string {
	var parts []string
	for _, s := range ordered(counts) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
	}
	return strings.Join(parts, ", ")
}

// ordered returns the states that occur, those of no legend last.
func ordered(counts map[State]int) []State {
	var found []State
	for s, n := range counts {
		if n > 0 && s != "" {
			found = append(found, s)
		}
	}
	rank := func(s State) int {
		if i := slices.Index(states, s); i >= 0 {
			return i
		}
		return len(states)
	}
	slices.SortFunc(found, func(a, b State) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	return found
}

// clean makes a text fit for a line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	return strings.Join(strings.Fields(s), " ")
}

// shorten takes characters out of the middle of a text until it has at most
// most of them.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	tail := most / 3
	return string(r[:most-tail-1]) + "…" + string(r[len(r)-tail:])
}

// layers returns the layer of each node: each is in a later one than all that it
// needs, and what needs nothing is just before the first that needs it.
func layers(nodes []Node) []int {
	at := make([]int, len(nodes))
	first := make([]int, len(nodes)) // the layer of the first node that needs it
	for i := range nodes {
		for _, need := range nodes[i].Needs {
			at[i] = max(at[i], at[need]+1)
		}
	}
	for i := range nodes {
		for _, need := range nodes[i].Needs {
			if first[need] == 0 || at[i] < first[need] {
				first[need] = at[i]
			}
		}
	}
	for i := range nodes {
		if len(nodes[i].Needs) == 0 && first[i] > 0 {
			at[i] = first[i] - 1
		}
	}
	return at
}
