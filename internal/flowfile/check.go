package flowfile

import (
	"fmt"
	"maps"
	"strings"

	"github.com/grapnel-dev/grapnel/internal/celexpr"
)

// Names that expressions see.
const (
	varInputs = "inputs"
	varTasks  = "tasks"
	varRun    = "run"
	varWith   = "with"
	varItem   = "item"
	varIndex  = "index"
)

// elsewhere has names that people try because other tools have them, or that
// are known in other places, and what to write instead.
var elsewhere = map[string]string{
	"secrets": "secrets are not part of expressions, lest they end up in a run's state; give one to a task in env or headers: NAME: {secret: SECRET}",
	"env":     "expressions do not see the environment of any process; use an input",
	"needs":   "the outputs of needed tasks are in tasks: tasks.NAME",
	"steps":   "the outputs of other tasks are in tasks: tasks.NAME",
	"jobs":    "the outputs of other tasks are in tasks: tasks.NAME",
	"outputs": "the outputs of other tasks are in tasks: tasks.NAME",
	"matrix":  "the item of a for_each is in item, its number from 0 in index",
	"github":  "facts of the run are in run: run.id and run.workflow",
	varItem:   "item is known only in tasks with for_each",
	varIndex:  "index is known only in tasks with for_each",
	varWith:   "with is known only in run, http and what belongs to them, of a task that has a with",
}

// checker checks what concerns more than one place of a file: names, types and
// the order of tasks.
type checker struct {
	*reader
	file   *File
	byName map[string]int
}

// check reports what is wrong, and fills in what the file's compilation needs. An
// error is not about the file.
func (c *checker) check() error {
	c.byName = map[string]int{}
	for i, t := range c.file.tasks {
		c.byName[t.name] = i
		t.output = t.shape()
	}
	scope, err := c.scope()
	if err != nil {
		return err
	}
	for _, t := range c.file.tasks {
		c.names(t)
		if err := c.task(scope, t); err != nil {
			return err
		}
	}
	c.file.output.expressions(func(e *expression) { c.expression(scope, e) })
	c.order()
	return nil
}

// names checks that the tasks that t says it needs exist.
func (c *checker) names(t *task) {
	for _, name := range sortedKeys(t.needs) {
		if _, ok := c.byName[name]; ok && name != t.name {
			continue
		}
		place := t.needs[name]
		delete(t.needs, name)
		if name == t.name {
			c.add(place, "task %s cannot need itself", name)
			continue
		}
		others := maps.Clone(c.byName)
		delete(others, t.name)
		c.add(place, "there is no task %s%s", quote(name), suggest(name, sortedKeys(others), "there are "))
	}
}

// task checks the expressions of a task, each kind of place with the names that
// are known there.
func (c *checker) task(file *celexpr.Scope, t *task) error {
	if !t.hasExpressions() {
		return nil
	}
	outer := file.Hide(varTasks, t.name, fmt.Sprintf("task %s cannot use its own output", t.name))
	inItem := outer
	if t.forEach != nil {
		var err error
		if inItem, err = outer.With(map[string]*celexpr.Type{varItem: c.items(outer, t), varIndex: celexpr.Int}); err != nil {
			return err
		}
	}
	c.condition(inItem, t)
	body := inItem
	if t.with != nil {
		t.with.expressions(func(e *expression) { c.use(inItem, t, e) })
		fields := map[string]*celexpr.Type{}
		for i, name := range t.with.keys {
			fields[name] = t.with.list[i].celType()
		}
		var err error
		if body, err = inItem.With(map[string]*celexpr.Type{varWith: celexpr.Object(varWith, fields)}); err != nil {
			return err
		}
	}
	t.values(func(v *value) {
		v.expressions(func(e *expression) { c.use(body, t, e) })
	})
	return nil
}

// items checks the list of a for_each and returns the type of its elements.
func (c *checker) items(scope *celexpr.Scope, t *task) *celexpr.Type {
	t.forEach.expressions(func(e *expression) { c.use(scope, t, e) })
	if t.forEach.kind == list {
		for _, elem := range t.forEach.list {
			if elem.kind != plain {
				return celexpr.Any
			}
		}
		return celexpr.String
	}
	e, ok := t.forEach.single(false)
	if !ok || e.checked == nil {
		return celexpr.Any
	}
	switch typ := e.checked.Type; typ.Kind {
	case celexpr.KindList:
		return typ.Elem
	case celexpr.KindAny:
	default:
		c.add(c.begin(e), "for_each of task %s must be a list, but this is %s", t.name, typ)
	}
	return celexpr.Any
}

func (c *checker) condition(scope *celexpr.Scope, t *task) {
	t.cond.expressions(func(e *expression) {
		c.use(scope, t, e)
		if e.checked == nil {
			return
		}
		if k := e.checked.Type.Kind; k != celexpr.KindBool && k != celexpr.KindAny {
			c.add(c.begin(e), "if of task %s must be true or false, but this is %s", t.name, e.checked.Type)
		}
		t.perItem = e.uses(varItem) || e.uses(varIndex)
	})
}

func (e *expression) uses(name string) bool {
	if e.checked == nil {
		return false
	}
	_, ok := e.checked.Uses[name]
	return ok
}

// begin returns where an expression begins, behind its white space.
func (c *checker) begin(e *expression) place {
	space := len(e.source) - len(strings.TrimLeft(e.source, " \t\r\n"))
	return c.src.inside(e.node, e.start+space)
}

// use checks an expression and makes the task need what it uses.
func (c *checker) use(scope *celexpr.Scope, t *task, e *expression) {
	c.expression(scope, e)
	if e.checked == nil {
		return
	}
	for _, name := range e.checked.Uses[varTasks] {
		if _, ok := t.needs[name]; !ok {
			t.needs[name] = c.begin(e)
		}
	}
}

func (c *checker) expression(scope *celexpr.Scope, e *expression) {
	if c.full() {
		c.more++ // not looked at: nobody reads so many messages
		return
	}
	checked, problems := scope.Check(e.source)
	for _, p := range problems {
		c.add(c.src.inside(e.node, e.start+p.Offset), "%s", p.Text)
	}
	e.checked = checked
}

// scope returns what all expressions of the file see.
func (c *checker) scope() (*celexpr.Scope, error) {
	inputs := map[string]*celexpr.Type{}
	for _, in := range c.file.Inputs {
		inputs[in.Name] = in.celType()
	}
	tasks := celexpr.Object(varTasks, map[string]*celexpr.Type{})
	tasks.Parts = "tasks cannot be used as a whole; name a task: tasks.NAME"
	for _, t := range c.file.tasks {
		tasks.Fields[t.name] = t.result()
	}
	return celexpr.NewScope(map[string]*celexpr.Type{
		varInputs: celexpr.Object(varInputs, inputs),
		varTasks:  tasks,
		varRun:    celexpr.Object(varRun, map[string]*celexpr.Type{"id": celexpr.String, "workflow": celexpr.String}),
	}, elsewhere)
}

// shape returns the type of what one run of the task puts out.
func (t *task) shape() *celexpr.Type {
	name := "the output of task " + t.name
	switch {
	case t.command != nil:
		files := map[string]*celexpr.Type{}
		for _, f := range t.command.files {
			files[f.name] = formType(f.as)
		}
		o := celexpr.Object(name, map[string]*celexpr.Type{
			"exit_code": celexpr.Int, "files": celexpr.Object("the files of task "+t.name, files),
		})
		o.Missing = map[string]string{"stderr": "what a command writes to stderr is not kept; send it to stdout with 2>&1"}
		if t.command.stdout == "none" {
			o.Missing["stdout"] = fmt.Sprintf("task %s keeps no stdout: its outputs say none", t.name)
		} else {
			o.Fields["stdout"] = formType(t.command.stdout)
		}
		return o
	case t.http != nil:
		o := celexpr.Object(name, map[string]*celexpr.Type{
			"status": celexpr.Int, "headers": celexpr.Map(celexpr.String),
		})
		if t.http.as == "none" {
			o.Missing = map[string]string{"body": fmt.Sprintf("task %s keeps no body: its outputs say none", t.name)}
		} else {
			o.Fields["body"] = formType(t.http.as)
		}
		return o
	}
	return celexpr.Any
}

func formType(form string) *celexpr.Type {
	if form == "text" {
		return celexpr.String
	}
	return celexpr.Any
}

// result returns the type of what other tasks see of the task.
func (t *task) result() *celexpr.Type {
	if t.forEach != nil {
		return celexpr.List(t.output)
	}
	return t.output
}

// celType returns what is known of the type of a value.
func (v *value) celType() *celexpr.Type {
	switch v.kind {
	case plain:
		return celexpr.String
	case list:
		return celexpr.List(celexpr.Any)
	case mapping:
		return celexpr.Map(celexpr.Any)
	case literal:
		switch jsonKind([]byte(v.text)) {
		case "true or false":
			return celexpr.Bool
		case "a number":
			if strings.ContainsAny(v.text, ".eE") {
				return celexpr.Number
			}
			return celexpr.Int
		}
		return celexpr.Any
	}
	if e, ok := v.single(false); ok {
		if e.checked == nil {
			return celexpr.Any
		}
		return e.checked.Type
	}
	return celexpr.String
}
