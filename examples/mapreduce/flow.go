package main

import (
	"time"

	"github.com/grapnel-dev/grapnel/workflow"
)

// Input is the workflow's input.
type Input struct {
	Folder string   `json:"folder"` // for the text and all that is made of it
	Files  []string `json:"files"`  // with text, in the folder
	Parts  int      `json:"parts"`  // of all words
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

// wordcount is for any number of files and parts. The reducers begin when all
// mappers have ended, because each needs what all of them made.
var wordcount = workflow.New("wordcount", func(g *workflow.Graph, in v[Input]) v[Added] {
	folder := workflow.Field(in, func(i *Input) *string { return &i.Folder })
	files := workflow.Field(in, func(i *Input) *[]string { return &i.Files })
	parts := workflow.Field(in, func(i *Input) *int { return &i.Parts })

	counted := workflow.Map(g, "file", files, func(g *workflow.Graph, file v[string]) v[Counted] {
		return workflow.Do(g, count, workflow.Struct(g, "split", func(s *workflow.Setter, split *Split) {
			workflow.Set(s, &split.Folder, folder)
			workflow.Set(s, &split.File, file)
			workflow.Set(s, &split.Parts, parts)
		}))
	})
	added := workflow.Map(g, "part", workflow.Inline(g, "parts", numbers, parts), func(g *workflow.Graph, index v[int]) v[Added] {
		return workflow.Do(g, add, workflow.Struct(g, "input", func(s *workflow.Setter, part *Part) {
			workflow.Set(s, &part.Folder, folder)
			workflow.Set(s, &part.Index, index)
			workflow.Set(s, &part.Counted, counted)
		}))
	})
	return workflow.Do(g, merge, added)
})

// numbers returns those from 0 up to n.
func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
