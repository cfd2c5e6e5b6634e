package flowfile

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/workflow"
)

// The keys of a file.
var (
	fileKeys    = []string{"workflow", "version", "description", "inputs", "secrets", "defaults", "timeout", "tasks", "output"}
	inputKeys   = []string{"type", "default", "required", "description"}
	secretKeys  = []string{"env", "file"}
	defaultKeys = []string{"queue", "retry", "timeout", "heartbeat", "tags", "priority"}
)

// MaxTasks is how many tasks a file may have.
const MaxTasks = 1_000

// Load is [Parse] of the file at path. A file that cannot be read is an error of
// package os.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a workflow: %w", err)
	}
	defer f.Close()
	// One byte more than is allowed, so that Parse sees that it is too many.
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read a workflow: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a workflow, which messages say is in the file called name. The
// error is an *[Errors] with everything that is wrong.
func Parse(name string, data []byte) (*File, error) {
	r := &reader{problems: problems{file: name}}
	src, ok := readable(&r.problems, data)
	if !ok {
		return nil, r.err()
	}
	r.src = src
	root, ok := src.document(&r.problems)
	if !ok {
		return nil, r.err()
	}
	f, ok := r.file(root)
	if !ok {
		return nil, r.err()
	}
	c := checker{reader: r, file: f}
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	r.compile(f)
	if err := r.err(); err != nil {
		return nil, err
	}
	return f, nil
}

func (r *reader) file(root *yaml.Node) (*File, bool) {
	keys, ok := r.object(root, "a workflow", fileKeys)
	if !ok {
		return nil, false
	}
	f := &File{}
	if v, ok := keys["workflow"]; ok {
		f.Name = r.name(v.value, "workflow")
	} else {
		r.add(at(root), "the workflow has no name; add \"workflow: NAME\"")
	}
	if v, ok := keys["version"]; ok {
		f.Version = r.version(v.value)
	}
	if v, ok := keys["description"]; ok {
		f.Description, _ = r.text(v.value, "description")
	}
	if v, ok := keys["timeout"]; ok {
		f.timeout = r.duration(v.value, "timeout")
	}
	if v, ok := keys["inputs"]; ok {
		f.Inputs = r.inputs(v.value)
	}
	if v, ok := keys["secrets"]; ok {
		f.Secrets = r.secrets(v.value)
	}
	if v, ok := keys["defaults"]; ok {
		if fields, ok := r.object(v.value, "defaults", defaultKeys); ok {
			f.defaults = r.policy(fields, workflow.Policy{})
		}
	}
	if v, ok := keys["tasks"]; ok {
		r.tasks(f, v.value)
	} else {
		r.add(at(root), "the workflow has no tasks; add \"tasks:\" with at least one")
	}
	if v, ok := keys["output"]; ok {
		f.output = r.any(v.value, "output")
	}
	return f, true
}

// version reads a label, which is often a number.
func (r *reader) version(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		return n.Value
	}
	return r.name(n, "version")
}

func (r *reader) secrets(n *yaml.Node) []Secret {
	fields, _ := r.mapping(n, "secrets")
	var secrets []Secret
	for _, f := range fields {
		what := "secret " + f.name
		keys, ok := r.object(f.value, what, secretKeys)
		if !r.identifier(f.key, "a secret") || !ok {
			continue
		}
		s := Secret{Name: f.name}
		if v, ok := keys["env"]; ok {
			s.Env, _ = r.text(v.value, "env of "+what)
			if s.Env != "" && !isVariable(s.Env) {
				r.add(at(v.value), "env of %s cannot be %s; it is the name of a variable: letters, digits and _", what, quote(s.Env))
			}
		}
		if v, ok := keys["file"]; ok {
			s.File, _ = r.text(v.value, "file of "+what)
		}
		if len(keys) != 1 {
			r.add(at(f.value), "%s must have either env, the variable of the worker that holds it, or file, the file that does", what)
		}
		for _, k := range keys {
			if isText(k.value) && k.value.Value == "" {
				r.add(at(k.value), "%s of %s is empty", k.name, what)
			}
		}
		secrets = append(secrets, s)
	}
	return secrets
}

func (r *reader) tasks(f *File, n *yaml.Node) {
	fields, ok := r.mapping(n, "tasks")
	if !ok {
		return
	}
	if len(n.Content) == 0 {
		r.add(at(n), "tasks is empty; a workflow has at least one task")
	}
	if len(fields) > MaxTasks {
		r.add(at(fields[MaxTasks].key), "the workflow has %d tasks, at most %d are allowed", len(fields), MaxTasks)
		return
	}
	for _, field := range fields {
		r.identifier(field.key, "a task")
		f.tasks = append(f.tasks, r.task(f, field))
	}
}

// isVariable reports whether s can be the name of a variable of an environment.
func isVariable(s string) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
