package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"thousands": thousands,
	"percent":   percent,
}).Parse(pageText))

// HTML returns the report as a page that needs nothing else: no network, no
// other file.
func (r *Report) HTML() ([]byte, error) {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, (*view)(r)); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return page.Bytes(), nil
}

// view is the report with what the page alone needs.
type view Report

// Bar is a bar of a chart.
type Bar struct {
	Name  string
	Count int
	Share string // of the largest, in percent
	Title string
}

// Uses are the packages that most others import.
func (v *view) Uses() []Bar {
	var bars []Bar
	for _, u := range v.MostImported {
		bars = append(bars, Bar{Name: u.Package, Count: u.By, Share: share(u.By, v.MostImported[0].By)})
	}
	return bars
}

// Heights are the layers of the import graph.
func (v *view) Heights() []Bar {
	most := 0
	for _, l := range v.Layers {
		most = max(most, len(l.Packages))
	}
	bars := make([]Bar, len(v.Layers))
	for i, l := range v.Layers {
		bars[i] = Bar{
			Name: strconv.Itoa(l.Height), Count: len(l.Packages), Share: share(len(l.Packages), most),
			Title: some(l.Packages),
		}
	}
	return bars
}

// some names the first packages of a list.
func some(paths []string) string {
	const enough = 12
	if len(paths) <= enough {
		return strings.Join(paths, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(paths[:enough], ", "), len(paths)-enough)
}

// Areas are the parts of the library that the map of imports has, in its order.
func (v *view) Areas() []string { return v.areas.names }

// MapRow is what one part of the library imports.
type MapRow struct {
	Name  string
	Cells []MapCell
}

// MapCell is how often it imports another part; Shade is 0 to 8.
type MapCell struct {
	Count int
	Shade int
	Title string
}

// Map is the map of imports.
func (v *view) Map() []MapRow {
	rows := make([]MapRow, 0, len(v.areas.names))
	for i, name := range v.areas.names {
		row := MapRow{Name: name}
		for j, n := range v.areas.count[i] {
			row.Cells = append(row.Cells, MapCell{
				Count: n, Shade: shade(n, v.areas.most),
				Title: fmt.Sprintf("%s imports %s: %d", name, v.areas.names[j], n),
			})
		}
		rows = append(rows, row)
	}
	return rows
}

// shade grows with the logarithm: few imports can be told from none.
func shade(n, most int) int {
	if n == 0 {
		return 0
	}
	const shades = 8
	return 1 + int(float64(shades-1)*math.Log(float64(n))/math.Log(float64(max(most, 2))))
}

// share is a part in percent, for CSS.
func share(n, of int) string {
	return strconv.FormatFloat(100*float64(n)/float64(max(of, 1)), 'f', 1, 64) + "%"
}

// Documented is the share of a package's exported names that have a comment, in
// percent; empty for one that exports none.
func (p Package) Documented() string {
	if p.Exported == 0 {
		return ""
	}
	return strconv.Itoa(100 * (p.Exported - p.Undocumented) / p.Exported)
}

// LongestLines is the length of the longest function.
func (p Package) LongestLines() int {
	if len(p.Longest) == 0 {
		return 0
	}
	return p.Longest[0].Lines
}

// More is how many undocumented names are not in the list.
func (p Package) More() int { return p.Undocumented - len(p.Names) }

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // a narrow space
	}
	return s
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
