package report_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/examples/stdlib/report"
	"github.com/grapnel-dev/grapnel/examples/stdlib/survey"
)

// surveys are of n packages, each of which imports some of those before it.
func surveys(n int) []survey.Package {
	var all []survey.Package
	for i := range n {
		p := survey.Package{
			Path: fmt.Sprintf("p%02d/x", i), Files: 1, Lines: 10 * i, Functions: 1, Exported: 3, Undocumented: 1,
			Longest: []survey.Function{{Name: "F", File: "f.go", Line: 3, Lines: 7}},
			Names:   []string{"F"}, Imports: []string{"elsewhere/y"},
		}
		for j := range i {
			if (i+j)%3 == 0 {
				p.Imports = append(p.Imports, all[j].Path)
			}
		}
		all = append(all, p)
	}
	return all
}

func bytesOf(t *testing.T, r *report.Report) (data, page []byte) {
	t.Helper()
	data, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if page, err = r.HTML(); err != nil {
		t.Fatal(err)
	}
	return data, page
}

func TestReportIsTheSameInWhateverOrderSurveysCome(t *testing.T) {
	t.Parallel()
	all := surveys(40)
	wantData, wantPage := bytesOf(t, report.New("Go", all))
	for seed := range uint64(20) {
		shuffled := slices.Clone(all)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		before := slices.Clone(shuffled)
		data, page := bytesOf(t, report.New("Go", shuffled))
		if !bytes.Equal(data, wantData) || !bytes.Equal(page, wantPage) {
			t.Errorf("seed %d: the report is another one", seed)
		}
		if !reflect.DeepEqual(shuffled, before) {
			t.Errorf("seed %d: the surveys were modified", seed)
		}
	}
}

func TestPageEscapesWhatItDidNotWriteItself(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	_, page := bytesOf(t, report.New("T"+evil, []survey.Package{{
		Path: "p" + evil, Synopsis: "S" + evil, Exported: 1, Undocumented: 1, Names: []string{"N" + evil},
		Imports: []string{"q"}, Longest: []survey.Function{{Name: "F" + evil, File: "f" + evil, Line: 1, Lines: 1}},
	}, {Path: "q", Imports: []string{"p" + evil}}}))
	if bytes.Contains(page, []byte("<script>alert")) {
		t.Error("a script got into the page")
	}
	for _, want := range []string{"T&#34;&gt;&lt;script&gt;", "p&#34;&gt;", "S&#34;&gt;", "N&#34;&gt;", "F&#34;&gt;", "f&#34;&gt;"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestPageNeedsNoOtherFile(t *testing.T) {
	t.Parallel()
	_, page := bytesOf(t, report.New("Go", surveys(5)))
	for _, reference := range []string{"http://", "https://", "src=", "<link", "url(", "@import"} {
		if strings.Contains(string(page), reference) {
			t.Errorf("the page has %q", reference)
		}
	}
}

func TestReportCountsImportsBetweenItsPackages(t *testing.T) {
	t.Parallel()
	r := report.New("Go", []survey.Package{
		{Path: "top", Imports: []string{"a", "b", "elsewhere"}, Lines: 3},
		{Path: "a", Imports: []string{"b"}, Exported: 4, Undocumented: 1},
		{Path: "b"},
		{Path: "x/internal/y", Imports: []string{"b"}, Exported: 9, Undocumented: 9},
		// A circle, as of files for two platforms.
		{Path: "c", Imports: []string{"d"}},
		{Path: "d", Imports: []string{"c", "a"}},
	})
	want := report.Totals{Packages: 6, Internal: 1, Lines: 3, Exported: 4, Undocumented: 1, Imports: 7}
	if r.Totals != want {
		t.Errorf("totals are %+v, not %+v", r.Totals, want)
	}
	if got := r.Totals.Documented(); got != 75 {
		t.Errorf("%v %% are documented", got)
	}
	if use := r.MostImported[0]; use.Package != "b" || use.By != 3 {
		t.Errorf("most imported is %+v", use)
	}
	var layers [][]string
	for _, l := range r.Layers {
		layers = append(layers, l.Packages)
	}
	if want := [][]string{{"b"}, {"a", "x/internal/y"}, {"d", "top"}, {"c"}}; !reflect.DeepEqual(layers, want) {
		t.Errorf("layers are %v, not %v", layers, want)
	}
}

func TestReportOfNothingIsAReport(t *testing.T) {
	t.Parallel()
	data, page := bytesOf(t, report.New("Go", nil))
	if bytes.Contains(data, []byte("null")) || !bytes.Contains(page, []byte("</html>")) {
		t.Errorf("the report is\n%s\n%s", data, page)
	}
}

func TestWritingAgainChangesNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	r := report.New("Go", surveys(5))
	first, err := r.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	// What a process that was killed leaves behind.
	left := filepath.Join(dir, ".report-123.tmp")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := r.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) || len(first) != 2 {
		t.Errorf("first wrote %+v, then %+v", first, second)
	}
	if err := report.Clean(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v: %v", entries, err)
	}
	for _, f := range first {
		info, err := os.Stat(filepath.Join(dir, f.Name))
		if err != nil || info.Size() != int64(f.Bytes) || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", f.Name, info, err)
		}
	}
}
