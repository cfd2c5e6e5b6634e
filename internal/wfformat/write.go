package wfformat

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// The parts of WfFormat 1.5 that are written.
type (
	file struct {
		Name          string       `json:"name"`
		SchemaVersion string       `json:"schemaVersion"`
		Workflow      fileWorkflow `json:"workflow"`
	}
	fileWorkflow struct {
		Specification specification `json:"specification"`
		Execution     execution     `json:"execution"`
	}
	specification struct {
		Tasks []specifiedTask `json:"tasks"`
	}
	specifiedTask struct {
		Name     string   `json:"name"`
		ID       string   `json:"id"`
		Parents  []string `json:"parents"`
		Children []string `json:"children"`
	}
	execution struct {
		MakespanInSeconds json.Number    `json:"makespanInSeconds"`
		ExecutedAt        string         `json:"executedAt"`
		Tasks             []executedTask `json:"tasks"`
	}
	executedTask struct {
		ID               string      `json:"id"`
		RuntimeInSeconds json.Number `json:"runtimeInSeconds"`
	}
)

// neverExecuted stands where the schema demands the time of the execution,
// which a [Workflow] does not have.
const neverExecuted = "1970-01-01T00:00:00Z"

// Write writes the workflow as WfFormat 1.5; [Parse] reads the same workflow
// back. The same workflow gives the same bytes: the time of the execution is
// always the Unix epoch, and its makespan is that of [Workflow.CriticalPath].
//
// The error is that of [Workflow.Validate], and then nothing was written, or
// that of the writer. Ids are written as they are, though WfCommons' schema
// allows only ASCII letters, digits and some punctuation in them.
func (w *Workflow) Write(to io.Writer) error {
	if err := w.Validate(); err != nil {
		return fmt.Errorf("write workflow: %w", err)
	}
	out := file{Name: w.Name, SchemaVersion: "1.5", Workflow: fileWorkflow{
		Specification: specification{Tasks: make([]specifiedTask, len(w.Tasks))},
		Execution: execution{
			MakespanInSeconds: formatSeconds(w.CriticalPath()),
			ExecutedAt:        neverExecuted,
			Tasks:             make([]executedTask, len(w.Tasks)),
		},
	}}
	for i, t := range w.Tasks {
		out.Workflow.Specification.Tasks[i] = specifiedTask{
			Name: t.Name, ID: t.ID, Parents: w.idsOf(t.Parents), Children: w.idsOf(t.Children),
		}
		out.Workflow.Execution.Tasks[i] = executedTask{ID: t.ID, RuntimeInSeconds: formatSeconds(t.Runtime)}
	}
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write workflow: %w", err)
	}
	return nil
}

// idsOf returns the ids of tasks; never nil, which JSON would show as null.
func (w *Workflow) idsOf(tasks []int) []string {
	ids := make([]string, len(tasks))
	for k, i := range tasks {
		ids[k] = w.Tasks[i].ID
	}
	return ids
}

// CriticalPath returns how long the workflow takes at least, however many of
// its tasks run at the same time: the longest sum of runtimes along edges.
func (w *Workflow) CriticalPath() time.Duration {
	ends := make([]time.Duration, len(w.Tasks))
	var last time.Duration
	for i, t := range w.Tasks {
		var start time.Duration
		for _, p := range t.Parents {
			start = max(start, ends[p])
		}
		ends[i] = start + t.Runtime
		if ends[i] < start { // beyond what a duration holds
			ends[i] = 1<<63 - 1
		}
		last = max(last, ends[i])
	}
	return last
}
