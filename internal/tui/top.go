package tui

import (
	"fmt"
	"strings"
	"time"
)

// Queue is a queue with what goes on in it.
type Queue struct {
	Name                      string
	Waiting, Delayed, Running int
	Workers, Slots            int
	Oldest                    time.Duration // how long the first has waited; zero if none does
}

// Worker is a worker with what it does.
type Worker struct {
	ID, Host       string
	Queues         []string
	Running, Slots int
	Draining       bool
}

// Top is what goes on in a namespace.
type Top struct {
	Namespace string
	// Clock is the time of the reading as people write it.
	Clock string
	// Runs counts the runs that have not ended.
	Runs int
	// Started, Finished and Failed are nodes per second.
	Started, Finished, Failed float64
	Queues                    []Queue
	Workers                   []Worker
	Tasks                     []Task
	// Trouble is why the reading is not a fresh one; it may be empty.
	Trouble string
	Hint    string
}

// Lines draws the namespace for a terminal of this size: queues get at most
// a third of the lines, workers half of what is left, the running tasks the rest.
func (m *Top) Lines(t Theme, width, height int) []string {
	lines := []string{
		t.between(t.paint(title, "grapnel top")+"  "+Clean(m.Namespace), m.Clock, width),
	}
	sums, rates := m.sums(t), m.rates(t)
	if line := sums + t.dot() + rates; Width(line) <= width {
		lines = append(lines, line)
	} else {
		lines = append(lines, t.Fit(sums, width), t.Fit(rates, width))
	}
	if m.Trouble != "" {
		lines = append(lines, t.paint(bad, t.Fit(Clean(m.Trouble), width)))
	}
	room := height - len(lines)
	if m.Hint != "" {
		room -= 2
	}
	block := func(height int, what string, table func(height int) []string) {
		if got := table(height - 2); len(got) > 0 && height > 2 {
			lines = append(lines, "", t.Heading(t.Fit(what, width)))
			lines = append(lines, got...)
			room -= len(got) + 2
		}
	}
	block(max(6, room/3), "Queues", func(h int) []string { return t.queues(width, h, m.Queues) })
	block(max(6, room/2), "Workers", func(h int) []string { return t.workers(width, h, m.Workers) })
	block(room, fmt.Sprintf("Running tasks (%d)", len(m.Tasks)), func(h int) []string { return t.TaskTable(width, h, m.Tasks) })
	if m.Hint != "" {
		lines = t.withHint(lines[:min(len(lines), max(height-1, 0))], m.Hint, width, height)
	}
	return lines[:min(len(lines), max(height, 0))]
}

func (m *Top) sums(t Theme) string {
	waiting, slots, used := 0, 0, 0
	for _, q := range m.Queues {
		waiting += q.Waiting
	}
	for _, w := range m.Workers {
		slots, used = slots+w.Slots, used+w.Running
	}
	return strings.Join([]string{
		plural(m.Runs, "run"), fmt.Sprintf("%d waiting", waiting), fmt.Sprintf("%d/%d slots", used, slots),
	}, t.dot())
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (m *Top) rates(t Theme) string {
	failed := fmt.Sprintf("%.1f failed/s", m.Failed)
	if m.Failed > 0 {
		failed = t.paint(bad, failed)
	}
	return strings.Join([]string{
		fmt.Sprintf("%.1f started/s", m.Started), fmt.Sprintf("%.1f finished/s", m.Finished), failed,
	}, t.dot())
}

func (t Theme) queues(width, height int, queues []Queue) []string {
	var rows [][]string
	for _, q := range queues {
		waits := ""
		if q.Oldest > 0 {
			waits = Elapsed(q.Oldest)
		}
		number := fmt.Sprint(q.Waiting)
		if q.Waiting > 0 && q.Workers == 0 {
			number = t.paint(bad, number) // nobody will take them
		}
		rows = append(rows, []string{
			Clean(q.Name), number, fmt.Sprint(q.Delayed), fmt.Sprint(q.Running), fmt.Sprint(q.Workers), fmt.Sprint(q.Slots), waits,
		})
	}
	return t.limited(width, height, []Column{
		{Title: "QUEUE", Min: 8}, {Title: "WAITING", Right: true}, {Title: "DELAYED", Right: true, Drop: 3}, {Title: "RUNNING", Right: true},
		{Title: "WORKERS", Right: true, Drop: 1}, {Title: "SLOTS", Right: true, Drop: 2}, {Title: "OLDEST", Right: true, Drop: 1},
	}, rows)
}

func (t Theme) workers(width, height int, workers []Worker) []string {
	const bar = 10
	var rows [][]string
	for _, w := range workers {
		state := t.paint(good, "up")
		if w.Draining {
			state = t.paint(busy, "draining")
		}
		used := Counts{Running: w.Running, Pending: max(0, w.Slots-w.Running)}
		rows = append(rows, []string{
			Clean(w.ID), Clean(w.Host), state, fmt.Sprintf("%d/%d", w.Running, w.Slots), t.Bar(bar, used), Clean(strings.Join(w.Queues, ",")),
		})
	}
	return t.limited(width, height, []Column{
		{Title: "WORKER", Min: 12}, {Title: "HOST", Min: 6, Drop: 3}, {Title: "STATE"}, {Title: "USED", Right: true}, {Title: "", Drop: 2},
		{Title: "QUEUES", Min: 6, Drop: 1},
	}, rows)
}

// limited is a table of at most height lines, titles included; nil if there are
// no rows or there is no room.
func (t Theme) limited(width, height int, columns []Column, rows [][]string) []string {
	if len(rows) == 0 || height < 2 {
		return nil
	}
	shown := rows
	if len(rows) > height-1 {
		shown = rows[:height-2]
	}
	lines := t.Table(width, columns, shown)
	if more := len(rows) - len(shown); more > 0 {
		lines = append(lines, t.paint(dim, t.Fit(fmt.Sprintf("and %d more", more), width)))
	}
	return lines
}
