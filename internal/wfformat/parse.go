package wfformat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/nearest"
)

// MaxFileSize is the largest file that is read, in bytes.
const MaxFileSize = 64 << 20

// ReadFile is [Parse] of the file at path. A file that cannot be read is an
// error of package os.
func ReadFile(path string) (*Workflow, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read workflow: %w", err)
	}
	defer f.Close()
	return Parse(f, path)
}

// Parse reads a workflow. Tasks keep the order of the file, except that one
// that comes before a parent of its moves behind it. Filename is for messages.
//
// The error joins all problems, each a [Problem] that wraps
// [grapnel.ErrInvalid]; it wraps [grapnel.ErrTooLarge] if there is more to read
// than [MaxFileSize], and the reader's error if reading failed.
func Parse(r io.Reader, filename string) (*Workflow, error) {
	return parse(r, filename, MaxFileSize)
}

func parse(r io.Reader, filename string, limit int64) (*Workflow, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read workflow %s: %w", filename, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: workflow %s has more than %d bytes", grapnel.ErrTooLarge, filename, limit)
	}
	p := &parser{problems: problems{file: filename}}
	w := p.file(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err := p.err(); err != nil {
		return nil, err
	}
	return w, nil
}

// parser reads one file. Its methods report what is wrong and go on with what
// there is.
type parser struct {
	problems
	version string
	ids     map[string]int // of tasks, to the first task of that id
	tasks   []Task         // in the file's order
	speller nearest.Speller
}

func (p *parser) file(data []byte) *Workflow {
	if len(bytes.TrimSpace(data)) == 0 {
		p.add("", "the file is empty")
		return nil
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		p.syntax(data, err)
		return nil
	}
	top, ok := p.object("", raw)
	if !ok {
		return nil
	}
	if v, ok := p.text(top, "", "schemaVersion"); ok && v != "1.5" && v != "1.6" {
		p.add("schemaVersion", "version %s is not supported; supported are 1.5 and 1.6", quote(v))
		return nil // who knows what the rest means
	} else if ok {
		p.version = v
	}
	name, _ := p.text(top, "", "name")
	in, ok := p.objectIn(top, "", "workflow")
	if !ok {
		return nil
	}
	p.specification(in)
	p.execution(in)
	w, cycle := assemble(name, p.tasks)
	if cycle != nil {
		p.add(tasksPlace, "tasks wait for each other in a cycle: %s", p.cycleText(cycle))
	}
	return w
}

// syntax reports why data is no JSON, and where.
func (p *parser) syntax(data []byte, err error) {
	at, text := len(data), err.Error()
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = min(int(se.Offset), len(data))
		if strings.Contains(text, "unexpected end") {
			text += "; is the file truncated?"
		} else {
			at = max(at-1, 0) // the offset is behind the byte that is wrong
		}
	}
	before := data[:at]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	p.add(fmt.Sprintf("line %d, column %d", line, column), "not JSON: %s", text)
}

const (
	specificationPlace = "workflow.specification"
	tasksPlace         = specificationPlace + ".tasks"
	executionPlace     = "workflow.execution"
)

// specification reads the tasks and their edges into p.tasks.
func (p *parser) specification(workflow object) {
	spec, ok := p.objectIn(workflow, "workflow", "specification")
	if !ok {
		return
	}
	list, ok := p.list(spec, specificationPlace, "tasks")
	if !ok {
		return
	}
	if len(list) == 0 {
		p.add(tasksPlace, "there are no tasks")
	}
	p.ids = make(map[string]int, len(list))
	p.tasks = make([]Task, len(list))
	objects := make([]object, len(list))
	for i, raw := range list {
		place := index(tasksPlace, i)
		t, ok := p.object(place, raw)
		if !ok {
			continue
		}
		objects[i] = t
		p.tasks[i].Name, _ = p.text(t, place, "name")
		id, ok := p.text(t, place, "id")
		if !ok {
			continue
		}
		p.tasks[i].ID = id
		if first, dup := p.ids[id]; dup {
			p.add(place+".id", "%s is the id of %s too", quote(id), index(tasksPlace, first))
			continue
		}
		p.ids[id] = i
		p.speller.Add(id)
	}
	for i, t := range objects {
		if t != nil {
			p.edges(i, t)
		}
	}
}

// edges reads the parents and children of task i.
func (p *parser) edges(i int, t object) {
	for _, key := range []string{"parents", "children"} {
		task := index(tasksPlace, i)
		list, _ := p.list(t, task, key)
		for k, raw := range list {
			place := index(task+"."+key, k)
			id, ok := p.string(place, raw)
			if !ok || id == "" && p.version == "1.5" {
				continue
			}
			other, ok := p.lookUp(place, id)
			switch {
			case !ok:
			case other == i:
				p.add(place, "task %s is among its own %s", quote(id), key)
			case key == "parents":
				p.tasks[i].Parents = append(p.tasks[i].Parents, other)
			default:
				p.tasks[other].Parents = append(p.tasks[other].Parents, i)
			}
		}
	}
}

// lookUp finds the task of an id, or reports that there is none.
func (p *parser) lookUp(place, id string) (int, bool) {
	i, ok := p.ids[id]
	if ok {
		return i, true
	}
	text := "no task " + quote(id)
	if !p.full() {
		if near, found := p.speller.Nearest(id); found {
			text += "; nearest is " + quote(near)
		}
	}
	p.add(place, "%s", text)
	return 0, false
}

// execution reads the runtimes into p.tasks.
func (p *parser) execution(workflow object) {
	if _, there := workflow["execution"]; !there || len(p.ids) == 0 {
		return // without any task, each entry would be wrong for the same reason
	}
	execution, ok := p.objectIn(workflow, "workflow", "execution")
	if !ok {
		return
	}
	list, _ := p.list(execution, executionPlace, "tasks")
	seen := make(map[int]int, len(list)) // from task to place in list
	for k, raw := range list {
		place := index(executionPlace+".tasks", k)
		t, ok := p.object(place, raw)
		if !ok {
			continue
		}
		runtime := p.runtime(t, place)
		id, ok := p.text(t, place, "id")
		if !ok {
			continue
		}
		i, ok := p.lookUp(place+".id", id)
		if !ok {
			continue
		}
		if first, dup := seen[i]; dup {
			p.add(place+".id", "%s is the id of %s too", quote(id), index(executionPlace+".tasks", first))
			continue
		}
		seen[i] = k
		p.tasks[i].Runtime = runtime
	}
}

func (p *parser) runtime(t object, place string) time.Duration {
	const key = "runtimeInSeconds"
	number, ok := p.number(t, place, key)
	if !ok {
		return 0
	}
	d, err := parseSeconds(number)
	switch {
	case err != nil:
		p.add(place+"."+key, "runtime %s is out of range", quote(number))
	case d < 0:
		p.add(place+"."+key, "runtime %s is negative", quote(number))
	}
	return max(d, 0)
}

// cycleText names the tasks of a cycle, at most ten of them.
func (p *parser) cycleText(cycle []int) string {
	const most = 10
	var b strings.Builder
	for k, i := range cycle {
		if k == most {
			fmt.Fprintf(&b, "%d more -> ", len(cycle)-most)
			break
		}
		b.WriteString(quote(p.tasks[i].ID) + " -> ")
	}
	return b.String() + quote(p.tasks[cycle[0]].ID)
}
