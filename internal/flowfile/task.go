package flowfile

import (
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// The keys of a task: those of all, and those of each kind.
var (
	commonKeys = []string{
		"run", "http", "description", "needs", "if", "for_each", "parallel", "with",
		"retry", "timeout", "heartbeat", "queue", "tags", "priority", "outputs",
	}
	runKeys         = []string{"env", "dir", "stdin"}
	runOutputKeys   = []string{"stdout", "files"}
	httpOutputKeys  = []string{"body"}
	httpKeys        = []string{"method", "url", "headers", "body", "expect"}
	outFileKeys     = []string{"path", "as"}
	secretRefKeys   = []string{"secret"}
	headerRefKeys   = []string{"secret", "prefix"}
	stdoutForms     = []string{"text", "json", "none"}
	fileForms       = []string{"text", "json"}
	maxListedItems  = 256
	maxParallel     = 256
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

func (r *reader) http(f *File, keys map[string]field, what string) *httpCall {
	h := &httpCall{headers: map[string]*value{}, secrets: map[string]string{}}
	fields, ok := r.object(keys["http"].value, "http of "+what, httpKeys)
	if !ok {
		return h
	}
	if v, ok := fields["url"]; ok {
		h.url = r.words(v.value, "url of "+what)
		r.checkURL(h.url, what)
	} else {
		r.add(at(keys["http"].value), "http of %s has no url", what)
	}
	if v, ok := fields["method"]; ok {
		h.method = r.words(v.value, "method of "+what)
		if m := h.method; m.kind == plain && isText(v.value) && !isMethod(m.text) {
			r.add(at(v.value), "method of %s cannot be %s; write one such as GET, POST, PUT, PATCH or DELETE, in capitals", what, quote(m.text))
		}
	}
	if v, ok := fields["headers"]; ok {
		r.texts(f, v.value, "headers of "+what, headerRefKeys, h.headers, h.secrets, func(key *yaml.Node, name string) {
			switch {
			case !isHeader(name):
				r.add(at(key), "%s cannot be a header", quote(name))
			case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
				r.add(at(key), "header %s cannot be set; it follows from the request", name)
			}
		})
		for _, name := range sortedKeys(h.headers) {
			if v := h.headers[name]; v.kind == plain && strings.ContainsFunc(v.text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				r.add(at(v.node), "header %s has a control character or the end of a line in its value", name)
			}
		}
	}
	if v, ok := fields["body"]; ok {
		h.body = r.any(v.value, "body")
	}
	if v, ok := fields["expect"]; ok {
		h.expect = r.expect(v.value, what)
	}
	if v, ok := keys["outputs"]; ok {
		outputs, _ := r.object(v.value, "outputs of "+what, httpOutputKeys)
		if v, ok := outputs["body"]; ok {
			h.as = r.oneOf(v.value, "body of "+what, stdoutForms)
		}
	}
	return h
}

// isHeader reports whether s can be the name of a header.
func isHeader(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// ownHeaders are headers that a request has anyway.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Te", "Proxy-Authorization", "Proxy-Connection",
}

func isMethod(s string) bool {
	return slices.Contains([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}, s)
}

// checkURL checks what is known of a URL before expressions are.
func (r *reader) checkURL(v *value, what string) {
	begin := v.text
	if v.kind == mixed {
		begin = v.parts[0].text
		if begin == "" {
			return
		}
	}
	u, err := url.Parse(begin)
	if v.kind == mixed && strings.Contains(begin, "://") {
		begin, _, _ = strings.Cut(begin, "://")
		u, err = &url.URL{Scheme: begin, Host: "known-later"}, nil
	}
	if err == nil && u.User != nil {
		r.add(at(v.node), "url of %s has a user in it, which would be in the run's state; send a header from a secret", what)
		return
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.add(at(v.node), "url of %s must begin with http:// or https:// and a host", what)
	}
}

// expect reads the statuses that count as success: a list, or one.
func (r *reader) expect(n *yaml.Node, what string) []int {
	elems := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		elems, _ = r.list(n, "expect of "+what)
		if n.Kind == yaml.SequenceNode && len(elems) == 0 {
			r.add(at(n), "expect of %s is empty; leave it out to take any status from 200 to 299", what)
		}
	}
	var codes []int
	for _, elem := range elems {
		if code, ok := r.integer(elem, "a status in expect of "+what, 200, 599); ok {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
