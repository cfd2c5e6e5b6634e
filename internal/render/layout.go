package render

import (
	"cmp"
	"slices"
)

// Distances of a layout, in pixels.
const (
	gapAcross = 18 // between nodes of a layer
	gapEdges  = 10 // between an edge that passes and its neighbours
	gapLayers = 64 // between layers, in which edges bend
	sweeps    = 12 // over all layers, to untangle edges
)

// spot is a place in a layer: of a node, or of an edge that passes the layer on
// its way to a later one.
type spot struct {
	node          int // -1 for an edge
	height        float64
	y             float64 // of its middle
	before, after []int   // spots in the neighbouring layers
}

// wire is an edge with the spots that it goes through.
type wire struct{ through []int }

// layout is a layered drawing from left to right, as Sugiyama, Tagawa and Toda
// describe it: layers by longest path, edges cut into pieces between neighbouring
// layers, the order within layers by barycentres, and then places that keep the
// order and are as near to the neighbours as they can be.
type layout struct {
	spots  []spot
	layer  []int   // of each node
	layers [][]int // spots in order
	wires  []wire
	x      []float64 // of the left side of each layer
	widths []float64 // of each layer
	width  float64
	top    float64
	bottom float64
}

// place lays out nodes of these sizes. Spots of nodes have the nodes' indices.
func place(nodes []Node, sizes []size) *layout {
	layer := layers(nodes)
	l := &layout{spots: make([]spot, len(nodes)), layer: layer}
	if len(nodes) == 0 {
		return l
	}
	l.layers = make([][]int, slices.Max(layer)+1)
	l.widths = make([]float64, len(l.layers))
	for i := range nodes {
		l.spots[i] = spot{node: i, height: sizes[i].height}
		l.layers[layer[i]] = append(l.layers[layer[i]], i)
		l.widths[layer[i]] = max(l.widths[layer[i]], sizes[i].width)
	}
	for i := range nodes {
		for _, need := range nodes[i].Needs {
			l.connect(need, i, layer[need], layer[i])
		}
	}
	for _, w := range l.widths {
		l.x = append(l.x, l.width)
		l.width += w + gapLayers
	}
	l.width -= gapLayers
	l.untangle()
	l.settle()
	return l
}

// connect adds the edge between two nodes, with a spot in each layer between.
func (l *layout) connect(from, to, fromLayer, toLayer int) {
	w := wire{through: []int{from}}
	at := from
	for k := fromLayer + 1; k <= toLayer; k++ {
		next := to
		if k < toLayer {
			next = len(l.spots)
			l.spots = append(l.spots, spot{node: -1})
			l.layers[k] = append(l.layers[k], next)
		}
		l.spots[at].after = append(l.spots[at].after, next)
		l.spots[next].before = append(l.spots[next].before, at)
		w.through = append(w.through, next)
		at = next
	}
	l.wires = append(l.wires, w)
}

// untangle orders the spots of layers so that few edges cross: there and back,
// each layer by the mean place of its neighbours in the one before, and the best
// order that was seen.
func (l *layout) untangle() {
	best, fewest := l.copyLayers(), l.crossings()
	for sweep := 0; sweep < sweeps && fewest > 0; sweep++ {
		forward := sweep%2 == 0
		for step := 1; step < len(l.layers); step++ {
			k := step
			if !forward {
				k = len(l.layers) - 1 - step
			}
			l.sortLayer(k, forward)
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.copyLayers(), n
		}
	}
	l.layers = best
}

func (l *layout) copyLayers() [][]int {
	c := make([][]int, len(l.layers))
	for i := range l.layers {
		c[i] = slices.Clone(l.layers[i])
	}
	return c
}

func (l *layout) neighbours(s int, forward bool) []int {
	if forward {
		return l.spots[s].before
	}
	return l.spots[s].after
}

// sortLayer orders layer k by the layer before it, or behind it. A spot without
// neighbours there keeps its place.
func (l *layout) sortLayer(k int, forward bool) {
	other := k - 1
	if !forward {
		other = k + 1
	}
	at := positions(l.layers[other], len(l.spots))
	wish := make(map[int]float64, len(l.layers[k]))
	for i, s := range l.layers[k] {
		sum, n := 0.0, l.neighbours(s, forward)
		for _, o := range n {
			sum += float64(at[o])
		}
		wish[s] = float64(i)
		if len(n) > 0 {
			// In the measure of this layer, so that the two kinds compare.
			wish[s] = sum / float64(len(n)) * float64(len(l.layers[k])) / float64(len(l.layers[other]))
		}
	}
	slices.SortStableFunc(l.layers[k], func(a, b int) int { return cmp.Compare(wish[a], wish[b]) })
}

func positions(layer []int, n int) []int {
	at := make([]int, n)
	for i, s := range layer {
		at[s] = i
	}
	return at
}

// crossings counts the pairs of edges that cross, between all neighbouring
// layers, by counting inversions with a tree of sums.
func (l *layout) crossings() int {
	total := 0
	for k := 0; k+1 < len(l.layers); k++ {
		at := positions(l.layers[k+1], len(l.spots))
		tree := make([]int, len(l.layers[k+1])+1)
		seen := 0
		for _, s := range l.layers[k] {
			ends := make([]int, 0, len(l.spots[s].after))
			for _, o := range l.spots[s].after {
				ends = append(ends, at[o])
			}
			for _, e := range ends { // earlier edges that end behind this one cross it
				below := 0
				for i := e + 1; i > 0; i -= i & -i {
					below += tree[i]
				}
				total += seen - below
			}
			for _, e := range ends {
				for i := e + 1; i < len(tree); i += i & -i {
					tree[i]++
				}
			}
			seen += len(ends)
		}
	}
	return total
}

// settle gives the spots their places: at first one below the other, then, layer
// by layer there and back, as near to the middle of their neighbours as order
// and distances allow.
func (l *layout) settle() {
	for _, layer := range l.layers {
		y := 0.0
		for i, s := range layer {
			if i > 0 {
				y += l.apart(layer[i-1], s)
			}
			l.spots[s].y = y
		}
		for _, s := range layer {
			l.spots[s].y -= y / 2
		}
	}
	for sweep := range sweeps {
		forward := sweep%2 == 0
		for step := range l.layers {
			k := step
			if !forward {
				k = len(l.layers) - 1 - step
			}
			l.settleLayer(l.layers[k], forward)
		}
	}
	for i := range l.spots {
		s := &l.spots[i]
		if i == 0 {
			l.top, l.bottom = s.y-s.height/2, s.y+s.height/2
		}
		l.top, l.bottom = min(l.top, s.y-s.height/2), max(l.bottom, s.y+s.height/2)
	}
}

// apart is the distance that the middles of two neighbours of a layer must have.
func (l *layout) apart(a, b int) float64 {
	gap := float64(gapAcross)
	if l.spots[a].node < 0 || l.spots[b].node < 0 {
		gap = gapEdges
	}
	return (l.spots[a].height+l.spots[b].height)/2 + gap
}

// settleLayer minimises the squares of the distances between the spots and the
// means of their neighbours under the distances that they must have. Without
// these distances, which are taken off first, that is isotonic regression, and
// pooling neighbours that would change places solves it.
func (l *layout) settleLayer(layer []int, forward bool) {
	type pool struct {
		sum, weight float64
		n           int
	}
	var pools []pool
	offset := make([]float64, len(layer))
	for i, s := range layer {
		if i > 0 {
			offset[i] = offset[i-1] + l.apart(layer[i-1], s)
		}
		wish, weight := l.spots[s].y, 0.05
		if n := l.neighbours(s, forward); len(n) > 0 {
			wish, weight = 0, 1
			for _, o := range n {
				wish += l.spots[o].y / float64(len(n))
			}
			if l.spots[s].node < 0 {
				weight = 4 // edges should be straight
			}
		}
		pools = append(pools, pool{sum: (wish - offset[i]) * weight, weight: weight, n: 1})
		for len(pools) > 1 {
			a, b := pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/a.weight <= b.sum/b.weight {
				break
			}
			pools = append(pools[:len(pools)-2], pool{a.sum + b.sum, a.weight + b.weight, a.n + b.n})
		}
	}
	i := 0
	for _, p := range pools {
		for range p.n {
			l.spots[layer[i]].y = p.sum/p.weight + offset[i]
			i++
		}
	}
}
