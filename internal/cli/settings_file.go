package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/nearest"
)

// content is a file's content as a provider of koanf.
type content []byte

// ReadBytes returns the content.
func (c content) ReadBytes() ([]byte, error) { return c, nil }

// Read is not used: a parser is always given.
func (c content) Read() (map[string]any, error) { return nil, errors.ErrUnsupported }

// settingsParser reads a file of settings for koanf. It refuses what is no
// setting, and values that none can have.
type settingsParser struct {
	file   string
	schema *schema
	lines  map[string]int // by key; filled in
	errs   []error
}

// Marshal is not used.
func (p *settingsParser) Marshal(map[string]any) ([]byte, error) { return nil, errors.ErrUnsupported }

// Unmarshal returns the settings, in maps by section. Values are texts or lists
// of texts. The error joins all problems, each with file and line; it wraps
// [grapnel.ErrInvalid].
func (p *settingsParser) Unmarshal(data []byte) (map[string]any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return map[string]any{}, nil
	case err != nil:
		return nil, fmt.Errorf("%w: settings: %s: %w", grapnel.ErrInvalid, p.file, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: settings: %s: more than one YAML document", grapnel.ErrInvalid, p.file)
	}
	top := map[string]any{}
	if root := doc.Content[0]; root.Kind != yaml.ScalarNode || root.Tag != "!!null" { // a file of comments is empty
		top = p.section(root, "")
	}
	return top, errors.Join(p.errs...)
}

func (p *settingsParser) problem(n *yaml.Node, format string, args ...any) {
	args = append([]any{grapnel.ErrInvalid, p.file, n.Line}, args...)
	p.errs = append(p.errs, fmt.Errorf("%w: settings: %s:%d: "+format, args...))
}

// section reads the settings of a section, of which "" is the top.
func (p *settingsParser) section(n *yaml.Node, section string) map[string]any {
	found := map[string]any{}
	if n.Kind != yaml.MappingNode {
		where := "the file"
		if section != "" {
			where = section
		}
		p.problem(n, "%s holds no settings, each with a name, a colon and a value", where)
		return found
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := name.Value
		if section != "" {
			key = section + delimiter + key
		}
		if _, twice := found[name.Value]; twice {
			p.problem(name, "%s is there twice", key)
			continue
		}
		if section == "" && slices.Contains(p.schema.sections(), name.Value) {
			found[name.Value] = p.section(value, name.Value)
			continue
		}
		if p.schema.flags[key] == nil || strings.Contains(name.Value, delimiter) {
			p.unknown(name, section)
			continue
		}
		p.lines[key] = name.Line
		found[name.Value] = p.value(value, key)
	}
	return found
}

// unknown reports a name that is no setting of the section.
func (p *settingsParser) unknown(name *yaml.Node, section string) {
	known := p.schema.names(section)
	where := ""
	if section != "" {
		where = " in section " + section
	}
	text := fmt.Sprintf("there is no setting %q%s", name.Value, where)
	if near, ok := nearest.New(known...).Nearest(name.Value); ok {
		text += fmt.Sprintf("; nearest is %q", near)
	} else {
		text += "; there are " + strings.Join(known, ", ")
	}
	p.problem(name, "%s", text)
}

// value reads a setting's value and tries it on.
func (p *settingsParser) value(n *yaml.Node, key string) any {
	var value any
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		value = n.Value
	case n.Kind == yaml.SequenceNode:
		texts := []string{}
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				p.problem(item, "%s: a value of the list is no text", key)
				return nil
			}
			texts = append(texts, item.Value)
		}
		value = texts
	default:
		p.problem(n, "%s has no value, but needs a text or a list", key)
		return nil
	}
	f := p.schema.flags[key]
	was := f.Changed
	if err := setFlag(f, value); err != nil {
		p.problem(n, "%s: %w", key, err)
	}
	f.Changed = was
	return value
}

// sections lists the sections of a file.
func (s *schema) sections() []string {
	var found []string
	for _, key := range s.keys {
		if section, _, ok := strings.Cut(key, delimiter); ok && !slices.Contains(found, section) {
			found = append(found, section)
		}
	}
	return found
}

// names lists the settings of a section; at the top, the sections too.
func (s *schema) names(section string) []string {
	var found []string
	for _, key := range s.keys {
		in, name, ok := strings.Cut(key, delimiter)
		switch {
		case !ok && section == "":
			found = append(found, key)
		case ok && in == section:
			found = append(found, name)
		}
	}
	if section == "" {
		found = append(found, s.sections()...)
	}
	return found
}
