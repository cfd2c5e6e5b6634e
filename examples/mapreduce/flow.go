package main

import (
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel/workflow"
)

// Input is the workflow's input.
type Input struct {
	Folder string `json:"folder"` // for the text and all that is made of it
}

// Split is the input of a mapper.
type Split struct {
	Folder string `json:"folder"`
	File   string `json:"file"`
	Parts  int    `json:"parts"`
}

// Counted is what a mapper made: a file with counts for each part.
type Counted struct {
	Words int      `json:"words"`
	Files []string `json:"files"` // by part
}

// Part is the input of a reducer.
type Part struct {
	Folder  string    `json:"folder"`
	Index   int       `json:"index"`
	Counted []Counted `json:"counted"`
}

// Added is what a reducer found in its part.
type Added struct {
	Words     int     `json:"words"`
	Different int     `json:"different"`
	Top       []Count `json:"top"` // the most frequent first
}

// Count is how often a word occurs.
type Count struct {
	Word  string `json:"word"`
	Times int    `json:"times"`
}

// numTop is how many of the most frequent words are told.
const numTop = 10

var again = workflow.Retry(workflow.RetryPolicy{Attempts: 3, Backoff: 100 * time.Millisecond})

// The tasks, which are in tasks.go.
var (
	count = workflow.TaskFunc("count", countWords, again)
	add   = workflow.TaskFunc("add", addCounts, again)
	merge = workflow.TaskFunc("merge", mergeParts, again)
)

type v[T any] = workflow.Value[T]

// newWorkflow makes the graph for these files: each reducer needs all mappers.
func newWorkflow(files []string, parts int) *workflow.Workflow[Input, Added] {
	return workflow.New("wordcount", func(g *workflow.Graph, in v[Input]) v[Added] {
		folder := workflow.Field(in, func(i *Input) *string { return &i.Folder })
		counted := make([]v[Counted], len(files))
		for i, file := range files {
			counted[i] = workflow.Do(g, count, workflow.Struct(g, "split", func(s *workflow.Setter, split *Split) {
				split.File, split.Parts = file, parts
				workflow.Set(s, &split.Folder, folder)
			}), workflow.ID("count-"+file))
		}
		all := workflow.Gather(g, "counted", counted...)
		added := make([]v[Added], parts)
		for i := range parts {
			added[i] = workflow.Do(g, add, workflow.Struct(g, "part", func(s *workflow.Setter, part *Part) {
				part.Index = i
				workflow.Set(s, &part.Folder, folder)
				workflow.Set(s, &part.Counted, all)
			}), workflow.ID(fmt.Sprintf("add-%d", i)))
		}
		return workflow.Do(g, merge, workflow.Gather(g, "added", added...))
	})
}
