package flowfile

import (
	"path/filepath"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

func (r *reader) command(f *File, keys map[string]field, what string) *command {
	c := &command{env: map[string]*value{}, secrets: map[string]string{}, stdout: "text"}
	r.run(c, keys["run"].value, what)
	if v, ok := keys["env"]; ok {
		r.texts(f, v.value, "env of "+what, secretRefKeys, c.env, c.secrets, func(key *yaml.Node, name string) {
			switch {
			case !isVariable(name):
				r.add(at(key), "%s cannot be a variable; its name has letters, digits and _", quote(name))
			case strings.HasPrefix(name, reservedEnvName):
				r.add(at(key), "%s cannot be set: variables that begin with %s are Grapnel's own", name, reservedEnvName)
			}
		})
	}
	if v, ok := keys["dir"]; ok {
		c.dir = r.words(v.value, "dir of "+what)
	}
	if v, ok := keys["stdin"]; ok {
		c.stdin = r.words(v.value, "stdin of "+what)
	}
	v, ok := keys["outputs"]
	if !ok {
		return c
	}
	outputs, _ := r.object(v.value, "outputs of "+what, runOutputKeys)
	if v, ok := outputs["stdout"]; ok {
		c.stdout = r.oneOf(v.value, "stdout of "+what, stdoutForms)
	}
	if v, ok := outputs["files"]; ok {
		c.files = r.outFiles(v.value, what)
	}
	return c
}

// run reads the command: its words, or a line for the shell.
func (r *reader) run(c *command, n *yaml.Node, what string) {
	if n.Kind != yaml.SequenceNode {
		c.shell = r.words(n, "run of "+what)
		if isText(n) && strings.TrimSpace(n.Value) == "" {
			r.add(at(n), "run of %s is empty; write a command", what)
		}
		return
	}
	if len(n.Content) == 0 {
		r.add(at(n), "run of %s is empty; the first element is the program", what)
	}
	for i, elem := range n.Content {
		word := r.words(deref(elem), "a word of run of "+what)
		if i == 0 && word.kind == plain && isText(deref(elem)) && word.text == "" {
			r.add(at(elem), "the first word of run of %s is the program and cannot be empty", what)
		}
		c.argv = append(c.argv, word)
	}
}

// outFiles reads the files that a command makes: name to path, or to path and
// form.
func (r *reader) outFiles(n *yaml.Node, what string) []outFile {
	fields, _ := r.mapping(n, "files of "+what)
	var files []outFile
	for _, f := range fields {
		if !r.identifier(f.key, "a file") {
			continue
		}
		file := outFile{name: f.name, as: "text"}
		if f.value.Kind != yaml.MappingNode {
			file.path = r.localPath(f.value, f.name)
			files = append(files, file)
			continue
		}
		keys, _ := r.object(f.value, "file "+f.name, outFileKeys)
		if v, ok := keys["path"]; ok {
			file.path = r.localPath(v.value, f.name)
		} else {
			r.add(at(f.value), "file %s has no path; say where the command writes it", f.name)
		}
		if v, ok := keys["as"]; ok {
			file.as = r.oneOf(v.value, "as of file "+f.name, fileForms)
		}
		files = append(files, file)
	}
	return files
}

// localPath reads the path of an output, which must be where the command runs,
// or below.
func (r *reader) localPath(n *yaml.Node, name string) *value {
	v := r.words(n, "path of file "+name)
	if v.kind == plain && n.Kind == yaml.ScalarNode && !filepath.IsLocal(v.text) {
		r.add(at(n), "path of file %s cannot be %s; it is relative to the folder of the command and stays in it", name, quote(v.text))
	}
	return v
}

func (r *reader) oneOf(n *yaml.Node, what string, forms []string) string {
	s, ok := r.text(n, what)
	if ok && !slices.Contains(forms, s) {
		r.add(at(n), "%s cannot be %s%s", what, quote(s), suggest(s, forms, "it is one of "))
	}
	return s
}

// texts reads a mapping of texts, some of which may be secrets. A secret with a
// prefix, as headers may have, has it among the texts.
func (r *reader) texts(f *File, n *yaml.Node, what string, refKeys []string, texts map[string]*value, secrets map[string]string, check func(key *yaml.Node, name string)) {
	fields, _ := r.mapping(n, what)
	for _, field := range fields {
		check(field.key, field.name)
		if field.value.Kind != yaml.MappingNode {
			texts[field.name] = r.words(field.value, field.name+" in "+what)
			continue
		}
		keys, ok := r.object(field.value, field.name+" in "+what, refKeys)
		v, has := keys["secret"]
		switch {
		case ok && len(field.value.Content) == 0:
			r.add(at(field.value), "%s in %s must be text, or {secret: NAME}", field.name, what)
		case ok && !has && keys["prefix"].value != nil:
			r.add(at(field.value), "%s in %s has a prefix of no secret; add secret, or write it as text", field.name, what)
		case has:
			if name, ok := r.text(v.value, "secret of "+field.name); ok {
				r.secret(f, v.value, name)
				secrets[field.name] = name
			}
			if p, ok := keys["prefix"]; ok {
				texts[field.name] = r.words(p.value, "prefix of "+field.name)
			}
		}
	}
}

// secret checks that there is a secret of a name.
func (r *reader) secret(f *File, n *yaml.Node, name string) {
	names := make([]string, len(f.Secrets))
	for i, s := range f.Secrets {
		names[i] = s.Name
	}
	if slices.Contains(names, name) {
		return
	}
	if len(names) == 0 {
		r.add(at(n), "there is no secret %s; declare it in secrets at the top: %s: {env: VARIABLE}", quote(name), name)
		return
	}
	r.add(at(n), "there is no secret %s%s", quote(name), suggest(name, names, "there are "))
}
