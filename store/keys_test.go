package store_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

func keysOf(t testing.TB, namespace string) store.Keys {
	t.Helper()
	k, err := store.NewKeys(namespace)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// hostile are ids made of what could lead out of a key's place.
var hostile = rapid.OneOf(
	rapid.String(),
	rapid.StringOf(rapid.SampledFrom([]rune{'/', '%', '.', '2', 'F', 'a', 0, '\n', 'é', '\U0010ffff'})),
	rapid.SampledFrom([]string{"", ".", "..", "/", "//", "../..", "a/head", "%2F", "%", "%%", "head", "claim/", "\xff", "a\xffb"}),
)

var segment = regexp.MustCompile(`^[A-Za-z0-9._%-]*$`)

func TestEscapedIDsAreOneSegmentAndComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := hostile.Draw(t, "id")
		escaped := store.Escape(id)
		if !segment.MatchString(escaped) {
			t.Errorf("Escape(%q) is %q", id, escaped)
		}
		if back, ok := store.Unescape(escaped); !ok || back != id {
			t.Errorf("Escape(%q) is %q, and Unescape of that is %q, %t", id, escaped, back, ok)
		}
	})
}

func TestDifferentIDsStayDifferent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := hostile.Draw(t, "a"), hostile.Draw(t, "b")
		if (store.Escape(a) == store.Escape(b)) != (a == b) {
			t.Errorf("%q and %q are escaped as %q and %q", a, b, store.Escape(a), store.Escape(b))
		}
	})
}

func TestUnescapeRefusesWhatEscapeNeverReturns(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"%", "%2", "a%", "%zz", "%2f", "%41", "%2E", "a/b", "é", " ", "%2F/", "%2F%", "%GG", "%-1"} {
		if id, ok := store.Unescape(s); ok {
			t.Errorf("Unescape(%q) is %q", s, id)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a", "a.b-c_d", "%2F", "%2f", "%41", "%", "%2", "é", "%C3%A9", "a/b", "%%%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := store.Unescape(s); ok && store.Escape(id) != s {
			t.Errorf("Unescape(%q) is %q, which is escaped as %q", s, id, store.Escape(id))
		}
		if id, ok := store.Unescape(store.Escape(s)); !ok || id != s {
			t.Errorf("%q comes back as %q, %t", s, id, ok)
		}
	})
}

// place is a function that names keys, by ids, and what those keys begin with.
type place struct {
	name string
	key  func(k store.Keys, a, b string) string
	in   func(k store.Keys, a string) string
	// ids is how many of a and b the key is made of.
	ids int
	// leaf is what follows the ids.
	leaf string
}

var places = []place{
	{"head", func(k store.Keys, a, _ string) string { return k.Head(grapnel.RunID(a)) }, func(k store.Keys, a string) string { return k.Run(grapnel.RunID(a)) }, 1, "head"},
	{"claim", func(k store.Keys, a, b string) string { return k.Claim(grapnel.RunID(a), grapnel.NodeKey(b)) }, func(k store.Keys, a string) string { return k.Claims(grapnel.RunID(a)) }, 2, ""},
	{"event", func(k store.Keys, a, b string) string { return k.Event(grapnel.RunID(a), grapnel.OperationID(b)) }, func(k store.Keys, a string) string { return k.Events(grapnel.RunID(a)) }, 2, ""},
	{"folded", func(k store.Keys, a, b string) string { return k.Folded(grapnel.RunID(a), grapnel.OperationID(b)) }, func(k store.Keys, a string) string { return k.FoldedEvents(grapnel.RunID(a)) }, 2, ""},
	{"record", func(k store.Keys, a, b string) string { return k.Record(grapnel.RunID(a), grapnel.NodeKey(b), 3) }, func(k store.Keys, a string) string { return k.Records(grapnel.RunID(a)) }, 2, ".3"},
	{"ended", func(k store.Keys, a, b string) string { return k.Ended(grapnel.RunID(a), grapnel.OperationID(b)) }, func(k store.Keys, a string) string { return k.Root() + "ended/" + store.Escape(a) + "/" }, 2, ""},
	{"inbox", func(k store.Keys, a, b string) string { return k.Inbox(grapnel.WorkerID(a)) + store.Escape(b) }, func(k store.Keys, a string) string { return k.Inbox(grapnel.WorkerID(a)) }, 2, ""},
	{"worker", func(k store.Keys, a, _ string) string { return k.Worker(grapnel.WorkerID(a)) }, func(k store.Keys, _ string) string { return k.Workers() }, 1, ""},
	{"coordinator", func(k store.Keys, a, _ string) string { return k.Coordinator(a) }, func(k store.Keys, _ string) string { return k.Coordinators() }, 1, ""},
	{"definition", func(k store.Keys, a, _ string) string { return k.Definition(a) }, func(k store.Keys, _ string) string { return k.Definitions() }, 1, ""},
	{"corrupt", func(k store.Keys, a, _ string) string { return k.Corrupt(grapnel.RunID(a)) }, func(k store.Keys, _ string) string { return k.Corrupts() }, 1, ""},
	{"barrier", func(k store.Keys, a, _ string) string { return k.Barrier(a) }, func(k store.Keys, _ string) string { return k.Runs() + "barrier/" }, 1, ""},
}

func TestNoIDLeadsOutOfItsPlace(t *testing.T) {
	t.Parallel()
	k := keysOf(t, "default")
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				a, b := hostile.Draw(t, "a"), hostile.Draw(t, "b")
				key, in := p.key(k, a, b), p.in(k, a)
				rest, ok := strings.CutPrefix(key, in)
				if !ok || strings.Contains(rest, "/") || !strings.HasSuffix(rest, p.leaf) || !strings.HasPrefix(in, k.Root()) {
					t.Errorf("ids %q and %q give the key %q, which is not one segment behind %q", a, b, key, in)
				}
				// A range delete of another's keys must not reach this one.
				other := hostile.Draw(t, "other")
				if p.ids == 2 && other != a && strings.HasPrefix(key, p.in(k, other)) {
					t.Errorf("the key %q of %q is among those of %q", key, a, other)
				}
			})
		})
	}
}

func TestDifferentThingsHaveDifferentKeys(t *testing.T) {
	t.Parallel()
	k := keysOf(t, "default")
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n string) (string, string) {
			p := rapid.SampledFrom(places).Draw(t, "place "+n)
			a, b := hostile.Draw(t, "a "+n), hostile.Draw(t, "b "+n)
			if p.ids == 1 {
				b = ""
			}
			return p.key(k, a, b), fmt.Sprintf("%s %q %q", p.name, a, b)
		}
		one, what1 := draw("1")
		two, what2 := draw("2")
		if (one == two) != (what1 == what2) {
			t.Errorf("%s has the key %q, %s has %q", what1, one, what2, two)
		}
	})
}

func TestRecordsOfDifferentIterationsHaveDifferentKeys(t *testing.T) {
	t.Parallel()
	k := keysOf(t, "default")
	node := rapid.StringMatching(`[0-9a-z]{0,2}(\.[0-9]{0,2}){0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		n1, n2 := node.Draw(t, "node 1"), node.Draw(t, "node 2")
		i1, i2 := rapid.IntRange(0, 20).Draw(t, "iteration 1"), rapid.IntRange(0, 20).Draw(t, "iteration 2")
		one, two := k.Record("r", grapnel.NodeKey(n1), i1), k.Record("r", grapnel.NodeKey(n2), i2)
		if (one == two) != (n1 == n2 && i1 == i2) {
			t.Errorf("node %q iteration %d and node %q iteration %d have the keys %q and %q", n1, i1, n2, i2, one, two)
		}
	})
}

func TestNamespacesAreWalls(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[A-Za-z0-9._-]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		ka, errA := store.NewKeys(a)
		kb, errB := store.NewKeys(b)
		if errA != nil || errB != nil {
			t.Fatalf("%v, %v", errA, errB)
		}
		if a != b && (strings.HasPrefix(ka.Root(), kb.Root()) || strings.HasPrefix(kb.Root(), ka.Root())) {
			t.Errorf("the roots of %q and %q are %q and %q", a, b, ka.Root(), kb.Root())
		}
	})
}
