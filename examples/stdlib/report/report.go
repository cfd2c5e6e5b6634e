// Package report puts what was found in many packages together: a report as data
// and as one page of HTML. The same surveys give the same bytes, in whatever
// order they come.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel/examples/stdlib/survey"
)

// How much of each list the report has.
const (
	maxLongest      = 25
	maxMostImported = 16
)

// Report is about all packages of a library.
type Report struct {
	Title  string `json:"title"`
	Totals Totals `json:"totals"`
	// Longest are the longest functions of all, MostImported the packages that
	// most others import.
	Longest      []Function `json:"longest_functions"`
	MostImported []Use      `json:"most_imported"`
	// Layers has the packages that import nothing first, then those that import
	// only packages of layers before theirs.
	Layers   []Layer   `json:"layers"`
	Packages []Package `json:"packages"`

	areas areas // for the page alone: it follows from the rest
}

// Totals are sums over all packages. What is exported is counted in those that
// everybody may import.
type Totals struct {
	Packages     int `json:"packages"`
	Internal     int `json:"internal_packages"`
	Files        int `json:"files"`
	Lines        int `json:"lines"`
	Functions    int `json:"functions"`
	Exported     int `json:"exported"`
	Undocumented int `json:"undocumented"`
	Imports      int `json:"imports"` // between these packages
}

// Function is a function and its package.
type Function struct {
	Package string `json:"package"`
	survey.Function
}

// Use is how many packages import one.
type Use struct {
	Package string `json:"package"`
	By      int    `json:"by"`
}

// Layer is the packages at one height of the import graph.
type Layer struct {
	Height   int      `json:"height"`
	Packages []string `json:"packages"`
}

// Package is a survey, with what other packages say about it.
type Package struct {
	survey.Package
	// Internal is set if not everybody may import it.
	Internal   bool     `json:"internal"`
	ImportedBy []string `json:"imported_by"`
	Height     int      `json:"height"`
}

// New makes a report with this title. The order of surveys does not matter, and
// they are not modified.
func New(title string, surveys []survey.Package) *Report {
	surveys = slices.Clone(surveys)
	slices.SortFunc(surveys, func(a, b survey.Package) int { return strings.Compare(a.Path, b.Path) })
	g := newImports(surveys)
	r := &Report{
		Title: title, Longest: []Function{}, MostImported: []Use{}, Packages: []Package{},
		Layers: g.layers(), areas: g.areas(),
	}
	for i, s := range surveys {
		p := Package{Package: s, Internal: internal(s.Path), ImportedBy: g.importedBy(i), Height: g.height[i]}
		r.Packages = append(r.Packages, p)
		r.Totals.add(&p)
		for _, f := range s.Longest {
			r.Longest = append(r.Longest, Function{Package: s.Path, Function: f})
		}
		if n := len(p.ImportedBy); n > 0 {
			r.MostImported = append(r.MostImported, Use{Package: s.Path, By: n})
		}
	}
	slices.SortStableFunc(r.Longest, func(a, b Function) int { return cmp.Compare(b.Lines, a.Lines) })
	slices.SortStableFunc(r.MostImported, func(a, b Use) int { return cmp.Compare(b.By, a.By) })
	r.Longest = r.Longest[:min(len(r.Longest), maxLongest)]
	r.MostImported = r.MostImported[:min(len(r.MostImported), maxMostImported)]
	return r
}

func internal(path string) bool {
	return slices.Contains(strings.Split(path, "/"), "internal")
}

func (t *Totals) add(p *Package) {
	t.Packages++
	t.Files += p.Files
	t.Lines += p.Lines
	t.Functions += p.Functions
	t.Imports += len(p.ImportedBy)
	if p.Internal {
		t.Internal++
		return
	}
	t.Exported += p.Exported
	t.Undocumented += p.Undocumented
}

// Documented is the share of exported names with a comment, in percent.
func (t Totals) Documented() float64 {
	if t.Exported == 0 {
		return 100
	}
	return 100 * float64(t.Exported-t.Undocumented) / float64(t.Exported)
}

// JSON returns the report as data.
func (r *Report) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return append(data, '\n'), nil
}
