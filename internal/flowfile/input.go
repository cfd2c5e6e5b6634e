package flowfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
)

// inputTypes are the types of inputs, with what messages call a value of one.
var inputTypes = []struct {
	name, what string
	typ        *celexpr.Type
}{
	{"string", "text", celexpr.String},
	{"int", "a whole number", celexpr.Int},
	{"number", "a number", celexpr.Number},
	{"bool", "true or false", celexpr.Bool},
	{"list", "a list", celexpr.List(celexpr.Any)},
	{"map", "a map", celexpr.Map(celexpr.Any)},
	{"any", "anything", celexpr.Any},
}

func inputTypeNames() []string {
	names := make([]string, len(inputTypes))
	for i, t := range inputTypes {
		names[i] = t.name
	}
	return names
}

// inputs reads the declarations of inputs.
func (r *reader) inputs(n *yaml.Node) []Input {
	fields, _ := r.mapping(n, "inputs")
	var inputs []Input
	for _, f := range fields {
		named := r.identifier(f.key, "an input")
		if in, ok := r.input(f); ok && named {
			inputs = append(inputs, in)
		}
	}
	return inputs
}

func (r *reader) input(f field) (Input, bool) {
	what := "input " + f.name
	in := Input{Name: f.name, Type: "any"}
	keys, ok := r.object(f.value, what, inputKeys)
	if !ok {
		return in, false
	}
	if v, ok := keys["type"]; ok {
		in.Type = r.oneOf(v.value, "type of "+what, inputTypeNames())
		if !slices.Contains(inputTypeNames(), in.Type) {
			in.Type = "any"
		}
	} else {
		r.add(at(f.value), "%s has no type; it is one of %s", what, strings.Join(inputTypeNames(), ", "))
	}
	if v, ok := keys["description"]; ok {
		in.Description, _ = r.text(v.value, "description of "+what)
	}
	in.Required = true
	if v, ok := keys["default"]; ok {
		in.Required = false
		in.Default = r.inputDefault(v.value, in, what)
	}
	if v, ok := keys["required"]; ok {
		required, ok := r.boolean(v.value, "required of "+what)
		if _, has := keys["default"]; has && ok && required {
			r.add(at(v.value), "%s has a default and so is never missing; remove one of the two", what)
		}
		in.Required = required
	}
	return in, true
}

func (r *reader) inputDefault(n *yaml.Node, in Input, what string) []byte {
	before := len(r.found)
	v := r.any(n, "default of "+what)
	if !v.constant() {
		r.add(at(n), "default of %s cannot have an expression in it; a default is a plain value", what)
		return nil
	}
	if len(r.found) > before {
		return nil
	}
	data, err := in.accept(v.json())
	if err != nil {
		r.add(at(n), "default of %s must be %s, not %s", what, in.what(), describe(n))
		return nil
	}
	return data
}

// celType returns the type of the input's value in expressions.
func (in Input) celType() *celexpr.Type {
	if in.Default == nil && !in.Required {
		return celexpr.Any // it may be null
	}
	for _, t := range inputTypes {
		if t.name == in.Type {
			return t.typ
		}
	}
	return celexpr.Any
}

func (in Input) what() string {
	for _, t := range inputTypes {
		if t.name == in.Type {
			return t.what
		}
	}
	return in.Type
}

var errType = errors.New("another type")

// accept returns a value as the workflow gets it, if it is of the input's type.
// A number is written with a fraction or exponent, so that expressions take it
// for one.
func (in Input) accept(data []byte) ([]byte, error) {
	kind := jsonKind(data)
	ok := false
	switch in.Type {
	case "any":
		ok = true
	case "string":
		ok = kind == "text"
	case "bool":
		ok = kind == "true or false"
	case "list":
		ok = kind == "a list"
	case "map":
		ok = kind == "a map"
	case "int":
		_, err := strconv.ParseInt(string(data), 10, 64)
		ok = err == nil
	case "number":
		_, err := strconv.ParseFloat(string(data), 64)
		if ok = kind == "a number" && err == nil; ok && !bytes.ContainsAny(data, ".eE") {
			data = append(slices.Clone(data), ".0"...)
		}
	}
	if !ok {
		return nil, errType
	}
	return data, nil
}

// jsonKind says what a value in JSON is.
func jsonKind(data []byte) string {
	switch {
	case len(data) == 0 || data[0] == 'n':
		return "null"
	case data[0] == '"':
		return "text"
	case data[0] == 't' || data[0] == 'f':
		return "true or false"
	case data[0] == '[':
		return "a list"
	case data[0] == '{':
		return "a map"
	}
	return "a number"
}

// InputError says all that is wrong with an input. It wraps
// [grapnel.ErrInvalid].
type InputError struct {
	// Workflow is the workflow's name.
	Workflow string
	Problems []string
}

func (e *InputError) Error() string {
	return fmt.Sprintf("input of workflow %s: %s", e.Workflow, strings.Join(e.Problems, "; "))
}

// Unwrap returns [grapnel.ErrInvalid].
func (e *InputError) Unwrap() error { return grapnel.ErrInvalid }

// CheckInput checks an input, a JSON object, against the inputs that the
// workflow declares, and returns it with the defaults filled in: what a run is
// to be started with. No input, or null, counts as an empty object. The error is
// an *[InputError].
func (f *File) CheckInput(input []byte) ([]byte, error) {
	e := &InputError{Workflow: f.Name}
	wrong := func(format string, args ...any) { e.Problems = append(e.Problems, fmt.Sprintf(format, args...)) }
	given, err := decodeObject(input)
	if err != nil {
		wrong("%v", err)
		return nil, e
	}
	names := make([]string, len(f.Inputs))
	result := map[string]json.RawMessage{}
	for i, in := range f.Inputs {
		names[i] = in.Name
		data, ok := given[in.Name]
		switch {
		case !ok && in.Required:
			wrong("%s is missing; it is %s", in.Name, in.what())
			continue
		case !ok && in.Default != nil:
			data = in.Default
		case !ok, !in.Required && in.Default == nil && jsonKind(data) == "null":
			data = []byte("null")
		default:
			accepted, err := in.accept(data)
			if err != nil {
				wrong("%s must be %s, not %s", in.Name, in.what(), shortJSON(data))
				continue
			}
			data = accepted
		}
		result[in.Name] = data
	}
	for _, name := range sortedKeys(given) {
		if !slices.Contains(names, name) {
			if len(names) == 0 {
				wrong("there is no input %s; the workflow takes none", quote(name))
				continue
			}
			wrong("there is no input %s%s", quote(name), suggest(name, names, "there are "))
		}
	}
	if len(e.Problems) > 0 {
		return nil, e
	}
	data, err := json.Marshal(result)
	if err != nil {
		wrong("%v", err)
		return nil, e
	}
	if len(data) > grapnel.MaxPayload {
		wrong("it has %d bytes, at most %d are allowed", len(data), grapnel.MaxPayload)
		return nil, e
	}
	return data, nil
}

func decodeObject(data []byte) (map[string]json.RawMessage, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "null" {
		return nil, nil //nolint:nilnil // no fields, which is what no input is
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var fields map[string]json.RawMessage
	if err := dec.Decode(&fields); err != nil {
		if json.Valid(data) {
			return nil, fmt.Errorf("it must be a JSON object, {\"NAME\": VALUE, …}, not %s", shortJSON(data))
		}
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON object")
	}
	return fields, nil
}

// shortJSON is a value for a message.
func shortJSON(data []byte) string {
	kind := jsonKind(data)
	switch kind {
	case "text", "a number", "true or false":
		if len(data) <= 40 {
			return string(data)
		}
	}
	return kind
}
