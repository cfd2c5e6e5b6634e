package wfformat

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
)

// Workflow is a graph of tasks with the time that each takes. What [Parse] and
// [Generate] return is valid in the sense of [Workflow.Validate].
type Workflow struct {
	// Name is any text but the empty one.
	Name string
	// Tasks in an order in which each comes after its parents.
	Tasks []Task
}

// Task is a node of a [Workflow].
type Task struct {
	// ID is unique in the workflow; any text but the empty one.
	ID string
	// Name says what kind of task it is; many tasks may have the same.
	Name string
	// Parents and Children are indices of tasks, ascending and without
	// repetition; nil if there are none. Each edge is in both.
	Parents, Children []int
	// Runtime is how long the task ran; zero if that is not known.
	Runtime time.Duration
}

// Validate checks a workflow that was put together or changed by hand. The
// error joins all problems and wraps [grapnel.ErrInvalid].
func (w *Workflow) Validate() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{grapnel.ErrInvalid}, args...)...))
	}
	if !usableText(w.Name) {
		add("workflow name %s is empty or not UTF-8", quote(w.Name))
	}
	if len(w.Tasks) == 0 {
		add("workflow has no tasks")
	}
	first := make(map[string]int, len(w.Tasks))
	children := make([][]int, len(w.Tasks))
	for i, t := range w.Tasks {
		if !usableText(t.ID) || !usableText(t.Name) {
			add("task %d: id %s or name %s is empty or not UTF-8", i, quote(t.ID), quote(t.Name))
		}
		if j, ok := first[t.ID]; ok {
			add("tasks %d and %d both have the id %s", j, i, quote(t.ID))
		} else {
			first[t.ID] = i
		}
		if t.Runtime < 0 {
			add("task %d: runtime %v is negative", i, t.Runtime)
		}
		for k, p := range t.Parents {
			switch {
			case p < 0 || p >= i:
				add("task %d: parent %d is not before it", i, p)
			case k > 0 && p <= t.Parents[k-1]:
				add("task %d: parents %v are not ascending", i, t.Parents)
			default:
				children[p] = append(children[p], i)
			}
		}
	}
	for i, t := range w.Tasks {
		if !slices.Equal(t.Children, children[i]) {
			add("task %d: children are %v, the parents of others say %v", i, t.Children, children[i])
		}
	}
	return errors.Join(errs...)
}

func usableText(s string) bool { return s != "" && utf8.ValidString(s) }

// assemble returns the workflow of tasks whose Parents are indices into tasks,
// in any order and perhaps repeated; Children are filled in. It keeps the order
// of tasks except where a task comes before one of its parents. If there is no
// order, it returns the indices of a cycle, each a parent of the next one, from
// the smallest on.
func assemble(name string, tasks []Task) (w *Workflow, cycle []int) {
	children := make([][]int, len(tasks))
	missing := make([]int, len(tasks)) // parents that are not yet in the order
	ready := &indexHeap{}
	for i := range tasks {
		slices.Sort(tasks[i].Parents)
		tasks[i].Parents = slices.Compact(tasks[i].Parents)
		for _, p := range tasks[i].Parents {
			children[p] = append(children[p], i)
		}
		if missing[i] = len(tasks[i].Parents); missing[i] == 0 {
			heap.Push(ready, i)
		}
	}
	w = &Workflow{Name: name, Tasks: make([]Task, 0, len(tasks))}
	at := make([]int, len(tasks)) // by index in tasks, the one in w
	for ready.Len() > 0 {
		i, _ := heap.Pop(ready).(int)
		at[i] = len(w.Tasks)
		w.Tasks = append(w.Tasks, tasks[i])
		for _, c := range children[i] {
			if missing[c]--; missing[c] == 0 {
				heap.Push(ready, c)
			}
		}
	}
	if len(w.Tasks) < len(tasks) {
		return nil, findCycle(tasks, missing)
	}
	for i := range w.Tasks {
		parents := w.Tasks[i].Parents
		for k, p := range parents {
			parents[k] = at[p]
		}
		slices.Sort(parents)
		for _, p := range parents {
			w.Tasks[p].Children = append(w.Tasks[p].Children, i)
		}
	}
	return w, nil
}

// findCycle follows parents from the first task that was left over: each such
// task has a parent that was left over too, so the walk meets itself.
func findCycle(tasks []Task, missing []int) []int {
	left := func(i int) bool { return missing[i] > 0 }
	at := slices.IndexFunc(missing, func(n int) bool { return n > 0 })
	seen := map[int]int{} // to the position in path
	var path []int
	for {
		if start, ok := seen[at]; ok {
			cycle := path[start:]
			slices.Reverse(cycle)
			first := slices.Index(cycle, slices.Min(cycle))
			return slices.Concat(cycle[first:], cycle[:first])
		}
		seen[at] = len(path)
		path = append(path, at)
		at = tasks[at].Parents[slices.IndexFunc(tasks[at].Parents, left)]
	}
}

// indexHeap gives out the smallest index first.
type indexHeap []int

func (h indexHeap) Len() int           { return len(h) }
func (h indexHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h indexHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *indexHeap) Push(x any) {
	i, _ := x.(int)
	*h = append(*h, i)
}

// Pop is for package heap.
func (h *indexHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
