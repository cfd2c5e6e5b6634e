package render

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Measures of an SVG, in pixels.
const (
	margin      = 24
	titleHeight = 34
	legendLine  = 26
	fontTitle   = 16.0
	fontName    = 13.0
	fontSecond  = 11.0
	padding     = 13
	stripe      = 5 // in the colour of the state, at a node's left
	gauge       = 5 // the height of a group's bar of states
	leastWidth  = 260
	maxName     = 36 // characters
	maxSecond   = 60
	fonts       = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
)

type size struct{ width, height float64 }

// SVG writes the graph as an SVG that stands alone: a layered drawing from left
// to right, with a legend if there are states. The full text of each node is its
// tooltip.
func SVG(w io.Writer, g Graph) error {
	boxes := make([]box, len(g.Nodes))
	sizes := make([]size, len(g.Nodes))
	for i := range g.Nodes {
		boxes[i] = newBox(&g.Nodes[i])
		sizes[i] = boxes[i].size
	}
	l := place(g.Nodes, sizes)
	title, counts := clean(g.Title), g.counts()
	width := max(l.width, textWidth(title, fontTitle), leastWidth) + 2*margin
	top := float64(margin)
	if title != "" {
		top += titleHeight
	}
	legendTop := top + l.bottom - l.top + margin
	legend, legendHeight := drawLegend(counts, width, legendTop)
	height := legendTop + legendHeight

	var d drawing
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %[1]s %[2]s" role="img" font-family="%s">`, num(width), num(height), fonts)
	d.add(`<title>%s</title>`, escape(title))
	d.add(`<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 .5L8 4L0 7.5z" fill="#8a94a3"/></marker></defs>`)
	d.add(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	if title != "" {
		d.add(`<text x="%d" y="%d" font-size="%v" font-weight="600" fill="#1f2937">%s</text>`, margin, margin+14, fontTitle, escape(title))
	}
	d.add(`<g transform="translate(%d %s)">`, margin, num(top-l.top))
	d.edges(l)
	for i := range boxes {
		k := l.layer[i]
		d.node(&g.Nodes[i], &boxes[i], l.x[k], l.spots[i].y, l.widths[k])
	}
	d.add(`</g>`)
	d.b.WriteString(legend)
	d.add(`</svg>`)
	_, err := io.WriteString(w, d.b.String())
	return err
}

// drawing is an SVG as it is written.
type drawing struct{ b strings.Builder }

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

// box is a node with the texts that fit.
type box struct {
	size
	name, second string
	full         string
}

func newBox(n *Node) box {
	name, second := n.lines()
	b := box{name: shorten(name, maxName), second: shorten(second, maxSecond), full: name}
	if second != "" {
		b.full += "\n" + second
	}
	b.width = max(textWidth(b.name, fontName)*1.04, textWidth(b.second, fontSecond)) + 2*padding + stripe
	b.height = 32
	if second != "" {
		b.height = 46
	}
	if n.isGroup() && len(n.States) > 0 {
		b.height += gauge + 5
	}
	b.width = max(b.width, 72)
	return b
}

// node draws a node whose layer has this width.
func (d *drawing) node(n *Node, b *box, x, y, width float64) {
	c, dash := colorOf(n.State), ""
	if dashed(n.State) {
		dash = ` stroke-dasharray="4 3"`
	}
	top := y - b.height/2
	d.add(`<g><title>%s</title>`, escape(b.full))
	if n.isGroup() { // a second card behind it
		d.add(`<rect x="%s" y="%s" width="%s" height="%s" rx="7" fill="%s" stroke="%s" opacity=".55"/>`,
			num(x+4), num(top-4), num(width), num(b.height), c.fill, c.stroke)
	}
	d.add(`<rect x="%s" y="%s" width="%s" height="%s" rx="7" fill="%s" stroke="%s"%s/>`,
		num(x), num(top), num(width), num(b.height), c.fill, c.stroke, dash)
	d.add(`<rect x="%s" y="%s" width="3" height="%s" rx="1.5" fill="%s"/>`, num(x+stripe), num(top+8), num(b.height-16), c.stroke)
	left, base := x+padding+stripe, top+20.5
	d.add(`<text x="%s" y="%s" font-size="%v" font-weight="500" fill="%s">%s</text>`, num(left), num(base), fontName, c.text, escape(b.name))
	if b.second != "" {
		d.add(`<text x="%s" y="%s" font-size="%v" fill="%s" opacity=".8">%s</text>`, num(left), num(base+15.5), fontSecond, c.text, escape(b.second))
	}
	if n.isGroup() && len(n.States) > 0 {
		d.gauge(n, left, base+22, width-2*padding-stripe)
	}
	d.add(`</g>`)
}

// gauge draws the states of a group as a bar.
func (d *drawing) gauge(n *Node, x, y, width float64) {
	for _, s := range []State{Completed, Skipped, Failed, Cancelled, Running, Open, Available, Waiting, Pending} {
		part := width * float64(n.States[s]) / float64(n.Count)
		if part > 0 {
			d.add(`<rect x="%s" y="%s" width="%s" height="%d" fill="%s"/>`, num(x), num(y), num(part), gauge, colorOf(s).stroke)
		}
		x += part
	}
}

// edges draws all edges, as curves that are level where they meet a layer.
func (d *drawing) edges(l *layout) {
	d.add(`<g fill="none" stroke="#8a94a3" stroke-width="1.2">`)
	for _, w := range l.wires {
		from := w.through[0]
		k := l.layer[from]
		x, y := l.x[k]+l.widths[k], l.spots[from].y
		var p strings.Builder
		fmt.Fprintf(&p, "M%s %s", num(x), num(y))
		for _, s := range w.through[1:] {
			k++
			next, level := l.x[k], l.spots[s].y
			bend := (next - x) / 2
			fmt.Fprintf(&p, "C%s %s %s %s %s %s", num(x+bend), num(y), num(next-bend), num(level), num(next), num(level))
			x, y = next, level
			if l.spots[s].node < 0 {
				x += l.widths[k]
				fmt.Fprintf(&p, "H%s", num(x))
			}
		}
		d.add(`<path d="%s" marker-end="url(#arrow)"/>`, p.String())
	}
	d.add(`</g>`)
}

// drawLegend returns the states with their numbers, and how high that is.
func drawLegend(counts map[State]int, width, top float64) (string, float64) {
	var d drawing
	x, y := float64(margin), top
	for _, s := range ordered(counts) {
		text := fmt.Sprintf("%d %s", counts[s], s)
		need := textWidth(text, fontSecond) + 40
		if x+need > width-margin && x > margin {
			x, y = margin, y+legendLine
		}
		c, dash := colorOf(s), ""
		if dashed(s) {
			dash = ` stroke-dasharray="3 2"`
		}
		d.add(`<rect x="%s" y="%s" width="14" height="10" rx="2" fill="%s" stroke="%s"%s/>`, num(x), num(y), c.fill, c.stroke, dash)
		d.add(`<text x="%s" y="%s" font-size="%v" fill="#374151">%s</text>`, num(x+20), num(y+9), fontSecond, escape(text))
		x += need
	}
	if d.b.Len() == 0 {
		return "", 0
	}
	return d.b.String(), y - top + legendLine + 10
}

// textWidth is about how wide a text is. Fonts differ, so it is rather too much.
func textWidth(s string, font float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case r > 0x2e7f: // Chinese, Japanese, Korean, emojis
			w += 1.05
		case strings.ContainsRune("iljtfr.,:;'|!()[] ", r):
			w += 0.38
		case strings.ContainsRune("mwMW@%", r):
			w += 0.92
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			w += 0.69
		default:
			w += 0.61
		}
	}
	return w * font
}

// num shows a coordinate to a tenth of a pixel.
func num(f float64) string {
	f = math.Round(f*10) / 10
	if f == 0 {
		return "0" // not -0
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "" // not reached: a Builder takes everything
	}
	return b.String()
}
