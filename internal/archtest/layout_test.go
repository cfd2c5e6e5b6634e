package archtest

import (
	"slices"
	"strings"
	"testing"
)

// rule says where a package stands.
type rule struct {
	// imports are the places of our packages that the code may import, besides
	// the root and internal/mutation, which all may.
	imports string
	// wires is set for what puts the parts together: it may import all that is
	// not for tests.
	wires bool
	// forTests is set for packages that only tests import. They may import
	// "testing", and whatever they want of ours.
	forTests bool
}

const (
	// model is what the roles and what they need are written in.
	model = "store workflow task claim snapshot output artifact execution internal/lease internal/pb "
	roles = "coordinator worker client "
)

// layout has each package of the module by place. A package need not exist;
// one that exists must be here.
var layout = map[string]rule{
	".":                {},
	"workflow":         {},
	"store":            {},
	"store/etcdstore":  {imports: "store"},
	"store/memstore":   {imports: "store"},
	"store/faultstore": {imports: "store"},
	"store/storetest":  {forTests: true},
	"task":             {imports: "workflow internal/taskctx"},
	"snapshot":         {imports: "store workflow internal/pb"},
	"claim":            {imports: "store internal/lease internal/pb"},
	"output":           {imports: "store"},
	"artifact":         {imports: "store"},
	"execution":        {imports: "store"},
	"agenttask":        {imports: "store"},
	"coordinator":      {imports: model},
	"worker":           {imports: model + "internal/taskctx"},
	"client":           {imports: model},
	"local":            {imports: model + roles + "store/etcdstore internal/embedetcd"},
	"sloghclog":        {},
	"api":              {imports: "client workflow"},
	"ui":               {},
	"workflowtest":     {forTests: true},

	"docs/schema": {},

	"internal/mutation":        {},
	"internal/lease":           {imports: "store"},
	"internal/embedetcd":       {},
	"internal/tui":             {},
	"internal/render":          {},
	"internal/live":            {imports: "internal/tui"},
	"internal/wfformat":        {imports: "workflow internal/nearest"},
	"internal/secret":          {},
	"internal/commandtask":     {imports: "workflow task internal/secret"},
	"internal/httptask":        {imports: "workflow task internal/secret"},
	"internal/nearest":         {},
	"internal/celexpr":         {imports: "internal/nearest"},
	"internal/flowfile":        {imports: "workflow internal/celexpr internal/nearest internal/commandtask internal/httptask"},
	"internal/cli":             {wires: true},
	"internal/scaffold":        {},
	"internal/audit":           {imports: "store internal/pb"}, // shares no code with what it checks
	"internal/wfrun":           {wires: true},
	"internal/archtest":        {forTests: true},
	"internal/faketime":        {forTests: true},
	"internal/pb":              {},
	"internal/taskctx":         {},
	"internal/tools/mutations": {},
	"internal/tools/docscheck": {},

	"integration":     {forTests: true},
	"bench":           {wires: true},
	"cmd/grapnel":     {wires: true},
	"cmd/coordinator": {wires: true},
	"cmd/worker":      {wires: true},
	"examples":        {wires: true}, // and all below
}

// ruleFor finds a package's rule.
func ruleFor(at string) (rule, bool) {
	if below(at, "examples") {
		at = "examples"
	}
	r, ok := layout[at]
	return r, ok
}

func TestEachPackageHasItsPlaceInTheLayout(t *testing.T) {
	t.Parallel()
	_, ours := packages(t)
	for at := range ours {
		if _, ok := ruleFor(at); !ok {
			t.Errorf("package %s is not in the table: say there what it may import", at)
		}
	}
}

func TestImportsFollowTheArrows(t *testing.T) {
	t.Parallel()
	_, ours := packages(t)
	for at, p := range ours {
		r, ok := ruleFor(at)
		if !ok || r.forTests {
			continue
		}
		allowed := append(strings.Fields(r.imports), ".", "internal/mutation")
		for _, path := range p.Imports {
			to, ok := place(path)
			if !ok {
				continue
			}
			toRule, _ := ruleFor(to)
			switch {
			case toRule.forTests:
				t.Errorf("%s imports %s, which is for tests only", at, to)
			case !r.wires && !slices.Contains(allowed, to):
				t.Errorf("%s imports %s; it may import %s", at, to, strings.Join(allowed, ", "))
			case r.wires && below(to, "cmd"):
				t.Errorf("%s imports the command %s", at, to)
			}
		}
	}
}

func TestAdaptersDoNotImportEachOther(t *testing.T) {
	t.Parallel()
	_, ours := packages(t)
	// Tests may use the conformance suite, and the model to compare with.
	forTests := []string{"store/storetest", "store/memstore"}
	for at, p := range ours {
		if !strings.HasPrefix(at, "store/") || at == "store/storetest" {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			to, _ := place(path)
			if !strings.HasPrefix(to, "store/") || to == at {
				continue
			}
			inCode := slices.Contains(p.Imports, path)
			if inCode || !slices.Contains(forTests, to) {
				t.Errorf("adapter %s imports adapter %s (in code, not only in tests: %v)", at, to, inCode)
			}
		}
	}
}

// reserved has, by prefix, the packages of others that only some places import
// directly; a place stands for all below it.
var reserved = map[string]string{
	"go.etcd.io/etcd/client": "store/etcdstore internal/embedetcd bench",
	"go.etcd.io/etcd/api":    "store/etcdstore internal/embedetcd",
	"go.etcd.io/etcd/server": "internal/embedetcd",
	"go.etcd.io/bbolt":       "internal/embedetcd",
	"github.com/spf13/cobra": "cmd internal/cli",
	"charm.land/bubbletea":   "internal/live",

	// What only tests need.
	"testing":                           "",
	"pgregory.net/rapid":                "",
	"go.uber.org/goleak":                "",
	"github.com/anishathalye/porcupine": "",
	"github.com/google/go-cmp":          "",
	"github.com/rogpeppe/go-internal":   "",
}

func TestReservedPackagesAreImportedOnlyWhereTheyBelong(t *testing.T) {
	t.Parallel()
	_, ours := packages(t)
	for at, p := range ours {
		if r, _ := ruleFor(at); r.forTests {
			continue
		}
		for _, path := range p.Imports {
			for prefix, places := range reserved {
				if !below(path, prefix) {
					continue
				}
				if !slices.ContainsFunc(strings.Fields(places), func(ok string) bool { return below(at, ok) }) {
					t.Errorf("%s imports %s, which is for [%s] and for tests", at, path, places)
				}
			}
		}
	}
}
