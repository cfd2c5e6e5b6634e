package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/internal/tui"
)

// flowPlan is what grapnel run --plan -o json prints.
type flowPlan struct {
	Workflow    string          `json:"workflow"`
	Version     string          `json:"version,omitempty"`
	Description string          `json:"description,omitempty"`
	Definition  string          `json:"definition"`
	Inputs      []planInput     `json:"inputs"`
	Secrets     []planSecret    `json:"secrets"`
	Tasks       []flowfile.Step `json:"tasks"`
}

type planInput struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required"`
}

type planSecret struct {
	Name string `json:"name"`
	// Env or File is where workers look for it; Here is set if it is there for
	// this process.
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
	Here bool   `json:"here"`
}

// printPlan shows what a run would do.
func (fl *flow) printPlan() error {
	p := &flowPlan{
		Workflow: fl.file.Name, Version: fl.file.Version, Description: fl.file.Description, Definition: fl.def.Hash(),
		Inputs: []planInput{}, Secrets: []planSecret{}, Tasks: fl.file.Plan(),
	}
	for _, in := range fl.file.Inputs {
		p.Inputs = append(p.Inputs, planInput{in.Name, in.Type, in.Required})
	}
	for _, s := range fl.file.Secrets {
		here := os.Getenv(s.Env) != ""
		if s.File != "" {
			_, err := os.Stat(s.File)
			here = err == nil
		}
		p.Secrets = append(p.Secrets, planSecret{s.Name, s.Env, s.File, here})
	}
	if fl.format == formatJSON {
		return writeJSON(fl.out, p)
	}
	_, err := fmt.Fprint(fl.out, p.text())
	return err
}

// text is the plan for people.
func (p *flowPlan) text() string {
	var b strings.Builder
	levels, width := 0, 0
	for _, s := range p.Tasks {
		levels, width = max(levels, s.Level), max(width, tui.Width(s.Name))
	}
	fmt.Fprintf(&b, "%s: %s on %s; nothing was started\n", p.Workflow, counted(len(p.Tasks), "task"), counted(levels, "level"))
	at := 0
	for _, s := range p.Tasks {
		if s.Level != at {
			at = s.Level
			fmt.Fprintf(&b, "\nlevel %d\n", at)
		}
		lines := append([]string{firstLine(s.Does)}, planNotes(&s)...)
		for i, line := range lines {
			name := ""
			if i == 0 {
				name = s.Name
			}
			fmt.Fprintf(&b, "  %-*s  %s\n", width, name, line)
		}
	}
	p.needs(&b)
	return b.String()
}

// firstLine is the first line of a text, with how many follow.
func firstLine(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if !more {
		return tui.Clean(first)
	}
	return fmt.Sprintf("%s … (%s more)", tui.Clean(first), counted(1+strings.Count(rest, "\n"), "line"))
}

// planNotes says what there is to know of a task besides what it does.
func planNotes(s *flowfile.Step) []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, "- "+tui.Clean(fmt.Sprintf(format, args...))) }
	if len(s.Needs) > 0 {
		add("after %s", strings.Join(s.Needs, ", "))
	}
	if s.If != "" && !s.PerItem {
		add("if %s", s.If)
	}
	if s.ForEach != "" {
		limit := ""
		if s.Parallel > 0 {
			limit = fmt.Sprintf(", %d at a time", s.Parallel)
		}
		add("for each of %s%s", s.ForEach, limit)
	}
	if s.If != "" && s.PerItem {
		add("for those items for which %s", s.If)
	}
	if s.Attempts != 1 {
		attempts := counted(s.Attempts, "attempt")
		if s.Attempts < 0 {
			attempts = "any number of attempts"
		}
		add("up to %s", attempts)
	}
	if s.Timeout > 0 {
		add("at most %s an attempt", s.Timeout)
	}
	if s.Queue != "" {
		add("on queue %s", s.Queue)
	}
	if len(s.Tags) > 0 {
		add("where there is %s", strings.Join(s.Tags, ", "))
	}
	if len(s.Secrets) > 0 {
		add("with secret %s", strings.Join(s.Secrets, ", "))
	}
	return notes
}

// needs says what a run needs to be given.
func (p *flowPlan) needs(b *strings.Builder) {
	if len(p.Inputs) > 0 {
		b.WriteString("\ninputs\n")
	}
	for _, in := range p.Inputs {
		how := "optional"
		if in.Required {
			how = "required"
		}
		fmt.Fprintf(b, "  %s: %s, %s\n", in.Name, in.Type, how)
	}
	if len(p.Secrets) > 0 {
		b.WriteString("\nsecrets\n")
	}
	for _, s := range p.Secrets {
		from := "variable " + s.Env
		if s.File != "" {
			from = "file " + s.File
		}
		if !s.Here {
			from += ", which is not here"
		}
		fmt.Fprintf(b, "  %s: %s\n", s.Name, from)
	}
}
