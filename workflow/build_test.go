package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

type (
	V[T any] = workflow.Value[T]

	order struct {
		ID       int64    `json:"id"`
		Email    string   `json:"email,omitempty"`
		Customer customer `json:"customer"`
		Hidden   string   `json:"-"`
		secret   string
		Quoted   int `json:",string"`
		When     time.Time
		Parent   *order
		Lines    []string
		A, B     workflow.None
	}
	customer struct{ Name, City string }
)

var (
	charge = workflow.NewTask[string, int]("charge")
	audit  = workflow.NewTask[int, workflow.None]("audit")
)

// mark remembers the line below the one it is called on.
type mark struct{ line int }

func (m *mark) next() {
	_, _, line, _ := runtime.Caller(1)
	m.line = line + 1
}

// joined is what errors.Join returns.
type joined interface {
	error
	Unwrap() []error
}

// mistakes returns the mistakes of a workflow.
func mistakes(t *testing.T, w workflow.Any) []*workflow.BuildError {
	t.Helper()
	if w.Err() == nil {
		return nil
	}
	if d, err := w.Definition(); d != nil || err == nil {
		t.Errorf("a workflow with mistakes has definition %v, error %v", d, err)
	}
	list, ok := errors.AsType[joined](w.Err())
	if !ok {
		t.Fatalf("not a joined error: %v", w.Err())
	}
	var all []*workflow.BuildError
	for _, err := range list.Unwrap() {
		b, ok := errors.AsType[*workflow.BuildError](err)
		if !ok {
			t.Fatalf("%v is no BuildError", err)
		}
		all = append(all, b)
	}
	return all
}

// wrong is a call that is a mistake, by what it is called. Build marks it.
type wrong map[string]struct {
	want  string
	build func(m *mark, g *workflow.Graph, in V[order])
}

func email(in V[order]) V[string] {
	return workflow.Field(in, func(o *order) *string { return &o.Email })
}

// Each mistake is reported once, with the file and line of the call.
func TestMistakesAreReportedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for topic, calls := range map[string]wrong{
		"values": wrongValues, "nodes": wrongNodes, "selectors": wrongSelectors,
		"structs": wrongStructs, "types": wrongTypes, "panics": wrongPanics, "scopes": wrongScopes,
	} {
		for name, c := range calls {
			t.Run(topic+"/"+name, func(t *testing.T) {
				t.Parallel()
				var m mark
				got := mistakes(t, workflow.New("w", func(g *workflow.Graph, in V[order]) V[order] {
					c.build(&m, g, in)
					return in
				}))
				if len(got) != 1 || !strings.Contains(got[0].Err.Error(), c.want) {
					t.Fatalf("mistakes %v, want one with %q", got, c.want)
				}
				if !strings.HasSuffix(got[0].File, "_test.go") || got[0].Line != m.line {
					t.Errorf("at %s:%d, want line %d", got[0].File, got[0].Line, m.line)
				}
				if !errors.Is(got[0], grapnel.ErrInvalid) && !errors.Is(got[0], grapnel.ErrTooLarge) {
					t.Errorf("%v wraps no sentinel", got[0])
				}
				if want := fmt.Sprintf("%s:%d: ", got[0].File, m.line); !strings.HasPrefix(got[0].Error(), want) {
					t.Errorf("error %q does not begin with %q", got[0], want)
				}
			})
		}
	}
}

var wrongValues = wrong{
	"a value of another graph": {"input of task charge belongs to another graph, that of workflow thief", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, otherInput())
	}},
	"a zero value": {"input of task charge is the zero Value", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, V[string]{})
	}},
	"a zero value, through a field": {"input of task charge is the zero Value", func(m *mark, g *workflow.Graph, in V[order]) {
		f := workflow.Field(V[order]{}, func(o *order) *string { return &o.Email })
		m.next()
		workflow.Do(g, charge, f)
	}},
	"a zero value in a list": {"value 2 of list l is the zero Value", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Gather(g, "l", in, V[order]{})
	}},
	"a zero value to come after": {"what task charge comes after is the zero Value", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, email(in), workflow.After(V[int]{}))
	}},
	"after nil": {"task charge comes after nil", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, email(in), workflow.After(nil))
	}},
}

var wrongNodes = wrong{
	"a task twice": {"task charge: there is a node named charge already", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Do(g, charge, email(in))
		m.next()
		workflow.Do(g, charge, email(in))
	}},
	"an inline function twice": {"inline function f: there is a node named f already", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Inline(g, "f", func(o order) int { return 1 }, in)
		m.next()
		workflow.Inline(g, "f", func(o order) int { return 2 }, in)
	}},
	"an ID twice": {"choose another ID", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Do(g, charge, email(in), workflow.ID("x"))
		m.next()
		workflow.Do(g, charge, email(in), workflow.ID("x"))
	}},
	"a bad ID": {`node name "a b"`, func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, email(in), workflow.ID("a b"))
	}},
	"an empty ID": {`node name is empty`, func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, email(in), workflow.ID(""))
	}},
	"a bad inline name": {`inline function name "ä"`, func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Inline(g, "ä", func(o order) int { return 1 }, in)
	}},
	"a bad list name": {"list name is empty", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Gather(g, "", in)
	}},
	"a nil inline function": {"inline function f: invalid: the function is nil", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Inline[order, int](g, "f", nil, in)
	}},
	"a zero task": {"zero Task", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, workflow.Task[order, int]{}, in)
	}},
	"a nil option": {"option 1 is nil", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(g, charge, email(in), nil)
	}},
	"a task of two types": {"task charge is one from workflow_test.order to int here and one from string to int elsewhere", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Do(g, charge, email(in))
		m.next()
		workflow.Do(g, workflow.NewTask[order, int]("charge"), in, workflow.ID("again"))
	}},
	"a task with two implementations": {"task f has two implementations", func(m *mark, g *workflow.Graph, in V[order]) {
		f := func() workflow.Task[order, int] {
			return workflow.TaskFunc("f", func(context.Context, order) (int, error) { return 1, nil })
		}
		workflow.Do(g, f(), in)
		m.next()
		workflow.Do(g, f(), in, workflow.ID("again"))
	}},
}

var wrongSelectors = wrong{
	"a nil selector": {"nil selector", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field[order, int](in, nil)
	}},
	"a selector of nil": {"the selector returns nil", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(*order) *string { return nil })
	}},
	"a selector of something else": {"leads to no field of type string inside workflow_test.order", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(*order) *string { return new(string) })
	}},
	"a selector through a nil pointer": {"the selector panics on a zero workflow_test.order", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(o *order) *string { return &o.Parent.Email })
	}},
	"a selector into a slice": {"index out of range", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(o *order) *string { return &o.Lines[0] })
	}},
	"a selector of a field that JSON leaves out": {"workflow_test.order.Hidden has no place in the JSON", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(o *order) *string { return &o.Hidden })
	}},
	"a selector of an unexported field": {"workflow_test.order.secret has no place in the JSON", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(o *order) *string { return &o.secret })
	}},
	"a selector of a quoted field": {"workflow_test.order.Quoted is quoted in JSON", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(o *order) *int { return &o.Quoted })
	}},
	"a selector of one of two empty fields": {"workflow_test.order.A and workflow_test.order.B are empty fields at the same address", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Field(in, func(o *order) *workflow.None { return &o.A })
	}},
}

var wrongStructs = wrong{
	"a struct without function": {"struct s: nil function", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Struct[order](g, "s", nil)
	}},
	"a struct with a field set twice": {`struct s: invalid: ["email"] is set although ["email"] is set already`, func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) {
			workflow.Set(s, &o.Email, email(in))
			m.next()
			workflow.Set(s, &o.Email, email(in))
		})
	}},
	"a struct with overlapping fields": {`["customer"] is set although ["customer" "City"] is set already`, func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) {
			workflow.Set(s, &o.Customer.City, email(in))
			m.next()
			workflow.Set(s, &o.Customer, workflow.Field(in, func(o *order) *customer { return &o.Customer }))
		})
	}},
	"a struct set at something else": {"leads to no field", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) {
			m.next()
			workflow.Set(s, new(string), email(in))
		})
	}},
	"a struct set at nil": {"set at a nil pointer", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) {
			m.next()
			workflow.Set(s, nil, email(in))
		})
	}},
	"a struct set as a whole": {"set as a whole", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) {
			m.next()
			workflow.Set(s, o, in)
		})
	}},
	"a struct set later": {"set after its function returned", func(m *mark, g *workflow.Graph, in V[order]) {
		var kept *workflow.Setter
		var at *string
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) { kept, at = s, &o.Email })
		m.next()
		workflow.Set(kept, at, email(in))
	}},
}

var wrongTypes = wrong{
	"a constant that is too large": {"the limit grapnel.MaxPayload is 65536", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Const(g, strings.Repeat("x", grapnel.MaxPayload))
	}},
	"a constant that is no JSON": {"constant: invalid: value of type float64 cannot be encoded", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Const(g, math.NaN())
	}},
	"a constant of a type that is no JSON": {"constant of type chan int cannot be JSON", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Const(g, make(chan int))
	}},
	"an inline function to a type that is no JSON": {"inline function f: invalid: output of type func()", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Inline(g, "f", func(order) func() { return nil }, in)
	}},
}

var wrongPanics = wrong{
	"a panic": {"the build function panics: oh no", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		panic("oh no")
	}},
	"a panic of the runtime": {"the build function panics: runtime error", func(m *mark, g *workflow.Graph, in V[order]) {
		var o *order
		m.next()
		o.Email = "x"
	}},
	"a panic of this package": {"the build function panics: workflow: nil *Graph", func(m *mark, g *workflow.Graph, in V[order]) {
		m.next()
		workflow.Do(nil, charge, email(in))
	}},
	"a panic while a struct is filled": {"the build function panics: oh no", func(m *mark, g *workflow.Graph, in V[order]) {
		workflow.Struct(g, "s", func(s *workflow.Setter, o *order) {
			m.next()
			panic("oh no")
		})
	}},
}

// otherInput is the input of another workflow.
func otherInput() (in V[string]) {
	workflow.New("thief", func(_ *workflow.Graph, v V[string]) V[string] {
		in = v
		return v
	})
	return in
}
