package wfformat

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestDefinitionHasANodeForEachTask(t *testing.T) {
	t.Parallel()
	w, _ := assemble("w", []Task{
		{ID: "a", Name: "n", Runtime: 1500 * time.Millisecond},
		{ID: "b", Name: "n", Parents: []int{0}, Runtime: time.Microsecond},
		{ID: "c", Name: "n", Parents: []int{0, 1}},
	})
	d, err := w.Definition("long", 0.1)
	if err != nil {
		t.Fatal(err)
	}
	node := func(name, input string, needs ...int) workflow.Node {
		return workflow.Node{
			Kind: workflow.KindTask, Name: name, Task: "wfformat.sleep", Needs: needs,
			Input:  workflow.Source{Kind: workflow.SourceConst, Const: []byte(input)},
			InType: "wfformat.SleepInput", OutType: "wfformat.SleepOutput",
		}
	}
	want := []workflow.Node{
		node("a", `{"task":"a","millis":150}`),
		node("b", `{"task":"b","millis":0}`, 0),
		node("c", `{"task":"c","millis":0}`, 0, 1),
	}
	if diff := cmp.Diff(want, d.Nodes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if d.Name != "w" || d.Hash() == "" || d.Queue(0) != "long" || d.Output.Kind != workflow.SourceNone {
		t.Errorf("got %+v", d)
	}
	if got := d.Dependents(0); len(got) != 2 {
		t.Errorf("dependents of the first node are %v", got)
	}
}

func TestDefinitionTypesAreThoseThatTheWorkflowPackageUses(t *testing.T) {
	t.Parallel()
	if in, out := workflow.NewTask[workflow.None, workflow.None]("t").Types(); in != typeOfNone || out != typeOfNone {
		t.Errorf("package workflow calls None %s and %s", in, out)
	}
	if err := SleepTask.Err(); err != nil {
		t.Error(err)
	}
}

func TestNodeNamesAreTheIDsWhereTheyCanBe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	w := &Workflow{Name: "a workflow: née"}
	for _, id := range []string{"NFCORE:SAREK (1)", "fine_1", "NFCORE/SAREK (1)", long + "a", long + "b"} {
		w.Tasks = append(w.Tasks, Task{ID: id, Name: "n"})
	}
	// An id that is what another one would be named keeps its name.
	usurper := uniqueName(w.Tasks[0].ID, nil)
	w.Tasks = append(w.Tasks, Task{ID: usurper, Name: "n"})
	d, err := w.Definition("", 1)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.Name, "a-workflow--n-e-") {
		t.Errorf("workflow is named %s", d.Name)
	}
	for i, prefix := range []string{"NFCORE-SAREK--1--", "fine_1", "NFCORE-SAREK--1--", long[:119] + "-", long[:119] + "-", usurper} {
		if name := d.Nodes[i].Name; !strings.HasPrefix(name, prefix) {
			t.Errorf("task %q is named %q, want %q at the beginning", w.Tasks[i].ID, name, prefix)
		}
		var in SleepInput
		if err := json.Unmarshal(d.Nodes[i].Input.Const, &in); err != nil || in.Task != w.Tasks[i].ID {
			t.Errorf("input of task %q is %s", w.Tasks[i].ID, d.Nodes[i].Input.Const)
		}
	}
}

func TestAnyWorkflowHasADefinitionThatKeepsItsGraph(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := workflows(t)
		d, err := w.Definition("", 0.5) // seals, which checks names
		if err != nil {
			t.Fatal(err)
		}
		for i, task := range w.Tasks {
			if diff := cmp.Diff(task.Parents, d.Nodes[i].Needs); diff != "" {
				t.Fatalf("task %d: -parents +needs:\n%s", i, diff)
			}
			if grapnel.ValidateName("node", task.ID) == nil && d.Nodes[i].Name != task.ID {
				t.Fatalf("valid id %q is not kept: %q", task.ID, d.Nodes[i].Name)
			}
		}
	})
}

func TestDefinitionRefusesBadArguments(t *testing.T) {
	t.Parallel()
	good := &Workflow{Name: "w", Tasks: []Task{{ID: "a", Name: "n", Runtime: time.Second}}}
	big := &Workflow{Name: "w", Tasks: []Task{{ID: strings.Repeat("a", grapnel.MaxPayload), Name: "n"}}}
	for name, tc := range map[string]struct {
		w     *Workflow
		queue string
		scale float64
		want  error
	}{
		"queue":             {good, "no queue", 1, grapnel.ErrInvalid},
		"negative scale":    {good, "", -1, grapnel.ErrInvalid},
		"scale of no value": {good, "", math.NaN(), grapnel.ErrInvalid},
		"endless scale":     {good, "", math.Inf(1), grapnel.ErrInvalid},
		"time too long":     {good, "", 1e18, grapnel.ErrInvalid},
		"id too long":       {big, "", 1, grapnel.ErrTooLarge},
	} {
		if _, err := tc.w.Definition(tc.queue, tc.scale); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	if _, err := good.Definition("", 0); err != nil {
		t.Errorf("scale of zero: %v", err)
	}
}
