package render

import (
	"fmt"
	"slices"
	"strings"
)

// DefaultMax is how many nodes a drawing has at most if nobody says otherwise.
const DefaultMax = 60

// Collapse returns g with at most most nodes, or g itself if it has no more or
// most is not positive. Nodes of one task in one layer become one; if these are
// too many, all of a layer; and if those are, all of several layers.
func Collapse(g Graph, most int) Graph {
	if most <= 0 || len(g.Nodes) <= most {
		return g
	}
	layer := layers(g.Nodes)
	last := slices.Max(layer)
	for _, key := range []func(i int) string{
		func(i int) string { return fmt.Sprintf("%08d %s", layer[i], g.Nodes[i].Group) },
		func(i int) string { return fmt.Sprintf("%08d", layer[i]) },
		func(i int) string { return fmt.Sprintf("%08d", layer[i]*most/(last+1)) },
	} {
		keys := map[string][]int{}
		for i := range g.Nodes {
			keys[key(i)] = append(keys[key(i)], i)
		}
		if len(keys) <= most {
			return merge(g, keys)
		}
	}
	return g // not reached: the last grouping has at most most groups
}

// merge makes a node of each group. The order of keys is one in which each group
// comes after all that it needs.
func merge(g Graph, groups map[string][]int) Graph {
	out := Graph{Title: g.Title}
	into := make([]int, len(g.Nodes))
	keys := make([]string, 0, len(groups))
	for key := range groups {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for k, key := range keys {
		for _, i := range groups[key] {
			into[i] = k
		}
	}
	for k, key := range keys {
		members := groups[key]
		n := g.Nodes[members[0]]
		if len(members) > 1 {
			n = group(g.Nodes, members)
		}
		n.Needs = nil
		for _, i := range members {
			for _, need := range g.Nodes[i].Needs {
				if into[need] != k {
					n.Needs = append(n.Needs, into[need])
				}
			}
		}
		slices.Sort(n.Needs)
		n.Needs = slices.Compact(n.Needs)
		out.Nodes = append(out.Nodes, n)
	}
	return out
}

// group is the node that stands for members.
func group(nodes []Node, members []int) Node {
	n := Node{States: map[State]int{}}
	var tasks []string
	for _, i := range members {
		switch m := &nodes[i]; {
		case m.isGroup():
			n.Count += m.Count
			for s, c := range m.States {
				n.States[s] += c
			}
		default:
			n.Count++
			if m.State != "" {
				n.States[m.State]++
			}
		}
		if t := nodes[i].Group; !slices.Contains(tasks, t) {
			tasks = append(tasks, t)
		}
	}
	const named = 2
	n.Name = strings.Join(tasks[:min(named, len(tasks))], ", ")
	if more := len(tasks) - named; more > 0 {
		n.Name += fmt.Sprintf(" and %d more", more)
	}
	n.State = foremost(n.States)
	return n
}

// foremost is the state in whose colour a group is drawn: that of its trouble,
// or of its work, or of what is left.
func foremost(counts map[State]int) State {
	if found := ordered(counts); len(found) > 0 {
		return found[0]
	}
	return ""
}
