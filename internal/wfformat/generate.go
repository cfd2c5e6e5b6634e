package wfformat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// shape is a kind of graph that can be generated.
type shape struct {
	name string
	// least is how many tasks such a graph has at least.
	least int
	// add adds all tasks, each after its parents.
	add func(g *generator, tasks int)
}

var shapes = []shape{
	{"chain", 1, (*generator).chain},
	{"forkjoin", 3, (*generator).forkJoin},
	{"montage", 11, (*generator).montage},
	{"seismology", 2, (*generator).seismology},
	{"random", 1, (*generator).random},
}

// Shapes returns the names of what [Generate] makes:
//
//   - chain: each task after the one before it;
//   - forkjoin: one task, then many side by side, then one after all of them;
//   - montage: the mosaic of images that WfCommons records under this name,
//     with two wide levels, one edge across each two neighbours, and joins;
//   - seismology: many tasks side by side and one after all of them;
//   - random: up to four parents for each task, from those shortly before it.
func Shapes() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = s.name
	}
	return names
}

// Generate returns a workflow of a shape, see [Shapes], with exactly so many
// tasks, whose runtimes are between one and twenty seconds with a median of
// four, in whole milliseconds. It is the same for the same arguments.
//
// The error wraps [grapnel.ErrInvalid] for a shape that is not known or has
// more tasks at the least, and [grapnel.ErrTooLarge] for more tasks than a
// definition can have, [workflow.MaxNodes].
func Generate(shapeName string, tasks int, seed uint64) (*Workflow, error) {
	i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == shapeName })
	if i < 0 {
		return nil, fmt.Errorf("%w: no shape %s; there are %s", grapnel.ErrInvalid, quote(shapeName), strings.Join(Shapes(), ", "))
	}
	s := shapes[i]
	switch {
	case tasks < s.least:
		return nil, fmt.Errorf("%w: shape %s has at least %d tasks, not %d", grapnel.ErrInvalid, s.name, s.least, tasks)
	case tasks > workflow.MaxNodes:
		return nil, fmt.Errorf("%w: %d tasks, at most %d are allowed", grapnel.ErrTooLarge, tasks, workflow.MaxNodes)
	}
	g := &generator{
		rand:  rand.New(rand.NewPCG(seed, uint64(i))),
		tasks: make([]Task, 0, tasks),
	}
	s.add(g, tasks)
	w, cycle := assemble(fmt.Sprintf("%s-%d-%d", s.name, tasks, seed), g.tasks)
	if cycle != nil {
		return nil, fmt.Errorf("shape %s of %d tasks has a cycle", s.name, tasks) // no shape names later tasks
	}
	return w, nil
}

// generator collects the tasks of one workflow.
type generator struct {
	rand  *rand.Rand
	tasks []Task
}

// task adds a task and returns its index. Ids are made like those of recorded
// workflows.
func (g *generator) task(name string, parents ...int) int {
	g.tasks = append(g.tasks, Task{
		ID:      fmt.Sprintf("%s_ID%07d", name, len(g.tasks)+1),
		Name:    name,
		Parents: slices.Clone(parents),
		Runtime: g.runtime(),
	})
	return len(g.tasks) - 1
}

// runtime draws from a log-normal distribution, which recorded runtimes
// resemble: many short ones, few long ones.
func (g *generator) runtime() time.Duration {
	const median, spread = 4.0, 0.7
	seconds := median * math.Exp(spread*g.rand.NormFloat64())
	return time.Duration(min(max(seconds, 1), 20)*1000) * time.Millisecond
}

func (g *generator) chain(tasks int) {
	last := g.task("step")
	for range tasks - 1 {
		last = g.task("step", last)
	}
}

func (g *generator) forkJoin(tasks int) {
	fork := g.task("fork")
	var work []int
	for range tasks - 2 {
		work = append(work, g.task("work", fork))
	}
	g.task("join", work...)
}

func (g *generator) seismology(tasks int) {
	var decons []int
	for range tasks - 1 {
		decons = append(decons, g.task("sG1IterDecon"))
	}
	g.task("wrapper_siftSTFByMisfit", decons...)
}

// montage has about two differences to each image, as small recorded ones do.
func (g *generator) montage(tasks int) {
	const single = 6 // tasks there is one of
	images := max(2, (tasks-single)/4)
	var projects, diffs, backgrounds []int
	for range images {
		projects = append(projects, g.task("mProject"))
	}
	for k := range tasks - single - 2*images {
		// First all pairs of direct neighbours, in a ring, then of the next but
		// one and so on.
		a := k % images
		b := (a + 1 + k/images%(images-1)) % images
		diffs = append(diffs, g.task("mDiffFit", projects[a], projects[b]))
	}
	concat := g.task("mConcatFit", diffs...)
	model := g.task("mBgModel", concat)
	for _, p := range projects {
		backgrounds = append(backgrounds, g.task("mBackground", p, model))
	}
	table := g.task("mImgtbl", backgrounds...)
	mosaic := g.task("mAdd", append(backgrounds, table)...)
	g.task("mJPEG", g.task("mShrink", mosaic))
}

// random looks back only so far that graphs get deep, and lets one in ten
// tasks begin anew.
func (g *generator) random(tasks int) {
	const maxParents, window, rootOneIn = 4, 32, 10
	for i := range tasks {
		var parents []int
		if g.rand.IntN(rootOneIn) > 0 {
			for range min(i, 1+g.rand.IntN(maxParents)) {
				parents = append(parents, i-1-g.rand.IntN(min(i, window)))
			}
		}
		g.task("random", parents...)
	}
}
