package flowfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/httptask"
	"github.com/grapnel-dev/grapnel/workflow"
)

// typeJSON is what definitions of files call the types of values that only the
// file knows.
const typeJSON = "json"

// outputNode is the node that makes the output. No task can have its name.
const outputNode = "workflow.output"

// Definition returns the definition of the workflow, which is sealed and not to
// be modified. A task NAME is a node NAME of kind task. Around it there may be
//
//   - NAME.condition, an expression, and NAME.if, a switch, for its if;
//   - NAME.items, an expression, and NAME.each, a map, for its for_each;
//   - NAME.with, an expression that makes the values of its with;
//   - NAME.input, an expression that makes its input;
//
// and the expression workflow.output makes the output. What has no expressions
// in it is a constant and has no node.
func (f *File) Definition() (*workflow.Definition, error) {
	if f.definition == nil {
		return nil, errors.New("the file was not made by Parse or Load")
	}
	return f.definition, nil
}

// compiler makes the definition of a file.
type compiler struct {
	*reader
	file *File
	def  *workflow.Definition
	done map[string]int // by task, the node that others read

	task    *task
	needs   []int // of the task, nodes at the top
	mapNode int   // around the node that is made, or -1
	with    int   // the node that makes the values of with, or -1
	scope   int   // 1 more than the holder around the node that is made, or 0
}

// compile makes the file's definition, or reports why it can't.
func (r *reader) compile(f *File) {
	before := len(r.found)
	c := &compiler{reader: r, file: f, done: map[string]int{}, def: &workflow.Definition{
		Name: f.Name, Version: f.Version, InType: typeJSON, OutType: typeJSON,
		Policy: workflow.RunPolicy{Queue: f.defaults.Queue, Timeout: f.timeout, Priority: f.defaults.Priority},
	}}
	for _, i := range f.order {
		c.compileTask(f.tasks[i])
	}
	c.task, c.needs, c.scope = nil, nil, 0
	c.def.Output = workflow.Source{Kind: workflow.SourceNone}
	if f.output != nil {
		c.def.Output = c.value(outputNode, f.output, f.output)
	}
	if len(r.found) > before {
		return
	}
	if err := errors.Join(c.def.Seal(), c.policies()); err != nil {
		r.add(place{}, "%v", err)
		return
	}
	f.definition = c.def
}

func (c *compiler) policies() error {
	errs := []error{c.def.Policy.Validate()}
	for i := range c.def.Nodes {
		errs = append(errs, c.def.Nodes[i].Policy.Validate())
	}
	return errors.Join(errs...)
}

// compileTask adds the nodes of a task: what holds it, and the task.
func (c *compiler) compileTask(t *task) {
	c.task, c.mapNode, c.with, c.scope, c.needs = t, -1, -1, 0, nil
	for _, name := range sortedKeys(t.needs) {
		c.needs = append(c.needs, c.done[name])
	}
	slices.Sort(c.needs)
	var holders []int
	if t.cond != nil && !t.perItem {
		holders = append(holders, c.hold(c.condition(t)))
	}
	if t.forEach != nil {
		node := workflow.Node{Kind: workflow.KindMap, Name: t.name + ".each", Branches: []workflow.Branch{{Name: "item"}}}
		node.Input = c.value(t.name+".items", t.forEach, t.forEach)
		node.Policy.Parallel = t.parallel
		c.mapNode = c.hold(node)
		holders = append(holders, c.mapNode)
	}
	if t.cond != nil && t.perItem {
		holders = append(holders, c.hold(c.condition(t)))
	}
	if t.with != nil {
		source := c.value(t.name+".with", t.with, t.with)
		if source.Kind == workflow.SourceNode {
			c.with = source.Node
		}
	}
	node := workflow.Node{Kind: workflow.KindTask, Name: t.name, Policy: t.policy}
	var input *value
	if t.command != nil {
		node.Task = commandtask.TaskName
		node.InType, node.OutType = commandtask.Task.Types()
		input = c.file.commandInput(t.command)
	} else {
		node.Task = httptask.TaskName
		node.InType, node.OutType = httptask.Task.Types()
		input = c.file.httpInput(t.http)
	}
	input.node = deref(t.key)
	node.Input = c.value(t.name+".input", input, input)
	last := c.add(node)
	for _, h := range slices.Backward(holders) {
		c.def.Nodes[h].Branches[0].Result = workflow.Source{Kind: workflow.SourceNode, Node: last}
		last = h
	}
	c.done[t.name] = last
}

// condition returns the switch of a task's condition, with its one branch.
func (c *compiler) condition(t *task) workflow.Node {
	return workflow.Node{
		Kind: workflow.KindSwitch, Name: t.name + ".if",
		Input:    c.value(t.name+".condition", t.cond, t.cond),
		Branches: []workflow.Branch{{Name: "then", Keys: [][]byte{[]byte("true")}}},
	}
}

// hold adds a node that holds those that are added from now on.
func (c *compiler) hold(n workflow.Node) int {
	n.InType, n.OutType = typeJSON, typeJSON
	c.scope = c.add(n) + 1
	return c.scope - 1
}

// add adds a node at the place where the compiler is. Outside of all holders it
// needs what its task needs, and anywhere what it reads.
func (c *compiler) add(n workflow.Node) int {
	needs := map[int]bool{}
	n.Input.Nodes(needs)
	if c.scope == 0 {
		for _, need := range c.needs {
			needs[need] = true
		}
	}
	n.Needs = slices.Sorted(maps.Keys(needs))
	n.Scope = c.scope
	c.def.Nodes = append(c.def.Nodes, n)
	return len(c.def.Nodes) - 1
}

// value returns where a value comes from: a constant, or a node of this name
// that is added for it. Of is what reports are about.
func (c *compiler) value(name string, v, of *value) workflow.Source {
	if v.constant() {
		data := v.json()
		if len(data) > grapnel.MaxPayload {
			c.report(of, "%s has %d bytes as JSON, at most %d are allowed; keep large data in files", c.part(name), len(data), grapnel.MaxPayload)
		}
		return workflow.Source{Kind: workflow.SourceConst, Const: data}
	}
	expr := v.cel()
	if e, ok := v.single(false); ok && !v.words {
		expr = strings.TrimSpace(e.source)
	}
	if len(expr) > workflow.MaxExpr {
		c.report(of, "%s has %d bytes with the texts around its expressions, at most %d are allowed; move long texts into files", c.part(name), len(expr), workflow.MaxExpr)
		expr = "null"
	}
	i := c.add(workflow.Node{
		Kind: workflow.KindExpr, Name: name, Task: celexpr.Language, Expr: expr,
		Input: c.environment(v), InType: typeJSON, OutType: typeJSON,
	})
	return workflow.Source{Kind: workflow.SourceNode, Node: i}
}

// part is what messages call the part of the file that a node is for.
func (c *compiler) part(node string) string {
	if c.task == nil {
		return "the output"
	}
	return fmt.Sprintf("the %s of task %s", strings.TrimPrefix(node, c.task.name+"."), c.task.name)
}

func (c *compiler) report(v *value, format string, args ...any) {
	at := place{}
	if v.node != nil {
		at = place{v.node.Line, v.node.Column}
	}
	c.reader.add(at, format, args...)
}

// environment returns what makes the variables that a value's expressions use,
// and no others.
func (c *compiler) environment(v *value) workflow.Source {
	uses := map[string]map[string]bool{}
	v.expressions(func(e *expression) {
		for name, fields := range e.checked.Uses {
			if uses[name] == nil {
				uses[name] = map[string]bool{}
			}
			for _, f := range fields {
				uses[name][f] = true
			}
		}
	})
	env := workflow.Source{Kind: workflow.SourceStruct, Const: []byte("{}")}
	set := func(s workflow.Source, path ...string) {
		env.Of, env.Paths = append(env.Of, s), append(env.Paths, path)
	}
	for _, name := range sortedKeys(uses) {
		switch name {
		case varInputs:
			set(workflow.Source{Kind: workflow.SourceInput}, name)
		case varTasks:
			for _, t := range sortedKeys(uses[name]) {
				set(workflow.Source{Kind: workflow.SourceNode, Node: c.done[t]}, name, t)
			}
		case varRun:
			set(workflow.Source{Kind: workflow.SourceRunID}, name, "id")
			set(workflow.Source{Kind: workflow.SourceConst, Const: jsonText(c.file.Name)}, name, "workflow")
		case varItem:
			set(workflow.Source{Kind: workflow.SourceItem, Node: c.mapNode}, name)
		case varIndex:
			set(workflow.Source{Kind: workflow.SourceIndex, Node: c.mapNode}, name)
		case varWith:
			if c.with >= 0 {
				set(workflow.Source{Kind: workflow.SourceNode, Node: c.with}, name)
			} else {
				set(workflow.Source{Kind: workflow.SourceConst, Const: c.task.with.json()}, name)
			}
		}
	}
	if len(env.Of) == 0 {
		return workflow.Source{Kind: workflow.SourceConst, Const: []byte("{}")}
	}
	return env
}

// fields is an object that is filled field by field.
type fields struct{ *value }

func newFields() fields { return fields{&value{kind: mapping}} }

func (f fields) set(name string, v *value) {
	if v == nil {
		return
	}
	f.keys, f.list = append(f.keys, name), append(f.list, v)
}

// commandInput returns the input of the task that runs a command, as package
// commandtask has it.
func (f *File) commandInput(c *command) *value {
	in := newFields()
	if c.shell == nil {
		in.set("argv", &value{kind: list, list: c.argv})
	}
	in.set("shell", c.shell)
	in.set("env", mapOf(c.env))
	in.set("secrets", f.secretsOf(c.secrets))
	in.set("dir", c.dir)
	in.set("stdin", c.stdin)
	if c.stdout != "text" {
		in.set("stdout", plainText(c.stdout))
	}
	if len(c.files) > 0 {
		files := newFields()
		for _, out := range c.files {
			file := newFields()
			file.set("path", out.path)
			if out.as != "text" {
				file.set("as", plainText(out.as))
			}
			files.set(out.name, file.value)
		}
		in.set("files", files.value)
	}
	return in.value
}

// httpInput returns the input of the task that sends a request, as package
// httptask has it.
func (f *File) httpInput(h *httpCall) *value {
	in := newFields()
	in.set("method", h.method)
	in.set("url", h.url)
	in.set("headers", mapOf(h.headers))
	in.set("secrets", f.secretsOf(h.secrets))
	in.set("body", h.body)
	if len(h.expect) > 0 {
		codes := &value{kind: list}
		for _, code := range h.expect {
			codes.list = append(codes.list, &value{kind: literal, text: fmt.Sprint(code)})
		}
		in.set("expect", codes)
	}
	if h.as != "" {
		in.set("as", plainText(h.as))
	}
	return in.value
}

func mapOf(values map[string]*value) *value {
	if len(values) == 0 {
		return nil
	}
	m := newFields()
	for _, name := range sortedKeys(values) {
		m.set(name, values[name])
	}
	return m.value
}

// secretsOf returns where the secrets are that variables or headers stand for.
func (f *File) secretsOf(names map[string]string) *value {
	if len(names) == 0 {
		return nil
	}
	m := newFields()
	for _, name := range sortedKeys(names) {
		i := slices.IndexFunc(f.Secrets, func(s Secret) bool { return s.Name == names[name] })
		if i < 0 {
			continue // reported
		}
		from := newFields()
		if s := f.Secrets[i]; s.Env != "" {
			from.set("env", plainText(s.Env))
		} else {
			from.set("file", plainText(s.File))
		}
		m.set(name, from.value)
	}
	return m.value
}
