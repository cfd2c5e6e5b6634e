package workflow_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestEncodeAndDecode(t *testing.T) {
	t.Parallel()
	data, err := workflow.Encode(map[string]any{"n": int64(math.MaxInt64), "s": "<&>"})
	if err != nil || string(data) != `{"n":9223372036854775807,"s":"<&>"}` {
		t.Errorf("encoded as %s, error %v", data, err)
	}
	n, err := workflow.Decode[struct{ N int64 }]([]byte(`{"n": 9223372036854775807, "unknown": 1} `))
	if err != nil || n.N != math.MaxInt64 {
		t.Errorf("decoded %v, error %v", n, err)
	}
	if p, err := workflow.Decode[*int]([]byte("null")); p != nil || err != nil {
		t.Errorf("null is %v, error %v", p, err)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", " ", "1 2", "1}", "{", `"1"`, "1.5"} {
		if v, err := workflow.Decode[int]([]byte(data)); !errors.Is(err, grapnel.ErrInvalid) || v != 0 {
			t.Errorf("decoded %q to %v, error %v", data, v, err)
		}
	}
	if v, err := workflow.Decode[customer]([]byte(`{"Name":"n","City":1}`)); err == nil || v != (customer{}) {
		t.Errorf("half of a value is returned: %+v, error %v", v, err)
	}
}

func TestNoneIsNull(t *testing.T) {
	t.Parallel()
	if data, err := workflow.Encode(workflow.None{}); err != nil || string(data) != "null" {
		t.Errorf("encoded as %s, error %v", data, err)
	}
	for _, data := range []string{"", "null", "{}", " null "} {
		if _, err := workflow.Decode[workflow.None]([]byte(data)); err != nil {
			t.Errorf("decoding %q: %v", data, err)
		}
	}
	for _, data := range []string{"1", `{"a":1}`, "[]", "nul", "null null"} {
		if _, err := workflow.Decode[workflow.None]([]byte(data)); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("decoding %q: %v", data, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	if _, err := workflow.Encode(math.NaN()); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("NaN: %v", err)
	}
	fits := strings.Repeat("x", grapnel.MaxPayload-2)
	if data, err := workflow.Encode(fits); err != nil || len(data) != grapnel.MaxPayload {
		t.Errorf("a payload of the limit: %d bytes, error %v", len(data), err)
	}
	if _, err := workflow.Encode(fits + "x"); !errors.Is(err, grapnel.ErrTooLarge) || !strings.Contains(err.Error(), "has 65537 bytes as JSON, the limit grapnel.MaxPayload is 65536") {
		t.Errorf("a payload over the limit: %v", err)
	}
}

func TestTypesThatDoNotSurviveJSON(t *testing.T) {
	t.Parallel()
	type recursive struct {
		Next *recursive
		All  map[string][]recursive
	}
	for want, err := range map[string]error{
		"":                                 workflow.NewTask[recursive, json.RawMessage]("t").Err(),
		" ":                                workflow.NewTask[tricky, map[int8]any]("t").Err(),
		"at .F func() has no form in JSON": workflow.NewTask[struct{ F func() }, int]("t").Err(),
		"at [].C[…] chan int has no form":  workflow.NewTask[[]struct{ C map[string]chan int }, int]("t").Err(),
		"error is an interface, which":     workflow.NewTask[error, int]("t").Err(),
		"has unexported fields only":       workflow.NewTask[struct{ hidden int }, int]("t").Err(),
		"complex64 has no form":            workflow.NewTask[int, *complex64]("t").Err(),
		"is no type for keys":              workflow.NewTask[int, map[customer]int]("t").Err(),
	} {
		if strings.TrimSpace(want) == "" {
			if err != nil {
				t.Errorf("a type that survives is refused: %v", err)
			}
			continue
		}
		if !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
