package wfformat

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recordedFiles returns the recorded workflows in the folder that the variable
// GRAPNEL_WFINSTANCES names.
func recordedFiles(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("GRAPNEL_WFINSTANCES")
	switch {
	case dir == "" && os.Getenv("CI") == "true":
		t.Fatal("GRAPNEL_WFINSTANCES is not set")
	case dir == "":
		t.Skip("LEFT OUT: recorded workflows (set GRAPNEL_WFINSTANCES)")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded workflows in GRAPNEL_WFINSTANCES: %v", err)
	}
	return files
}

// facts are what is known of a recorded workflow.
type facts struct{ tasks, edges int }

var known = map[string]facts{
	"1000genome-chameleon-4ch-100k-001.json":        {104, 152},
	"blast-chameleon-small-001.json":                {43, 120},
	"cycles-chameleon-1l-1c-9p-001.json":            {67, 97},
	"epigenomics-chameleon-ilmn-1seq-100k-001.json": {125, 153},
	"helloworld-chain-5-chameleon.json":             {5, 4},
	"helloworld-forkjoin-10-chameleon.json":         {10, 16},
	"montage-chameleon-2mass-01d-001.json":          {103, 231},
	"montage-chameleon-2mass-03d-001.json":          {748, 1992},
	"rnaseq-dirt02-001.json":                        {197, 451},
	"sarek-dirt02-001.json":                         {26, 50},
	"seismology-chameleon-1100p-001.json":           {1101, 1100},
	"soykb-chameleon-20fastq-10ch-001.json":         {176, 374},
	"srasearch-chameleon-10a-001.json":              {22, 30},
}

func TestRecordedWorkflowsAreReadWhole(t *testing.T) {
	t.Parallel()
	for _, path := range recordedFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			w, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err = w.Validate(); err != nil {
				t.Error(err)
			}
			got := facts{tasks: len(w.Tasks)}
			var total time.Duration
			for _, task := range w.Tasks {
				got.edges += len(task.Parents)
				total += task.Runtime
			}
			if want, ok := known[filepath.Base(path)]; ok && got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if total < time.Second {
				t.Errorf("all tasks together take %v", total)
			}
			d, err := w.Definition("", 0.001)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Nodes) != len(w.Tasks) || d.Hash() == "" {
				t.Errorf("definition has %d nodes and the hash %q", len(d.Nodes), d.Hash())
			}
			var b bytes.Buffer
			if err = w.Write(&b); err != nil {
				t.Fatal(err)
			}
			again, err := Parse(&b, "again")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w, again); diff != "" {
				t.Errorf("-recorded +written:\n%s", diff)
			}
		})
	}
}
