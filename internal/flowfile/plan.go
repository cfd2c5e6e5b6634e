package flowfile

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Step is a task as a plan shows it. Texts with expressions in them are as they
// are in the file.
type Step struct {
	Name string `json:"task"`
	// Level is 1 for tasks that need no others, otherwise one more than the
	// largest of those that it needs.
	Level int `json:"level"`
	// Does is the command line, or the method and URL of the request.
	Does  string   `json:"does"`
	Needs []string `json:"needs,omitempty"`
	// If and ForEach are expressions, or a list; empty for none. PerItem is set if
	// the condition is decided for each item.
	If       string `json:"if,omitempty"`
	PerItem  bool   `json:"if_per_item,omitempty"`
	ForEach  string `json:"for_each,omitempty"`
	Parallel int    `json:"parallel,omitempty"` // zero means all at once
	// Queue is empty for the default one.
	Queue    string        `json:"queue,omitempty"`
	Tags     []string      `json:"tags,omitempty"`
	Secrets  []string      `json:"secrets,omitempty"`
	Attempts int           `json:"attempts"` // negative means no limit
	Timeout  time.Duration `json:"-"`        // of an attempt; zero means none
}

// Plan returns the tasks in an order in which each is behind all that it needs,
// by levels.
func (f *File) Plan() []Step {
	steps := make([]Step, 0, len(f.order))
	levels := map[string]int{}
	for _, i := range f.order {
		s := f.tasks[i].step()
		for _, need := range s.Needs {
			s.Level = max(s.Level, levels[need]+1)
		}
		levels[s.Name] = s.Level
		steps = append(steps, s)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.Level - b.Level })
	return steps
}

func (t *task) step() Step {
	s := Step{
		Name: t.name, Level: 1, Needs: sortedKeys(t.needs), If: t.cond.expression(), PerItem: t.perItem,
		ForEach: t.forEach.expression(), Parallel: t.parallel, Queue: t.policy.Queue, Tags: t.policy.Tags,
		Attempts: t.policy.Retry.Attempts, Timeout: t.policy.StartToClose,
	}
	if s.Attempts == 0 {
		s.Attempts = 1
	}
	switch {
	case t.command != nil:
		s.Does = t.command.line()
		s.Secrets = distinct(t.command.secrets)
	case t.http != nil:
		s.Does = cmp.Or(t.http.method.source(), "GET") + " " + t.http.url.source()
		s.Secrets = distinct(t.http.secrets)
	}
	return s
}

// distinct returns the values of a map once each.
func distinct(m map[string]string) []string {
	return slices.Compact(slices.Sorted(maps.Values(m)))
}

// line is the command as somebody would type it.
func (c *command) line() string {
	if c.shell != nil {
		return strings.TrimSpace(c.shell.source())
	}
	words := make([]string, len(c.argv))
	for i, v := range c.argv {
		words[i] = v.source()
		if words[i] == "" || v.special() {
			words[i] = strconv.Quote(words[i])
		}
	}
	return strings.Join(words, " ")
}

// special reports whether there are characters beside the expressions that a
// shell would not take as they are.
func (v *value) special() bool {
	const characters = " \t\n\"'`$&|;<>()*?"
	return strings.ContainsAny(v.text, characters) ||
		slices.ContainsFunc(v.parts, func(p part) bool { return strings.ContainsAny(p.text, characters) })
}

// expression is source, without the braces if the value is one expression.
func (v *value) expression() string {
	if v == nil {
		return ""
	}
	if e, ok := v.single(true); ok {
		return strings.TrimSpace(e.source)
	}
	return v.source()
}

// source returns a value as it is in the file, or nearly so; nothing for none.
func (v *value) source() string {
	if v == nil {
		return ""
	}
	var b strings.Builder
	switch v.kind {
	case literal, plain:
		return v.text
	case mixed:
		for _, p := range v.parts {
			if p.expr == nil {
				b.WriteString(p.text)
				continue
			}
			b.WriteString("${{ " + strings.TrimSpace(p.expr.source) + " }}")
		}
	case list, mapping:
		left, right := "[", "]"
		if v.kind == mapping {
			left, right = "{", "}"
		}
		b.WriteString(left)
		for i, elem := range v.list {
			if i > 0 {
				b.WriteString(", ")
			}
			if v.kind == mapping {
				b.WriteString(v.keys[i] + ": ")
			}
			b.WriteString(elem.source())
		}
		b.WriteString(right)
	}
	return b.String()
}
