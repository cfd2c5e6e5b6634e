package archtest

import (
	"bufio"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var (
	// light are the packages that a user's program imports to author, run and
	// start workflows, and the ports that it sees.
	light = []string{".", "workflow", "task", "worker", "client", "claim", "snapshot", "store", "sloghclog"}
	// connecting is what it imports besides, to reach a store.
	connecting = []string{"store/etcdstore"}
)

// heavy are packages that no user's program may be made to carry, and what
// they are. Each stands for all below it.
var heavy = map[string]string{
	"go.etcd.io/etcd/server": "etcd's server",
	"go.etcd.io/raft":        "etcd's server",
	"go.etcd.io/bbolt":       "a database",
	"database/sql":           "a database",
	"github.com/spf13":       "a CLI library",
	"github.com/urfave/cli":  "a CLI library",
	"k8s.io":                 "a Kubernetes library",
	"sigs.k8s.io":            "a Kubernetes library",
	"cloud.google.com/go":    "a cloud library",
	"github.com/aws":         "a cloud library",
	"github.com/Azure":       "a cloud library",
	"github.com/minio":       "a cloud library",
	"testing":                "for tests",
	"pgregory.net/rapid":     "for tests",
	"github.com/stretchr":    "for tests",
}

// exempt are packages below a heavy one that weigh nothing.
var exempt = []string{
	"database/sql/driver", // the interfaces alone; github.com/google/uuid implements them
}

func TestUserPackagesCarryNothingHeavy(t *testing.T) {
	t.Parallel()
	_, ours := packages(t)
	for _, at := range slices.Concat(light, connecting) {
		for _, dep := range ours[at].Deps {
			for prefix, what := range heavy {
				if below(dep, prefix) && !slices.Contains(exempt, dep) {
					t.Errorf("%s depends on %s, %s (see: go list -deps ./%s)", at, dep, what, at)
				}
			}
		}
	}
}

func TestUserPackagesKeepToTheListOfModules(t *testing.T) {
	t.Parallel()
	const golden = "testdata/modules.txt"
	all, ours := packages(t)
	allowed := readLines(t, golden)
	reached := map[string]string{} // module to one of our packages
	complete := true
	for _, at := range light {
		p, ok := ours[at]
		complete = complete && ok
		for _, dep := range p.Deps {
			if m := all[dep].Module; m != nil && m.Path != module {
				reached[m.Path] = at
			}
		}
	}
	for _, m := range slices.Sorted(maps.Keys(reached)) {
		if !slices.Contains(allowed, m) {
			t.Errorf("%s depends on module %s, which %s does not list", reached[m], m, golden)
		}
	}
	if !complete {
		return
	}
	for _, m := range allowed {
		if _, ok := reached[m]; !ok {
			t.Errorf("%s lists %s, on which no user package depends any more", golden, m)
		}
	}
}

// readLines returns a file's lines without comments and blank ones.
func readLines(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []string
	in := bufio.NewScanner(file)
	for in.Scan() {
		if line := strings.TrimSpace(in.Text()); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
