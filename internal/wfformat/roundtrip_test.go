package wfformat

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
)

// workflows draws valid workflows with texts and runtimes of all sorts.
func workflows(t *rapid.T) *Workflow {
	text := rapid.StringN(1, 20, -1)
	ids := rapid.SliceOfNDistinct(text, 1, 12, rapid.ID).Draw(t, "ids")
	tasks := make([]Task, len(ids))
	for i, id := range ids {
		tasks[i] = Task{
			ID:      id,
			Name:    text.Draw(t, "name"),
			Runtime: time.Duration(rapid.Int64Min(0).Draw(t, "runtime")),
		}
		if i > 0 {
			tasks[i].Parents = rapid.SliceOfN(rapid.IntRange(0, i-1), 0, 4).Draw(t, "parents")
			if len(tasks[i].Parents) == 0 {
				tasks[i].Parents = nil
			}
		}
	}
	w, _ := assemble(text.Draw(t, "workflow"), tasks)
	return w
}

func TestParseReadsWhatWriteWrote(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := workflows(t)
		if err := w.Validate(); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := w.Write(&b); err != nil {
			t.Fatal(err)
		}
		got, err := Parse(&b, "f.json")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Fatalf("-written +read:\n%s", diff)
		}
	})
}

func TestSecondsKeepEachNanosecond(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 1, 999_999_999, time.Second, 60 * time.Second, math.MaxInt64} {
		if got, err := parseSeconds(formatSeconds(d).String()); err != nil || got != d {
			t.Errorf("%d ns came back as %d ns, %v", d, got, err)
		}
	}
}

func TestWriteRefusesWhatParseWouldNotReadBack(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]*Workflow{
		"no name":            {Tasks: []Task{{ID: "a", Name: "n"}}},
		"no tasks":           {Name: "w"},
		"empty id":           {Name: "w", Tasks: []Task{{Name: "n"}}},
		"no UTF-8":           {Name: "w", Tasks: []Task{{ID: "\xff", Name: "n"}}},
		"empty task name":    {Name: "w", Tasks: []Task{{ID: "a"}}},
		"id twice":           {Name: "w", Tasks: []Task{{ID: "a", Name: "n"}, {ID: "a", Name: "n"}}},
		"negative runtime":   {Name: "w", Tasks: []Task{{ID: "a", Name: "n", Runtime: -1}}},
		"parent behind":      {Name: "w", Tasks: []Task{{ID: "a", Name: "n", Parents: []int{1}}, {ID: "b", Name: "n", Children: []int{0}}}},
		"parent out of list": {Name: "w", Tasks: []Task{{ID: "a", Name: "n", Parents: []int{-1}}}},
		"parent twice":       {Name: "w", Tasks: []Task{{ID: "a", Name: "n", Children: []int{1}}, {ID: "b", Name: "n", Parents: []int{0, 0}}}},
		"child missing":      {Name: "w", Tasks: []Task{{ID: "a", Name: "n"}, {ID: "b", Name: "n", Parents: []int{0}}}},
	} {
		var b bytes.Buffer
		if err := w.Write(&b); !errors.Is(err, grapnel.ErrInvalid) || b.Len() > 0 {
			t.Errorf("%s: got %v and %d bytes, want ErrInvalid and none", name, err, b.Len())
		}
		if _, err := w.Definition("", 1); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%s: Definition returned %v, want ErrInvalid", name, err)
		}
	}
}

func TestCriticalPathIsTheLongestSumAlongEdges(t *testing.T) {
	t.Parallel()
	tasks := []Task{{Runtime: 3}, {Runtime: 10}, {Runtime: 4, Parents: []int{0}}, {Runtime: 5, Parents: []int{0, 2}}}
	w, _ := assemble("w", tasks)
	if got := w.CriticalPath(); got != 12 {
		t.Errorf("got %d, want 12", got)
	}
	w.Tasks[3].Runtime = math.MaxInt64
	if got := w.CriticalPath(); got != math.MaxInt64 {
		t.Errorf("too long for a duration: got %d", got)
	}
}
