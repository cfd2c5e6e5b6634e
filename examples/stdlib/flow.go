package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel/examples/stdlib/report"
	"github.com/grapnel-dev/grapnel/examples/stdlib/survey"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Input is the input of the workflow.
type Input struct {
	Source string `json:"source"` // the folder with the library's source
	Title  string `json:"title"`  // of the report
	Out    string `json:"out"`    // the folder that gets the report
}

// Request is the input of the task for one package.
type Request struct {
	Source  string `json:"source"`
	Package string `json:"package"`
}

// Findings is the input of the task that writes the report.
type Findings struct {
	Title    string           `json:"title"`
	Out      string           `json:"out"`
	Packages []survey.Package `json:"packages"`
}

// The tasks. This process authors and starts the workflow; the functions behind
// the contracts are in the workers' processes.
var (
	surveyPackage = workflow.NewTask[Request, survey.Package]("survey-package",
		workflow.StartToClose(time.Minute),
		workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
	writeReport = workflow.NewTask[Findings, []report.File]("write-report",
		workflow.StartToClose(time.Minute),
		workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
)

// newWorkflow makes a workflow with a node for each package, and one behind them
// all.
func newWorkflow(packages []string) *workflow.Workflow[Input, []report.File] {
	return workflow.New("stdlib", func(g *workflow.Graph, in workflow.Value[Input]) workflow.Value[[]report.File] {
		source := workflow.Field(in, func(i *Input) *string { return &i.Source })
		found := make([]workflow.Value[survey.Package], len(packages))
		for i, path := range packages {
			request := workflow.Struct(g, "request", func(s *workflow.Setter, r *Request) {
				r.Package = path
				workflow.Set(s, &r.Source, source)
			})
			found[i] = workflow.Do(g, surveyPackage, request, workflow.ID(nodeName(path)))
		}
		findings := workflow.Struct(g, "findings", func(s *workflow.Setter, f *Findings) {
			workflow.Set(s, &f.Title, workflow.Field(in, func(i *Input) *string { return &i.Title }))
			workflow.Set(s, &f.Out, workflow.Field(in, func(i *Input) *string { return &i.Out }))
			workflow.Set(s, &f.Packages, workflow.Gather(g, "found", found...))
		})
		return workflow.Do(g, writeReport, findings)
	})
}

// nodeName makes a name of an import path; names have no slashes.
func nodeName(path string) string { return strings.ReplaceAll(path, "/", ".") }

// register is what makes a worker able to run the tasks.
func register(w *worker.Worker) {
	worker.Handle(w, surveyPackage, func(_ context.Context, r Request) (survey.Package, error) {
		p, err := survey.Of(r.Source, r.Package)
		if errors.Is(err, survey.ErrSource) {
			return p, task.Fail("bad-source", err) // it will not parse the next time either
		}
		return p, err
	})
	worker.Handle(w, writeReport, func(_ context.Context, f Findings) ([]report.File, error) {
		return report.New(f.Title, f.Packages).Write(f.Out)
	})
}
