package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel/examples/stdlib/survey"
)

// imports is the graph of which package imports which, by index.
type imports struct {
	paths  []string // sorted
	to     [][]int  // what a package imports
	from   [][]int  // what imports a package
	height []int
}

// newImports takes sorted surveys. It knows nothing of imports from elsewhere.
func newImports(surveys []survey.Package) *imports {
	n := len(surveys)
	g := &imports{paths: make([]string, n), to: make([][]int, n), from: make([][]int, n), height: make([]int, n)}
	for i, s := range surveys {
		g.paths[i] = s.Path
	}
	for i, s := range surveys {
		for _, path := range s.Imports {
			if j, ok := slices.BinarySearch(g.paths, path); ok && j != i {
				g.to[i] = append(g.to[i], j)
				g.from[j] = append(g.from[j], i)
			}
		}
	}
	g.climb()
	return g
}

// climb computes the height of each package: one more than that of the highest
// that it imports. Files of different platforms may together import in a circle,
// which no build does; the import that closes it does not count.
func (g *imports) climb() {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(g.paths))
	var visit func(i int) int
	visit = func(i int) int {
		switch state[i] {
		case open:
			return -1
		case done:
			return g.height[i]
		}
		state[i] = open
		for _, j := range g.to[i] {
			g.height[i] = max(g.height[i], visit(j)+1)
		}
		state[i] = done
		return g.height[i]
	}
	for i := range g.paths {
		visit(i)
	}
}

func (g *imports) importedBy(i int) []string {
	names := make([]string, 0, len(g.from[i]))
	for _, j := range g.from[i] {
		names = append(names, g.paths[j])
	}
	return names
}

func (g *imports) layers() []Layer {
	layers := []Layer{}
	for i, path := range g.paths {
		for len(layers) <= g.height[i] {
			layers = append(layers, Layer{Height: len(layers), Packages: []string{}})
		}
		at := &layers[g.height[i]]
		at.Packages = append(at.Packages, path)
	}
	return layers
}

// areas counts imports between parts of the library, named after the first
// element of their packages' paths.
type areas struct {
	names []string
	count [][]int // from row to column
	most  int     // the largest count
}

const maxAreas = 18

// areas has the parts with most packages, and the rest as one.
func (g *imports) areas() areas {
	size := map[string]int{}
	for _, path := range g.paths {
		size[area(path)]++
	}
	var a areas
	for name := range size {
		a.names = append(a.names, name)
	}
	slices.SortFunc(a.names, func(x, y string) int {
		return cmp.Or(cmp.Compare(size[y], size[x]), strings.Compare(x, y))
	})
	const others = "others"
	if len(a.names) > maxAreas {
		a.names = append(a.names[:maxAreas-1:maxAreas-1], others)
	}
	index := func(path string) int {
		if i := slices.Index(a.names, area(path)); i >= 0 {
			return i
		}
		return len(a.names) - 1
	}
	a.count = make([][]int, len(a.names))
	for i := range a.count {
		a.count[i] = make([]int, len(a.names))
	}
	for i, path := range g.paths {
		from := index(path)
		for _, j := range g.to[i] {
			to := index(g.paths[j])
			a.count[from][to]++
			a.most = max(a.most, a.count[from][to])
		}
	}
	return a
}

func area(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}
