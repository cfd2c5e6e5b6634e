package wfformat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Definition returns a sealed definition with a node for each task, at the
// task's index, that runs the task [TaskName] for the task's runtime times
// timeScale; zero takes no time. Nodes have the tasks' ids for names, or names
// made from them where an id is no valid name. They need what the tasks have as
// parents, and are offered in queue; empty means [workflow.DefaultQueue]. The
// run's output is null.
//
// The error wraps [grapnel.ErrInvalid] or [grapnel.ErrTooLarge].
func (w *Workflow) Definition(queue string, timeScale float64) (*workflow.Definition, error) {
	if err := w.checkDefinition(queue, timeScale); err != nil {
		return nil, fmt.Errorf("definition of workflow %s: %w", quote(w.Name), err)
	}
	in, out := SleepTask.Types()
	names := w.nodeNames()
	d := &workflow.Definition{
		Name:    uniqueName(w.Name, nil),
		Nodes:   make([]workflow.Node, len(w.Tasks)),
		Output:  workflow.Source{Kind: workflow.SourceNone},
		Policy:  workflow.RunPolicy{Queue: queue},
		InType:  typeOfNone,
		OutType: typeOfNone,
	}
	for i, t := range w.Tasks {
		input, err := json.Marshal(SleepInput{Task: t.ID, Millis: scaledMillis(t.Runtime, timeScale)})
		if err != nil {
			return nil, fmt.Errorf("definition of workflow %s: task %s: %w", quote(w.Name), quote(t.ID), err)
		}
		if len(input) > grapnel.MaxPayload {
			return nil, fmt.Errorf("definition of workflow %s: %w: task %s: its id does not fit into an input of %d bytes",
				quote(w.Name), grapnel.ErrTooLarge, quote(t.ID), grapnel.MaxPayload)
		}
		d.Nodes[i] = workflow.Node{
			Kind:    workflow.KindTask,
			Name:    names[i],
			Task:    TaskName,
			Input:   workflow.Source{Kind: workflow.SourceConst, Const: input},
			Needs:   slices.Clone(t.Parents),
			InType:  in,
			OutType: out,
		}
	}
	if err := d.Seal(); err != nil {
		return nil, err
	}
	return d, nil
}

// typeOfNone is what definitions call [workflow.None].
const typeOfNone = "workflow.None"

func (w *Workflow) checkDefinition(queue string, timeScale float64) error {
	if err := w.Validate(); err != nil {
		return err
	}
	if queue != "" {
		if err := grapnel.ValidateName("queue", queue); err != nil {
			return err
		}
	}
	if timeScale < 0 || math.IsNaN(timeScale) {
		return fmt.Errorf("%w: time scale %v is negative or no number", grapnel.ErrInvalid, timeScale)
	}
	for _, t := range w.Tasks {
		if ms := scaledMillis(t.Runtime, timeScale); ms > maxMillis {
			return fmt.Errorf("%w: task %s would take %v ms, at most %v are allowed", grapnel.ErrInvalid, quote(t.ID), ms, maxMillis)
		}
	}
	return nil
}

func scaledMillis(d time.Duration, scale float64) float64 {
	if d == 0 {
		return 0 // even of an infinite scale
	}
	// Whole microseconds, lest the input shows the noise of the arithmetic.
	return math.Round(float64(d)/1e3*scale) / 1e3
}

// nodeNames returns a valid name for each task. Ids that are valid names are
// kept, so that they come first in being unique.
func (w *Workflow) nodeNames() []string {
	taken := make(map[string]bool, len(w.Tasks))
	for _, t := range w.Tasks {
		taken[t.ID] = true
	}
	names := make([]string, len(w.Tasks))
	for i, t := range w.Tasks {
		names[i] = uniqueName(t.ID, taken)
		taken[names[i]] = true
	}
	return names
}

// uniqueName returns s if it is a valid name, and otherwise one made of what is
// valid in s and of a hash of s, which is not in taken.
func uniqueName(s string, taken map[string]bool) string {
	if grapnel.ValidateName("node", s) == nil {
		return s
	}
	const digits = 8
	clean := strings.Map(func(r rune) rune {
		if grapnel.ValidateName("node", string(r)) == nil {
			return r
		}
		return '-'
	}, s[:min(len(s), grapnel.MaxName)])
	clean = clean[:min(len(clean), grapnel.MaxName-1-digits)]
	for n := 0; ; n++ {
		sum := sha256.Sum256([]byte(s + "\x00" + strconv.Itoa(n)))
		name := clean + "-" + hex.EncodeToString(sum[:])[:digits]
		if !taken[name] {
			return name
		}
	}
}
