package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// color is how a state looks.
type color struct{ fill, stroke, text string }

var colors = map[State]color{
	"":        {"#f2f6ff", "#3d5a98", "#1f2d4d"},
	Failed:    {"#ffe3e0", "#c62828", "#7a1410"},
	Running:   {"#fff3c4", "#b7791f", "#5f3d06"},
	Open:      {"#fffbe6", "#b7791f", "#5f3d06"},
	Available: {"#dcefff", "#1971c2", "#0b3d6b"},
	Waiting:   {"#e9e2ff", "#6741d9", "#3b2487"},
	Pending:   {"#f4f5f7", "#9aa2ad", "#4a525e"},
	Completed: {"#ddf5e3", "#2b8a3e", "#14532d"},
	Cancelled: {"#e3e6ea", "#6b7280", "#374151"},
	Skipped:   {"#ffffff", "#9aa2ad", "#6b7280"},
}

// colorOf is the color of a state; one that is not known looks as if pending.
func colorOf(s State) color {
	if c, ok := colors[s]; ok {
		return c
	}
	return colors[Pending]
}

// dashed reports whether the outline of a state is: nothing was or will be done.
func dashed(s State) bool { return s == Cancelled || s == Skipped }

// Mermaid writes the graph as a Mermaid flowchart, as Markdown of many places
// shows it in a block of the language "mermaid".
func Mermaid(w io.Writer, g Graph) error {
	var b strings.Builder
	if g.Title != "" {
		title, err := json.Marshal(clean(g.Title)) // which is a YAML string
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "---\ntitle: %s\n---\n", title)
	}
	b.WriteString("flowchart LR\n")
	used := map[State]int{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		name, second := n.lines()
		label := mermaidText(name)
		if second != "" {
			label += "<br/>" + mermaidText(second)
		}
		left, right := `["`, `"]`
		if n.isGroup() {
			left, right = `[["`, `"]]`
		}
		fmt.Fprintf(&b, "    n%d%s%s%s", i, left, label, right)
		if n.State != "" {
			used[n.State]++
			fmt.Fprintf(&b, ":::%s", mermaidClass(n.State))
		}
		b.WriteString("\n")
	}
	for i := range g.Nodes {
		for _, need := range g.Nodes[i].Needs {
			fmt.Fprintf(&b, "    n%d --> n%d\n", need, i)
		}
	}
	for _, s := range ordered(used) {
		c := colorOf(s)
		fmt.Fprintf(&b, "    classDef %s fill:%s,stroke:%s,color:%s", mermaidClass(s), c.fill, c.stroke, c.text)
		if dashed(s) {
			b.WriteString(",stroke-dasharray:4 3")
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mermaidText escapes what Mermaid would not take as text: it has entities of
// its own, and reads Markdown, of which a list may begin a label.
func mermaidText(s string) string {
	var b strings.Builder
	for i, r := range s {
		list := strings.ContainsRune("-+*", r) && i == 0 || r == '.' && strings.Trim(s[:i], "0123456789") == ""
		if list || strings.ContainsRune("\"#<>&`\\", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mermaidClass is a state as the name of a class, which may not be a keyword.
func mermaidClass(s State) string {
	return "state-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, string(s))
}

// DOT writes the graph in the language of Graphviz.
func DOT(w io.Writer, g Graph) error {
	var b strings.Builder
	b.WriteString("digraph {\n")
	b.WriteString("    graph [rankdir=LR, fontname=\"Helvetica\", labelloc=t")
	if g.Title != "" {
		fmt.Fprintf(&b, ", label=%s", dotText(clean(g.Title)))
	}
	b.WriteString("];\n    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n    edge [color=\"#7a8494\", arrowsize=0.7];\n")
	for i := range g.Nodes {
		n := &g.Nodes[i]
		name, second := n.lines()
		label := dotText(name)
		if second != "" {
			label = strings.TrimSuffix(label, `"`) + `\n` + strings.TrimPrefix(dotText(second), `"`)
		}
		c, style := colorOf(n.State), ""
		if dashed(n.State) {
			style = `, style="rounded,filled,dashed"`
		}
		if n.isGroup() {
			style += ", peripheries=2"
		}
		fmt.Fprintf(&b, "    n%d [label=%s, fillcolor=%q, color=%q, fontcolor=%q%s];\n", i, label, c.fill, c.stroke, c.text, style)
	}
	for i := range g.Nodes {
		for _, need := range g.Nodes[i].Needs {
			fmt.Fprintf(&b, "    n%d -> n%d;\n", need, i)
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// dotText quotes a text for DOT. A backslash would begin an escape, and an
// ampersand an entity.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`).Replace(s) + `"`
}
