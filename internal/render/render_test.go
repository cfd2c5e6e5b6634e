package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files of drawings")

var formats = map[string]func(io.Writer, Graph) error{"mmd": Mermaid, "dot": DOT, "svg": SVG}

func draw(t interface{ Fatal(args ...any) }, format string, g Graph) string {
	var b bytes.Buffer
	if err := formats[format](&b, g); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// order is a small graph in which each state occurs.
func order() Graph {
	return Graph{Title: "order · run order-17 · running", Nodes: []Node{
		{Name: "reserve", Group: "reserve", Detail: "reserve", State: Completed},
		{Name: "charge", Group: "charge-card", Detail: "charge-card, attempt 3", State: Running, Needs: []int{0}},
		{Name: "label", Group: "label", Detail: "print-label", State: Available, Needs: []int{0}},
		{Name: "gift", Group: "gift", State: Skipped, Needs: []int{0}},
		{Name: "risk", Group: "risk", Detail: "score", State: Failed, Needs: []int{0}},
		{Name: "audit", Group: "audit", State: Cancelled, Needs: []int{4}},
		{Name: "backoff", Group: "backoff", State: Waiting, Needs: []int{4}},
		{Name: "ship", Group: "ship", Detail: "ship", State: Pending, Needs: []int{1, 2, 3, 5, 6}},
		{Name: "mail", Group: "mail", State: Pending, Needs: []int{0, 7}},
	}}
}

// nasty is a graph whose texts try to be more than texts.
func nasty() Graph {
	return Graph{Title: "a \"title\"\n--- <b>&amp;\x00", Nodes: []Node{
		{Name: `</text><script>alert("x")</script>`, Detail: "`markdown` **bold** #35; end"},
		{Name: "say \"hi\" \\N \\", Detail: "x]:::y", State: "odd \"state\"", Needs: []int{0}},
		{Name: "世界\x1b[31m\n\tname \xff", State: Completed, Needs: []int{0, 1}},
		{Name: strings.Repeat("long-", 40), Needs: []int{2}},
	}}
}

// wide is a graph as of a recorded workflow: two layers of many alike, and what
// gathers them.
func wide(n int) Graph {
	g := Graph{Title: "wide", Nodes: []Node{{Name: "split", Group: "split", State: Completed}}}
	for i := range n {
		g.Nodes = append(g.Nodes, Node{Name: fmt.Sprintf("blur-%d", i), Group: "blur", State: Completed, Needs: []int{0}})
	}
	for i := range n {
		state := Pending
		if i%3 == 0 {
			state = Running
		}
		g.Nodes = append(g.Nodes, Node{Name: fmt.Sprintf("sharpen-%d", i), Group: "sharpen", State: state, Needs: []int{1 + i}})
	}
	last := Node{Name: "join", Group: "join", State: Pending}
	for i := range n {
		last.Needs = append(last.Needs, 1+n+i)
	}
	g.Nodes = append(g.Nodes, last)
	return g
}

func TestDrawings(t *testing.T) {
	t.Parallel()
	plain := order()
	plain.Title = "order"
	for i := range plain.Nodes {
		plain.Nodes[i].State = ""
	}
	for name, g := range map[string]Graph{
		"order": order(), "plain": plain, "nasty": nasty(), "wide": Collapse(wide(150), DefaultMax), "empty": {Title: "empty"},
	} {
		for format := range formats {
			path := filepath.Join("testdata", name+"."+format)
			got := draw(t, format, g)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; go test ./internal/render -update writes it", err)
			}
			if got != string(want) {
				t.Errorf("%s differs; look at it after: go test ./internal/render -update", path)
			}
		}
	}
}

// random draws a graph of any shape.
func random(t *rapid.T) Graph {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab -é世<>&\"'\\`\n\x00;#]")), 0, 30, -1)
	g := Graph{Title: text.Draw(t, "title")}
	for i := range rapid.IntRange(0, 60).Draw(t, "nodes") {
		n := Node{
			Name: text.Draw(t, "name"), Detail: text.Draw(t, "detail"), Group: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group"),
			State: rapid.SampledFrom(append([]State{"", "other"}, states...)).Draw(t, "state"),
		}
		if rapid.IntRange(0, 9).Draw(t, "many") == 0 {
			n.Many(map[State]int{Completed: 2, Running: rapid.IntRange(0, 5).Draw(t, "running")})
		}
		if i > 0 {
			n.Needs = slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.IntRange(0, i-1), 0, 4).Draw(t, "needs"))))
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

func TestASVGIsWellFormedAndHasNothingActive(t *testing.T) {
	t.Parallel()
	check := func(t interface{ Fatalf(string, ...any) }, svg string) {
		dec := xml.NewDecoder(strings.NewReader(svg))
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("the SVG is no XML: %v\n%s", err, svg)
			}
			start, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if !slices.Contains([]string{"svg", "title", "defs", "marker", "path", "rect", "text", "g"}, start.Name.Local) {
				t.Fatalf("the SVG has an element %s", start.Name.Local)
			}
			for _, a := range start.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "style" {
					t.Fatalf("the SVG has an attribute %s", a.Name.Local)
				}
			}
		}
	}
	check(t, draw(t, "svg", nasty()))
	rapid.Check(t, func(t *rapid.T) { check(t, draw(t, "svg", random(t))) })
}

func TestNodesDoNotOverlapAndEdgesGoForward(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := random(t)
		sizes := make([]size, len(g.Nodes))
		for i := range sizes {
			sizes[i] = newBox(&g.Nodes[i]).size
		}
		l := place(g.Nodes, sizes)
		for k, layer := range l.layers {
			for i, s := range layer {
				if i == 0 {
					continue
				}
				a, b := l.spots[layer[i-1]], l.spots[s]
				if b.y-b.height/2 < a.y+a.height/2+gapEdges-0.01 {
					t.Fatalf("spots %d and %d of layer %d are at %v and %v, which is too near", layer[i-1], s, k, a.y, b.y)
				}
			}
		}
		for i := range g.Nodes {
			for _, need := range g.Nodes[i].Needs {
				if l.layer[need] >= l.layer[i] {
					t.Fatalf("node %d in layer %d needs %d in layer %d", i, l.layer[i], need, l.layer[need])
				}
			}
			if s := l.spots[i]; s.y-s.height/2 < l.top-0.01 || s.y+s.height/2 > l.bottom+0.01 {
				t.Fatalf("node %d is outside of the drawing", i)
			}
		}
	})
}

func TestEdgesThatNeedNotCrossDoNot(t *testing.T) {
	t.Parallel()
	// Two chains whose second nodes come in the wrong order.
	g := []Node{{}, {}, {Needs: []int{1}}, {Needs: []int{0}}, {Needs: []int{2}}, {Needs: []int{3}}}
	if l := place(g, make([]size, len(g))); l.crossings() != 0 {
		t.Errorf("%d edges cross", l.crossings())
	}
}

func TestCollapseKeepsAllNodesAndTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := random(t)
		most := rapid.IntRange(1, 40).Draw(t, "most")
		c := Collapse(g, most)
		if len(c.Nodes) > most {
			t.Fatalf("%d nodes became %d, not at most %d", len(g.Nodes), len(c.Nodes), most)
		}
		total, want := 0, 0
		for _, n := range g.Nodes {
			want += max(1, n.Count)
		}
		for i, n := range c.Nodes {
			total += max(1, n.Count)
			for _, need := range n.Needs {
				if need >= i {
					t.Fatalf("node %d needs %d, which is not before it", i, need)
				}
			}
		}
		if total != want {
			t.Fatalf("the groups stand for %d nodes of %d", total, want)
		}
		was, is := g.counts(), c.counts()
		delete(was, "") // groups don't count what has no state
		delete(is, "")
		if fmt.Sprint(was) != fmt.Sprint(is) {
			t.Fatalf("the states were %v and are %v", was, is)
		}
	})
}

func TestWhatIsAlikeIsDrawnAsOne(t *testing.T) {
	t.Parallel()
	c := Collapse(wide(150), DefaultMax)
	var names []string
	for i := range c.Nodes {
		name, second := c.Nodes[i].lines()
		names = append(names, name+" ("+second+")")
	}
	want := "split (completed), blur ×150 (150 completed), sharpen ×150 (50 running, 100 pending), join (pending)"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("drawn are %s; want %s", got, want)
	}
	if g := wide(150); len(Collapse(g, 0).Nodes) != len(g.Nodes) {
		t.Error("without a limit nodes were drawn as one")
	}
}

func TestMermaidAndDOTKeepTextsInTheirQuotes(t *testing.T) {
	t.Parallel()
	mermaid := regexp.MustCompile(`^(    n\d+\[{1,2}"[^"]*"\]{1,2}(:::state-[a-z-]+)?|    n\d+ --> n\d+|    classDef .*|flowchart LR|---|title: .*)$`)
	dot := regexp.MustCompile(`^(    n\d+ \[label="([^"\\]|\\[\\"n])*", fillcolor="#[0-9a-f]{6}".*\];|    n\d+ -> n\d+;|    (graph|node|edge) \[.*\];|digraph \{|\})$`)
	rapid.Check(t, func(t *rapid.T) {
		g := random(t)
		for format, line := range map[string]*regexp.Regexp{"mmd": mermaid, "dot": dot} {
			for text := range strings.SplitSeq(strings.TrimSuffix(draw(t, format, g), "\n"), "\n") {
				if !line.MatchString(text) {
					t.Fatalf("a line of %s is %q", format, text)
				}
			}
		}
	})
}
