package wfformat

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

var update = flag.Bool("update", false, "write the golden files anew")

func mustGenerate(t *testing.T, shape string, tasks int, seed uint64) *Workflow {
	t.Helper()
	w, err := Generate(shape, tasks, seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestGeneratedFilesStayTheSame keeps seeds meaningful from release to release,
// and the written format under our eyes.
func TestGeneratedFilesStayTheSame(t *testing.T) {
	t.Parallel()
	for shape, tasks := range map[string]int{"chain": 3, "forkjoin": 5, "montage": 14, "seismology": 4, "random": 6} {
		var b bytes.Buffer
		if err := mustGenerate(t, shape, tasks, 1).Write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", shape+".json")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", path, diff)
		}
	}
}

func TestGenerateMakesExactlySoManyTasksOfSecondsEach(t *testing.T) {
	t.Parallel()
	for _, s := range shapes {
		for _, tasks := range []int{s.least, s.least + 1, s.least + 2, s.least + 3, 50, 301, 2000} {
			w := mustGenerate(t, s.name, tasks, 7)
			if err := w.Validate(); err != nil {
				t.Errorf("%s of %d tasks: %v", s.name, tasks, err)
			}
			if len(w.Tasks) != tasks {
				t.Errorf("%s of %d tasks has %d", s.name, tasks, len(w.Tasks))
			}
			for _, task := range w.Tasks {
				if d := task.Runtime; d < time.Second || d > 20*time.Second || d%time.Millisecond != 0 {
					t.Errorf("%s of %d tasks: %s takes %v", s.name, tasks, task.ID, d)
				}
			}
		}
	}
}

func TestGenerateDependsOnSeedOnly(t *testing.T) {
	t.Parallel()
	for _, shape := range Shapes() {
		a, b, c := mustGenerate(t, shape, 40, 1), mustGenerate(t, shape, 40, 1), mustGenerate(t, shape, 40, 2)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: the same seed gave -first +second:\n%s", shape, diff)
		}
		if slices.EqualFunc(a.Tasks, c.Tasks, func(x, y Task) bool { return x.Runtime == y.Runtime }) {
			t.Errorf("%s: two seeds gave the same runtimes", shape)
		}
	}
}

// edgeKinds counts the edges of a workflow by the names of their ends.
func edgeKinds(w *Workflow) map[string]int {
	kinds := map[string]int{}
	for _, t := range w.Tasks {
		for _, p := range t.Parents {
			kinds[w.Tasks[p].Name+">"+t.Name]++
		}
	}
	return kinds
}

func TestGeneratedShapesHaveTheirEdges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		shape string
		tasks int
		want  map[string]int
	}{
		{"chain", 10, map[string]int{"step>step": 9}},
		{"forkjoin", 10, map[string]int{"fork>work": 8, "work>join": 8}},
		{"seismology", 10, map[string]int{"sG1IterDecon>wrapper_siftSTFByMisfit": 9}},
		{"montage", 100, map[string]int{ // 23 images, 48 pairs of them
			"mProject>mDiffFit": 96, "mDiffFit>mConcatFit": 48, "mConcatFit>mBgModel": 1,
			"mProject>mBackground": 23, "mBgModel>mBackground": 23, "mBackground>mImgtbl": 23,
			"mBackground>mAdd": 23, "mImgtbl>mAdd": 1, "mAdd>mShrink": 1, "mShrink>mJPEG": 1,
		}},
	} {
		if diff := cmp.Diff(tc.want, edgeKinds(mustGenerate(t, tc.shape, tc.tasks, 1))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tc.shape, diff)
		}
	}
}

func TestGeneratedMontageComparesEachPairOfImagesOnce(t *testing.T) {
	t.Parallel()
	pairs := map[[2]int]bool{}
	for _, task := range mustGenerate(t, "montage", 300, 1).Tasks {
		if task.Name != "mDiffFit" {
			continue
		}
		if len(task.Parents) != 2 {
			t.Fatalf("%s compares %d images", task.ID, len(task.Parents))
		}
		pair := [2]int(task.Parents)
		if pairs[pair] {
			t.Errorf("%s compares images %v, which another one does", task.ID, pair)
		}
		pairs[pair] = true
	}
}

func TestGeneratedRandomGraphsAreDeepAndOfBoundedFanIn(t *testing.T) {
	t.Parallel()
	w := mustGenerate(t, "random", 500, 3)
	roots, level, deepest := 0, make([]int, len(w.Tasks)), 0
	for i, task := range w.Tasks {
		if len(task.Parents) == 0 {
			roots++
		}
		if len(task.Parents) > 4 {
			t.Errorf("%s has %d parents", task.ID, len(task.Parents))
		}
		for _, p := range task.Parents {
			level[i] = max(level[i], level[p]+1)
		}
		deepest = max(deepest, level[i])
	}
	if roots < 20 || roots > 100 || deepest < 20 {
		t.Errorf("%d roots and %d levels among 500 tasks", roots, deepest)
	}
}

func TestGenerateRefusesWhatItCannotMake(t *testing.T) {
	t.Parallel()
	for _, s := range shapes {
		if _, err := Generate(s.name, s.least-1, 1); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%s of %d tasks: got %v, want ErrInvalid", s.name, s.least-1, err)
		}
	}
	if _, err := Generate("ring", 10, 1); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("unknown shape: got %v, want ErrInvalid", err)
	}
	if _, err := Generate("chain", workflow.MaxNodes+1, 1); !errors.Is(err, grapnel.ErrTooLarge) {
		t.Errorf("too many tasks: got %v, want ErrTooLarge", err)
	}
}
