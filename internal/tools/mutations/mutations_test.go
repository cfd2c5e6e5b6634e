package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheSharesTogetherHaveEachRowOnce(t *testing.T) {
	t.Parallel()
	var rows []row
	for name := range strings.FieldsSeq("a b c d e f g h") {
		rows = append(rows, row{name: name})
	}
	var got []string
	for _, part := range []string{"1/3", "2/3", "3/3"} {
		mine, err := share(rows, part)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range mine {
			got = append(got, r.name)
		}
	}
	slices.Sort(got)
	if want := "a b c d e f g h"; strings.Join(got, " ") != want {
		t.Errorf("shares have %v, want %s", got, want)
	}
	for _, part := range []string{"0/3", "4/3", "1", "a/b", "-1/3"} {
		if _, err := share(rows, part); err == nil {
			t.Errorf("share %q was accepted", part)
		}
	}
}

func TestABrokenCatalogueIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"# comment\n\nX ./store":        ":3: want name, package and tests",
		"X ./store TestA extra":         ":1: want name, package and tests",
		"X ./store Test(":               ":1: error parsing regexp",
		"X ./a ^TestA$\nX ./b ^Test($/": ":2: error parsing regexp",
	} {
		path := filepath.Join(t.TempDir(), "catalog.txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readCatalog(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("catalogue %q: got error %v, want one with %q", text, err, want)
		}
	}
}

func TestTheProjectsCatalogueNamesWhatExists(t *testing.T) {
	t.Chdir("../../..")
	names, err := readNames(namesPath)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("no names in %s", namesPath)
	}
	rows, err := readCatalog(catalogPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(names, rows); err != nil {
		t.Error(err)
	}
}

func TestEachWayAMutationCanEndHasItsVerdict(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary")
	}
	t.Chdir("testdata/guard")
	r, err := newRunner(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	for _, c := range []struct {
		tests string
		want  verdict
	}{
		{"^TestAsserts$", noticed},
		{"^TestLooksAway$", survived},
		{"^TestPanics$", noAssertion},
		{"^TestExits$", noAssertion},
		{"^TestAlwaysFails$", unsound},
		{"^TestIsNotThere$", unsound},
	} {
		got := r.run(t.Context(), row{name: "Guard", dir: ".", tests: c.tests})
		if got.verdict != c.want {
			t.Errorf("%s: verdict %s (%s), want %s\n%s", c.tests, got.verdict, got.detail, c.want, got.output)
		}
	}
	t.Chdir("../unbuildable")
	if got := r.run(t.Context(), row{name: "Guard", dir: "./.", tests: "."}); got.verdict != notBuilt {
		t.Errorf("tests that do not compile: verdict %s (%s), want %s", got.verdict, got.detail, notBuilt)
	}
}
