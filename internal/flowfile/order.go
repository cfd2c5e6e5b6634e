package flowfile

import (
	"slices"
	"strings"
)

// order puts the tasks in an order in which each is behind all that it needs,
// otherwise as in the file, or reports the circles that there are.
func (c *checker) order() {
	tasks := c.file.tasks
	waits := make([]int, len(tasks)) // for how many others
	for i, t := range tasks {
		waits[i] = len(t.needs)
	}
	done := make([]bool, len(tasks))
	for range tasks {
		next := slices.IndexFunc(waits, func(n int) bool { return n == 0 })
		if next < 0 {
			break
		}
		waits[next], done[next] = -1, true
		c.file.order = append(c.file.order, next)
		for i, t := range tasks {
			if _, ok := t.needs[tasks[next].name]; ok {
				waits[i]--
			}
		}
	}
	for {
		circle := c.circle(done)
		if circle == nil {
			return
		}
		names := make([]string, 0, len(circle)+1)
		for _, i := range circle {
			names = append(names, tasks[i].name)
			done[i] = true
		}
		first, second := tasks[circle[0]], tasks[circle[1%len(circle)]]
		c.add(first.needs[second.name], "tasks need each other in a circle: %s; remove one of these needs",
			strings.Join(append(names, names[0]), " needs "))
	}
}

// circle returns tasks each of which needs the next one, and the last one the
// first, beginning with the first in the file, or nil.
func (c *checker) circle(done []bool) []int {
	tasks := c.file.tasks
	var path []int
	state := make([]uint8, len(tasks)) // 1: on the path, 2: without circle
	var visit func(i int) []int
	visit = func(i int) []int {
		if state[i] == 1 {
			return path[slices.Index(path, i):]
		}
		if state[i] == 2 || done[i] {
			return nil
		}
		state[i] = 1
		path = append(path, i)
		for _, name := range sortedKeys(tasks[i].needs) {
			if found := visit(c.byName[name]); found != nil {
				return found
			}
		}
		path = path[:len(path)-1]
		state[i] = 2
		return nil
	}
	for i := range tasks {
		path = nil
		if found := visit(i); found != nil {
			first := slices.Index(found, slices.Min(found))
			return slices.Concat(found[first:], found[:first])
		}
	}
	return nil
}
