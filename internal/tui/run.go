package tui

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Counts says how many nodes of a run are in which state.
type Counts struct {
	Completed, Failed, Cancelled, Skipped int
	Running                               int
	// Waiting counts those that a worker could take, Delayed those that wait for
	// a time, Pending those that need others.
	Waiting, Delayed, Pending int
}

// Total is all nodes.
func (c Counts) Total() int {
	return c.ended() + c.Running + c.Waiting + c.Delayed + c.Pending
}

func (c Counts) ended() int { return c.Completed + c.Failed + c.Cancelled + c.Skipped }

// Task is a node that is being executed.
type Task struct {
	// Run is empty where all tasks are of the same run.
	Run     string
	Node    string
	Task    string
	Worker  string
	Attempt int
	Elapsed time.Duration
	// Note is what the attempt says of its progress; it may be empty.
	Note string
}

// Failure is an attempt that failed.
type Failure struct {
	Node    string
	Attempt int
	Worker  string
	// Cause is why, such as "exit-code: exit status 2".
	Cause string
	// Final is set if the node failed with it, and is not tried again.
	Final bool
}

// Run is what there is to see of a run.
type Run struct {
	ID       string
	Workflow string
	// Status is that of package grapnel, as text. Ended is set if it is final.
	Status  string
	Ended   bool
	Elapsed time.Duration
	Counts  Counts
	// Running is in the order of the lines, and so are Failures, of which the
	// latest should be first.
	Running  []Task
	Failures []Failure
	// Trouble is why this may be out of date; it may be empty.
	Trouble string
	// Hint is a line for the end, such as what a key does; it may be empty.
	Hint string
}

// Lines draws the run for a terminal of this size: a title, a bar, the running
// tasks and the failures, as far as there is room.
func (r *Run) Lines(t Theme, width, height int) []string {
	name := t.paint(title, Clean(r.Workflow)) + "  " + Clean(r.ID)
	lines := []string{t.between(name, t.State(r.Status)+"  "+Elapsed(r.Elapsed), width), t.Progress(width, r.Counts)}
	if r.Trouble != "" {
		for _, line := range t.wrap(Clean(r.Trouble), max(1, width), 3) {
			lines = append(lines, t.paint(bad, t.Fit(line, width)))
		}
	}
	room := height - len(lines)
	if r.Hint != "" {
		room -= 2
	}
	failures := t.FailureLines(width, max(0, min(room-1, max(4, room/3))), r.Failures)
	if len(failures) > 0 {
		room -= len(failures) + 1
	}
	if tasks := t.TaskTable(width, room-1, r.Running); len(tasks) > 0 {
		lines = append(append(lines, ""), tasks...)
	}
	if len(failures) > 0 {
		lines = append(append(lines, ""), failures...)
	}
	if r.Hint != "" {
		lines = t.withHint(lines, r.Hint, width, height)
	}
	return lines[:min(len(lines), max(height, 0))]
}

// withHint appends a hint, with an empty line before it if there is room.
func (t Theme) withHint(lines []string, hint string, width, height int) []string {
	if len(lines)+2 <= height {
		lines = append(lines, "")
	}
	return append(lines, t.paint(dim, t.Fit(Clean(hint), width)))
}

// Progress is a bar with numbers beside it, in one line.
func (t Theme) Progress(width int, c Counts) string {
	total := c.Total()
	percent := 0
	if total > 0 {
		percent = c.ended() * 100 / total
	}
	parts := []string{fmt.Sprintf("%d/%d", c.ended(), total), fmt.Sprintf("%d%%", percent)}
	for _, p := range []struct {
		n    int
		name string
		as   tone
	}{
		{c.Running, "running", busy}, {c.Failed, "failed", bad}, {c.Waiting, "waiting", waiting},
		{c.Delayed, "delayed", waiting}, {c.Cancelled, "cancelled", dim}, {c.Skipped, "skipped", dim},
	} {
		if p.n > 0 {
			parts = append(parts, t.paint(p.as, fmt.Sprintf("%d %s", p.n, p.name)))
		}
	}
	text := strings.Join(parts, t.dot())
	least := max(10, width/4)
	for len(parts) > 2 && Width(text)+2+least > width {
		parts = parts[:len(parts)-1]
		text = strings.Join(parts, t.dot())
	}
	return t.Fit(t.Bar(min(60, width-Width(text)-2), c)+"  "+text, width)
}

// Bar draws how far a run is: what completed, failed, was cancelled or skipped,
// runs, and the rest. What there is at all has a cell if there are enough.
func (t Theme) Bar(width int, c Counts) string {
	if width <= 0 {
		return ""
	}
	full, half, rest := "█", "▒", "░"
	if t.ASCII {
		full, half, rest = "#", "+", "."
	}
	parts := []struct {
		n    int
		cell string
		as   tone
	}{
		{c.Completed, full, good}, {c.Failed, full, bad}, {c.Cancelled + c.Skipped, full, dim},
		{c.Running, half, busy}, {c.Waiting + c.Delayed + c.Pending, rest, dim},
	}
	counts := make([]int, len(parts))
	for i, p := range parts {
		counts[i] = p.n
	}
	var b strings.Builder
	for i, cells := range share(width, counts) {
		b.WriteString(t.paint(parts[i].as, strings.Repeat(parts[i].cell, cells)))
	}
	if c.Total() == 0 {
		return t.paint(dim, strings.Repeat(rest, width))
	}
	return b.String()
}

// share divides width cells by counts: each count that is not zero gets one if
// there are enough, and the others go by size.
func share(width int, counts []int) []int {
	cells, total, some := make([]int, len(counts)), 0, 0
	for _, n := range counts {
		total += n
		if n > 0 {
			some++
		}
	}
	if total == 0 {
		return cells
	}
	spare := max(0, width-some)
	used := 0
	for i, n := range counts {
		if n == 0 || used == width {
			continue
		}
		cells[i] = 1 + int(math.Floor(float64(spare)*float64(n)/float64(total)))
		used += cells[i]
	}
	// What rounding has left over goes to the largest.
	largest := 0
	for i, n := range counts {
		if n > counts[largest] {
			largest = i
		}
	}
	cells[largest] += width - used
	return cells
}

// TaskTable draws running tasks in at most height lines, titles included; nil if
// there are none or there is no room.
func (t Theme) TaskTable(width, height int, tasks []Task) []string {
	if len(tasks) == 0 || height < 2 {
		return nil
	}
	shown := tasks
	if len(tasks) > height-1 {
		shown = tasks[:max(0, height-2)] // the last line says how many there are
	}
	columns := []Column{
		{Title: "RUN", Min: 10, Middle: true, Drop: 2}, {Title: "NODE", Min: 16, Middle: true}, {Title: "TASK", Min: 8, Drop: 3},
		{Title: "ATTEMPT", Right: true}, {Title: "ELAPSED", Right: true}, {Title: "WORKER", Min: 10, Drop: 1},
		{Title: "PROGRESS", Min: 12, Drop: 4},
	}
	has := make([]bool, len(columns))
	has[1], has[2], has[3], has[4] = true, true, true, true
	var rows [][]string
	for _, task := range shown {
		has[0] = has[0] || task.Run != ""
		has[5] = has[5] || task.Worker != ""
		has[6] = has[6] || task.Note != ""
		attempt := fmt.Sprint(task.Attempt)
		if task.Attempt > 1 {
			attempt = t.paint(busy, attempt)
		}
		rows = append(rows, []string{
			Clean(task.Run), Clean(task.Node), Clean(task.Task), attempt, Elapsed(task.Elapsed), Clean(task.Worker), Clean(task.Note),
		})
	}
	columns, rows = keep(columns, rows, has)
	lines := t.Table(width, columns, rows)
	if more := len(tasks) - len(shown); more > 0 {
		lines = append(lines, t.paint(dim, t.Fit(fmt.Sprintf("and %d more", more), width)))
	}
	return lines
}

// keep leaves out the columns that are not kept.
func keep(columns []Column, rows [][]string, kept []bool) ([]Column, [][]string) {
	var c []Column
	r := make([][]string, len(rows))
	for i, ok := range kept {
		if !ok {
			continue
		}
		c = append(c, columns[i])
		for k := range rows {
			r[k] = append(r[k], rows[k][i])
		}
	}
	return c, r
}

// FailureLines draws failures with their causes in at most height lines; each
// takes up to three.
func (t Theme) FailureLines(width, height int, failures []Failure) []string {
	var lines []string
	for i := range failures {
		block := t.failure(width, &failures[i])
		last := i+1 == len(failures)
		if len(lines)+len(block) > height || !last && len(lines)+len(block) == height {
			if len(lines) < height {
				lines = append(lines, t.paint(dim, t.Fit(fmt.Sprintf("and %d more that failed", len(failures)-i), width)))
			}
			break
		}
		lines = append(lines, block...)
	}
	return lines
}

func (t Theme) failure(width int, f *Failure) []string {
	mark, as := "✗ ", bad
	if !f.Final {
		mark, as = "↻ ", busy // it is tried again
	}
	if t.ASCII {
		mark = "! "
		if !f.Final {
			mark = "~ "
		}
	}
	where := fmt.Sprintf("attempt %d", f.Attempt)
	if f.Worker != "" {
		where += ", " + Clean(f.Worker)
	}
	text := Clean(f.Node) + " (" + where + "): " + Clean(f.Cause)
	lines := t.wrap(text, max(1, width-2), 3)
	for i, line := range lines {
		if i == 0 {
			lines[i] = t.Fit(t.paint(as, mark+line), width)
			continue
		}
		lines[i] = t.Fit(t.paint(as, "  "+line), width)
	}
	return lines
}
