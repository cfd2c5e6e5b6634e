package workflow_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// resolver is a run's input and the outputs of its nodes.
type resolver struct {
	input   string
	outputs []string
}

func (r resolver) RunID() grapnel.RunID            { return "a \"run\"" }
func (r resolver) Input() ([]byte, error)          { return []byte(r.input), nil }
func (r resolver) Output(n int) ([]byte, error)    { return []byte(r.outputs[n]), nil }
func (r resolver) Item(n int) ([]byte, int, error) { return []byte(r.outputs[n]), n, nil }

// output returns the definition's output for an input.
func output(t *testing.T, w workflow.Any, input string) string {
	t.Helper()
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Output.Eval(resolver{input: input})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type (
	base  struct{ Key string }
	Named struct {
		Base2
		Title string `json:"title"`
	}
	Base2  struct{ Deep int }
	Tagged struct{ Inner string }
	hiding struct {
		Title string `json:"title"`
	}
	Pointer struct{ Behind string }
	tricky  struct {
		base                     // unexported, and yet its fields are promoted
		Named                    // promoted twice over
		Tagged   `json:"tagged"` // embedded, but a member of its own
		*Pointer                 // takes part in the rules, can't be selected through
		First    first
		Odd      int    `json:"a.b/c~ü"`
		BadTag   int    `json:"a\"b"` //nolint:staticcheck // no name for JSON, which then takes the field's
		Dash     int    `json:"-,"`   //nolint:staticcheck // the name is "-": the field is not left out
		Empty    string `json:",omitempty"`
		Empty2   workflow.None
		Text     *string
		Any      any
		List     []int
		Map      map[string]int
		Time     time.Time
		Raw      json.RawMessage
		Arr      [3]int
		Last     struct{}
	}
	first struct{ In inner }
	inner struct{ X, Y int64 }
)

// Whatever encoding/json makes of a field is what Field finds.
func TestFieldFindsWhatJSONMakesOfIt(t *testing.T) {
	t.Parallel()
	checkField(t, "promoted from an unexported struct", func(v *tricky) *string { return &v.Key }, "k")
	checkField(t, "promoted", func(v *tricky) *string { return &v.Title }, "t")
	checkField(t, "promoted twice", func(v *tricky) *int { return &v.Deep }, 7)
	checkField(t, "in an embedded struct with a tag", func(v *tricky) *string { return &v.Inner }, "i")
	checkField(t, "an embedded struct with a tag", func(v *tricky) *Tagged { return &v.Tagged }, Tagged{"i"})
	checkField(t, "first of first", func(v *tricky) *int64 { return &v.First.In.X }, 1<<62+1)
	checkField(t, "second of first", func(v *tricky) *int64 { return &v.First.In.Y }, -(1<<62 + 1))
	checkField(t, "struct at the address of its first field", func(v *tricky) *first { return &v.First }, first{inner{1, 2}})
	checkField(t, "struct in it at the same address", func(v *tricky) *inner { return &v.First.In }, inner{3, 4})
	checkField(t, "odd name", func(v *tricky) *int { return &v.Odd }, 5)
	checkField(t, "name that is none", func(v *tricky) *int { return &v.BadTag }, 5)
	checkField(t, "named dash", func(v *tricky) *int { return &v.Dash }, 5)
	checkField(t, "omitted when empty", func(v *tricky) *string { return &v.Empty }, "")
	checkField(t, "not omitted", func(v *tricky) *string { return &v.Empty }, "<&>")
	checkField(t, "empty in the middle", func(v *tricky) *workflow.None { return &v.Empty2 }, workflow.None{})
	checkField(t, "empty at the end", func(v *tricky) *struct{} { return &v.Last }, struct{}{})
	checkField(t, "pointer", func(v *tricky) **string { return &v.Text }, new(string))
	checkField(t, "nil pointer", func(v *tricky) **string { return &v.Text }, nil)
	checkField(t, "any", func(v *tricky) *any { return &v.Any }, any("x"))
	checkField(t, "slice", func(v *tricky) *[]int { return &v.List }, []int{1, 2})
	checkField(t, "map", func(v *tricky) *map[string]int { return &v.Map }, map[string]int{"a": 1})
	checkField(t, "type with its own JSON", func(v *tricky) *time.Time { return &v.Time }, time.Unix(1, 0).UTC())
	checkField(t, "raw", func(v *tricky) *json.RawMessage { return &v.Raw }, json.RawMessage(`{"a":1.50}`))
	checkField(t, "array", func(v *tricky) *[3]int { return &v.Arr }, [3]int{1, 2, 3})
	checkField(t, "everything", func(v *first) *first { return v }, first{inner{1, 2}})
	checkField(t, "everything of an empty type", func(v *struct{}) *struct{} { return v }, struct{}{})
	checkField(t, "everything of a type that is no struct", func(v *int) *int { return v }, 3)
}

func checkField[T, F any](t *testing.T, what string, sel func(*T) *F, want F) {
	t.Helper()
	var v T
	*sel(&v) = want
	w := workflow.New("w", func(_ *workflow.Graph, in V[T]) V[F] { return workflow.Field(in, sel) })
	data, err := workflow.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	out := output(t, w, string(data))
	got, err := workflow.Decode[F]([]byte(out))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v (%s), error %v, want %#v", what, got, out, err, want)
	}
}

type (
	left  struct{ Name, Left string }
	right struct{ Name string }
	clash struct {
		left
		right
	}
	shadow struct {
		hiding
		Title string `json:"title"`
	}
	outer struct {
		Own    ownJSON
		Arrays [2]struct{ Z string }
		Embed
	}
	Embed    struct{ E uint8 }
	ownJSON  struct{ S string }
	dupEmbed struct {
		Twin1
		Twin2
	}
	tagWins struct {
		byTag
		byName
	}
	byTag struct {
		T string `json:"Same"`
	}
	byName struct{ Same string }
	Twin1  struct{ Common }
	Twin2  struct{ Common }
	Common struct{ C int }
)

func (ownJSON) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func TestFieldsWithoutPlaceInJSONAreRefused(t *testing.T) {
	t.Parallel()
	refuseField(t, func(v *clash) *string { return &v.left.Name }, "clash.left.Name has no place")
	refuseField(t, func(v *clash) *string { return &v.right.Name }, "clash.right.Name has no place")
	refuseField(t, func(v *shadow) *string { return &v.hiding.Title }, "shadow.hiding.Title has no place")
	refuseField(t, func(v *dupEmbed) *int { return &v.Twin1.C }, "dupEmbed.Twin1.Common.C has no place")
	refuseField(t, func(v *outer) *string { return &v.Own.S }, "ownJSON has JSON methods of its own")
	refuseField(t, func(v *outer) *string { return &v.Arrays[0].Z }, "leads to no field of type string")
	refuseField(t, func(v *outer) *Embed { return &v.Embed }, "outer.Embed has no place")
	refuseField(t, func(v *ownJSON) *string { return &v.S }, "ownJSON has JSON methods of its own")
	refuseField(t, func(v *tricky) *string { return &v.Behind }, "panics on a zero")
	refuseField(t, func(v *tricky) *int { return &v.Arr[1] }, "leads to no field of type int")
	refuseField(t, func(v **inner) *int64 { return &(*v).X }, "use workflow.Inline")
	refuseField(t, func(v *inner) *struct{} { return new(struct{}) }, "leads to no field")
	refuseField(t, func(v *tagWins) *string { return &v.Same }, "tagWins.byName.Same has no place")
	// Not hidden ones of the same structs are found.
	checkField(t, "not hidden", func(v *clash) *string { return &v.Left }, "l")
	checkField(t, "the one with a tag of two", func(v *tagWins) *string { return &v.T }, "t")
	checkField(t, "hiding", func(v *shadow) *string { return &v.Title }, "t")
	checkField(t, "promoted next to own JSON", func(v *outer) *uint8 { return &v.E }, 8)
}

func refuseField[T, F any](t *testing.T, sel func(*T) *F, want string) {
	t.Helper()
	w := workflow.New("w", func(_ *workflow.Graph, in V[T]) V[F] { return workflow.Field(in, sel) })
	if got := mistakes(t, w); len(got) != 1 || !strings.Contains(got[0].Error(), want) {
		t.Errorf("mistakes %v, want one with %q", got, want)
	}
}

func TestFieldOfFieldIsOnePath(t *testing.T) {
	t.Parallel()
	w := workflow.New("w", func(_ *workflow.Graph, in V[tricky]) V[int64] {
		f := workflow.Field(in, func(v *tricky) *first { return &v.First })
		return workflow.Field(workflow.Field(f, func(v *first) *inner { return &v.In }), func(v *inner) *int64 { return &v.Y })
	})
	d, err := w.Definition()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Output.Path, []string{"First", "In", "Y"}; !reflect.DeepEqual(got, want) {
		t.Errorf("path %q, want %q", got, want)
	}
	if got := output(t, w, `{"First":{"In":{"Y":9223372036854775807}}}`); got != "9223372036854775807" {
		t.Errorf("output %s", got)
	}
}
