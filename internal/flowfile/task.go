package flowfile

import (
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/workflow"
)

// The keys of a task: those of all, and those of each kind.
var (
	commonKeys = []string{
		"run", "http", "description", "needs", "if", "for_each", "parallel", "with",
		"retry", "timeout", "heartbeat", "queue", "tags", "priority", "outputs",
	}
	runKeys        = []string{"env", "dir", "stdin"}
	runOutputKeys  = []string{"stdout", "files"}
	httpOutputKeys = []string{"body"}
	httpKeys       = []string{"method", "url", "headers", "body", "expect"}
	outFileKeys    = []string{"path", "as"}
	secretRefKeys  = []string{"secret"}
	headerRefKeys  = []string{"secret", "prefix"}
	stdoutForms    = []string{"text", "json", "none"}
	fileForms      = []string{"text", "json"}
)

const (
	// maxListedItems is how many items a for_each may list.
	maxListedItems = workflow.MaxItems
	maxParallel    = workflow.MaxItems
	// reservedEnvName begins the names of variables that workers set.
	reservedEnvName = "GRAPNEL_"
)

func (r *reader) task(f *File, in field) *task {
	t := &task{name: in.name, key: in.key, needs: map[string]place{}, policy: f.defaults}
	what := "task " + in.name
	keys, ok := r.object(in.value, what, slices.Concat(commonKeys, runKeys))
	if !ok {
		return t
	}
	_, isRun := keys["run"]
	_, isHTTP := keys["http"]
	switch {
	case isRun && isHTTP:
		r.add(at(keys["http"].key), "%s has both run and http; a task does one of the two, so make it two tasks", what)
	case !isRun && !isHTTP:
		r.add(at(in.key), "%s does nothing; add run, for a command, or http, for a request", what)
	}
	if isHTTP {
		for _, key := range runKeys {
			if f, wrong := keys[key]; wrong && !isRun {
				r.add(at(f.key), "%s has %s, which is for tasks with run", what, key)
			}
		}
	}
	if v, ok := keys["description"]; ok {
		r.text(v.value, "description of "+what)
	}
	if v, ok := keys["needs"]; ok {
		r.needs(t, v.value)
	}
	if v, ok := keys["if"]; ok {
		t.cond = r.condition(v.value, what)
	}
	if v, ok := keys["for_each"]; ok {
		t.forEach = r.forEach(v.value, what)
	}
	if v, ok := keys["parallel"]; ok {
		t.parallel, _ = r.integer(v.value, "parallel", 1, maxParallel)
		if _, ok := keys["for_each"]; !ok {
			r.add(at(v.key), "parallel is for tasks with for_each; remove it, or add for_each")
		}
	}
	if v, ok := keys["with"]; ok {
		t.with = r.with(v.value, what)
	}
	t.policy = r.policy(keys, f.defaults)
	if isRun {
		t.command = r.command(f, keys, what)
	}
	if isHTTP && !isRun {
		t.http = r.http(f, keys, what)
	}
	return t
}

// needs reads the names of the tasks that are needed: a list, or one.
func (r *reader) needs(t *task, n *yaml.Node) {
	elems := []*yaml.Node{n}
	if !isText(n) {
		var ok bool
		if elems, ok = r.list(n, "needs"); !ok {
			return
		}
	}
	for _, elem := range elems {
		name, ok := r.text(elem, "a needed task")
		if !ok {
			continue
		}
		if _, dup := t.needs[name]; dup {
			r.add(at(elem), "task %s is needed twice; remove one", quote(name))
		}
		t.needs[name] = at(elem)
	}
}

// condition reads an expression, with or without ${{ }}, or true or false.
func (r *reader) condition(n *yaml.Node, what string) *value {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return r.any(n, "if")
	}
	if !isText(n) {
		r.add(at(n), "if of %s must be an expression, not %s", what, describe(n))
		return nil
	}
	if !strings.Contains(n.Value, "${{") {
		return bare(n)
	}
	v := r.template(n)
	if _, ok := v.single(true); !ok && v.kind == mixed {
		r.add(at(n), "if of %s must be one expression; put everything into one ${{ }}", what)
		return nil
	}
	return v.trimmed()
}

// forEach reads a list, or an expression that makes one.
func (r *reader) forEach(n *yaml.Node, what string) *value {
	switch {
	case n.Kind == yaml.SequenceNode:
		if len(n.Content) > maxListedItems {
			r.add(at(n.Content[maxListedItems]), "for_each of %s has %d items, at most %d are allowed", what, len(n.Content), maxListedItems)
		}
		return r.any(n, "for_each")
	case isText(n):
		v := r.template(n)
		if _, ok := v.single(true); ok || v.kind == plain && strings.Contains(n.Value, "${{") { // reported
			return v.trimmed()
		}
	}
	r.add(at(n), "for_each of %s must be a list, or an expression that makes one: ${{ … }}", what)
	return nil
}

func (r *reader) with(n *yaml.Node, what string) *value {
	fields, ok := r.mapping(n, "with of "+what)
	if !ok {
		return nil
	}
	v := &value{node: n, kind: mapping}
	for _, f := range fields {
		if r.identifier(f.key, "a value of with") {
			v.keys = append(v.keys, f.name)
			v.list = append(v.list, r.any(f.value, f.name))
		}
	}
	return v
}
