package flowfile

import (
	"time"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/workflow"
)

// File is a workflow that was read from a file and found to be right. It is not
// modified.
type File struct {
	// Name, Version and Description are the workflow's.
	Name, Version, Description string
	// Inputs are what the workflow takes, in the file's order.
	Inputs []Input
	// Secrets are where workers find secrets, in the file's order.
	Secrets []Secret

	defaults workflow.Policy
	timeout  time.Duration
	tasks    []*task
	output   *value // nil if the workflow has none
	order    []int  // of tasks: each behind all that it needs

	definition *workflow.Definition
}

// Input is one value that a workflow takes.
type Input struct {
	Name string
	// Type is string, int, number, bool, list, map or any.
	Type string
	// Default is JSON; nil if there is none.
	Default []byte
	// Required is set if there is no run without it. An input that is neither
	// required nor given, and has no default, is null.
	Required    bool
	Description string
}

// Secret says where a worker finds a secret: in a variable of its environment
// or in a file. Exactly one of the two is set.
type Secret struct {
	Name, Env, File string
}

// task is one task of a file.
type task struct {
	name string
	key  *yaml.Node
	// needs are the tasks that it needs by its needs, and by its expressions,
	// each with a place where it says so.
	needs map[string]place

	cond     *value // nil for none
	forEach  *value // nil for none
	parallel int
	with     *value // a mapping; nil for none
	policy   workflow.Policy

	command *command // one of the two
	http    *httpCall

	output *celexpr.Type // of one run of the task
	// perItem is set if the condition is decided for each item.
	perItem bool
}

// command is a task with run.
type command struct {
	argv  []*value
	shell *value // nil with argv
	// env and secrets are by variable; secrets are names of secrets.
	env     map[string]*value
	secrets map[string]string
	dir     *value
	stdin   *value
	stdout  string
	files   []outFile
}

// outFile is a file that a command writes and that becomes an output.
type outFile struct {
	name string
	path *value
	as   string
}

// httpCall is a task with http.
type httpCall struct {
	method, url *value
	headers     map[string]*value
	secrets     map[string]string
	body        *value
	expect      []int
	as          string
}

// hasExpressions reports whether there is an expression anywhere in the task.
func (t *task) hasExpressions() bool {
	found := !t.cond.constant() || !t.forEach.constant() || !t.with.constant()
	t.values(func(v *value) { found = found || !v.constant() })
	return found
}

// values calls visit for each value of the task's work: all but its condition,
// its list and its named values.
func (t *task) values(visit func(*value)) {
	if c := t.command; c != nil {
		for _, v := range c.argv {
			visit(v)
		}
		visit(c.shell)
		visit(c.dir)
		visit(c.stdin)
		for _, name := range sortedKeys(c.env) {
			visit(c.env[name])
		}
		for _, f := range c.files {
			visit(f.path)
		}
	}
	if h := t.http; h != nil {
		visit(h.method)
		visit(h.url)
		visit(h.body)
		for _, name := range sortedKeys(h.headers) {
			visit(h.headers[name])
		}
	}
}
