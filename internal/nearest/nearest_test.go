package nearest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearestFindsWhatWasMeant(t *testing.T) {
	t.Parallel()
	known := []string{"mProject_ID0000001", "mProject_ID0000012", "mAdd", strings.Repeat("x", 300)}
	for _, tc := range []struct{ text, want string }{
		{"mProject_ID0000002", "mProject_ID0000001"}, // as near as the other one, but first
		{"mProject_ID000012", "mProject_ID0000012"},
		{"madd", "mAdd"},
		{"äAdd", "mAdd"},
		{"sub", ""},
		{strings.Repeat("x", 299), ""}, // longer than what is compared
	} {
		sp := New(known...)
		if got, ok := sp.Nearest(tc.text); got != tc.want || ok != (tc.want != "") {
			t.Errorf("nearest to %q is %q, %t; want %q", tc.text, got, ok, tc.want)
		}
	}
}

func TestNearestGivesUpAfterTooManyComparisons(t *testing.T) {
	t.Parallel()
	sp := &Speller{known: []string{"abc"}, compared: maxCompared}
	if got, ok := sp.Nearest("abd"); ok {
		t.Errorf("got %q", got)
	}
}

func TestDistanceIsSymmetricAndStopsOnlyBeyondItsLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SliceOfN(rapid.RuneFrom([]rune("abc")), 0, 8)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		limit := rapid.IntRange(1, 9).Draw(t, "limit")
		d := distance(a, b, 100)
		if back := distance(b, a, 100); back != d {
			t.Fatalf("%d there, %d back", d, back)
		}
		if (d == 0) != (string(a) == string(b)) || d < abs(len(a)-len(b)) || d > max(len(a), len(b)) {
			t.Fatalf("distance %d", d)
		}
		if got := distance(a, b, limit); d < limit && got != d || d >= limit && got < limit {
			t.Fatalf("distance %d became %d under the limit %d", d, got, limit)
		}
	})
}

func TestLikelyDoesNotGuessAtShortNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"lst", "list"}, {"tist", ""}, {"Lst", "list"}, {"imeout", "timeout"}, {"", ""}, {"x", ""},
	} {
		if got, ok := Likely(tc.text, "list", "timeout", ""); got != tc.want || ok != (tc.want != "") {
			t.Errorf("likely for %q is %q, %t; want %q", tc.text, got, ok, tc.want)
		}
	}
}
