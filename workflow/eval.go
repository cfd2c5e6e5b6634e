package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/grapnel-dev/grapnel"
)

// MaxEvaluated is the longest value, in bytes of JSON, that [Source.Eval]
// makes. Such values are not stored as they are, so this may be more than
// [grapnel.MaxPayload], which holds for what is: the inputs and outputs of
// tasks and runs that a value is made from, and a run's output itself.
const MaxEvaluated = 4 << 20

// Resolver gives a [Source] what it reads. All methods but RunID return JSON,
// which is not modified; no bytes at all count as null. [Values] makes resolvers.
type Resolver interface {
	// RunID returns the run's id.
	RunID() grapnel.RunID
	// Input returns the run's input.
	Input() ([]byte, error)
	// Output returns what a node came to, by its index in the definition.
	Output(node int) ([]byte, error)
	// Item returns the item of the map with this index, and its index in the list.
	Item(holder int) (item []byte, index int, err error)
}

// Eval returns the value of s as JSON. It depends on nothing but what r returns
// and copies numbers digit by digit. The result may share memory with s or with
// what r returned: don't modify it.
//
// A field of null, or one that an object does not have, is null; names are
// compared exactly. The error is r's, or wraps [grapnel.ErrInvalid] if a value
// does not have the shape that the source assumes, or [grapnel.ErrTooLarge] if
// one would be longer than [MaxEvaluated].
func (s Source) Eval(r Resolver) ([]byte, error) {
	data, err := s.eval(r)
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return []byte("null"), nil
	case len(data) > MaxEvaluated:
		return nil, fmt.Errorf("%w: a value has %d bytes as JSON, the limit workflow.MaxEvaluated is %d",
			grapnel.ErrTooLarge, len(data), MaxEvaluated)
	}
	return data, nil
}

func (s Source) eval(r Resolver) ([]byte, error) {
	switch s.Kind {
	case SourceNone:
		return nil, nil
	case SourceInput:
		return r.Input()
	case SourceNode:
		return r.Output(s.Node)
	case SourceItem, SourceIndex:
		item, index, err := r.Item(s.Node)
		if s.Kind == SourceIndex && err == nil {
			item = strconv.AppendInt(nil, int64(index), 10)
		}
		return item, err
	case SourceRunID:
		return marshal(r.RunID())
	case SourceConst:
		return s.Const, nil
	case SourceField:
		return s.evalField(r)
	case SourceStruct:
		return s.evalStruct(r)
	case SourceGather:
		return s.evalGather(r)
	}
	return nil, fmt.Errorf("%w: unknown kind of source %d", grapnel.ErrInvalid, s.Kind)
}

func (s Source) evalField(r Resolver) ([]byte, error) {
	if len(s.Of) != 1 {
		return nil, fmt.Errorf("%w: field of %d values", grapnel.ErrInvalid, len(s.Of))
	}
	data, err := s.Of[0].Eval(r)
	if err != nil {
		return nil, err
	}
	for i, name := range s.Path {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, fmt.Errorf("%w: field %q: %q is no object: %w", grapnel.ErrInvalid, s.Path, s.Path[:i], err)
		}
		field, ok := fields[name]
		if !ok {
			return nil, nil
		}
		data = field
	}
	return data, nil
}

// evalGather builds the list without looking into the parts.
func (s Source) evalGather(r Resolver) ([]byte, error) {
	var list bytes.Buffer
	list.WriteByte('[')
	for i, of := range s.Of {
		data, err := of.Eval(r)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			list.WriteByte(',')
		}
		list.Write(data)
		if list.Len() > MaxEvaluated {
			return nil, fmt.Errorf("%w: a list of %d values has more than %d bytes as JSON, the limit workflow.MaxEvaluated",
				grapnel.ErrTooLarge, len(s.Of), MaxEvaluated)
		}
	}
	list.WriteByte(']')
	return list.Bytes(), nil
}

func (s Source) evalStruct(r Resolver) ([]byte, error) {
	if len(s.Of) != len(s.Paths) {
		return nil, fmt.Errorf("%w: struct of %d values at %d paths", grapnel.ErrInvalid, len(s.Of), len(s.Paths))
	}
	var root patch
	for i, of := range s.Of {
		data, err := of.Eval(r)
		if err != nil {
			return nil, err
		}
		root.at(s.Paths[i]).value = data
	}
	var out bytes.Buffer
	if err := root.apply(&out, s.Const); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// patch is what to set in an object: a value in its place, or fields inside it.
type patch struct {
	value  []byte
	fields map[string]*patch
}

// at returns the patch at path, which it makes.
func (p *patch) at(path []string) *patch {
	for _, name := range path {
		next := p.fields[name]
		if next == nil {
			next = &patch{}
			if p.fields == nil {
				p.fields = map[string]*patch{}
			}
			p.fields[name] = next
		}
		p = next
	}
	return p
}

// apply writes base with the patch applied. Base is an object, or null or empty
// for one without fields. Fields are written in the order of their names.
func (p *patch) apply(out *bytes.Buffer, base []byte) error {
	if p.value != nil {
		out.Write(p.value)
		return nil
	}
	var fields map[string]json.RawMessage
	if len(base) > 0 {
		if err := json.Unmarshal(base, &fields); err != nil {
			return fmt.Errorf("%w: constant part of a struct is no object: %w", grapnel.ErrInvalid, err)
		}
	}
	names := slices.Collect(maps.Keys(fields))
	for name := range p.fields {
		if _, ok := fields[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		quoted, err := marshal(name)
		if err != nil {
			return fmt.Errorf("%w: field name %q: %w", grapnel.ErrInvalid, name, err)
		}
		out.Write(quoted)
		out.WriteByte(':')
		if inner := p.fields[name]; inner != nil {
			err = inner.apply(out, fields[name])
		} else {
			_, err = out.Write(fields[name])
		}
		if err != nil {
			return err
		}
		if out.Len() > MaxEvaluated {
			return fmt.Errorf("%w: a struct has more than %d bytes as JSON, the limit workflow.MaxEvaluated", grapnel.ErrTooLarge, MaxEvaluated)
		}
	}
	out.WriteByte('}')
	return nil
}
