package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/grapnel-dev/grapnel"
)

// None is the type of an input or output that carries nothing. It is null in
// JSON.
type None struct{}

// MarshalJSON returns null.
func (None) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// UnmarshalJSON accepts null and the empty object.
func (*None) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || len(fields) > 0 {
		return errors.New("there is a value where none is expected")
	}
	return nil
}

// Encode returns v in the form in which values are kept and passed on: JSON as
// encoding/json makes it, without escapes for HTML. The error wraps
// [grapnel.ErrTooLarge] if that is longer than [grapnel.MaxPayload], and
// otherwise [grapnel.ErrInvalid]. Text that is not UTF-8 does not survive, as
// encoding/json has it.
func Encode(v any) ([]byte, error) {
	data, err := marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: value of type %T cannot be encoded as JSON: %w", grapnel.ErrInvalid, v, err)
	}
	if err := CheckPayload(fmt.Sprintf("value of type %T", v), data); err != nil {
		return nil, err
	}
	return data, nil
}

// CheckPayload returns nil, or, if data is longer than [grapnel.MaxPayload], an
// error that wraps [grapnel.ErrTooLarge] and calls it what.
func CheckPayload(what string, data []byte) error {
	if len(data) > grapnel.MaxPayload {
		return fmt.Errorf("%w: %s has %d bytes as JSON, the limit grapnel.MaxPayload is %d",
			grapnel.ErrTooLarge, what, len(data), grapnel.MaxPayload)
	}
	return nil
}

// Decode is the inverse of [Encode]. It ignores unknown fields, so that a
// producer may be newer than its consumer, and takes null for the zero value,
// but not anything after the value. No data at all is a [None] and nothing
// else. The error wraps [grapnel.ErrInvalid].
func Decode[T any](data []byte) (T, error) {
	var v T
	if len(data) == 0 && reflect.TypeFor[T]() == reflect.TypeFor[None]() {
		return v, nil
	}
	if err := json.Unmarshal(data, &v); err != nil {
		var zero T
		return zero, fmt.Errorf("%w: JSON is no %s: %w", grapnel.ErrInvalid, reflect.TypeFor[T](), err)
	}
	return v, nil
}

// marshal is json.Marshal without escapes for HTML, which would only make data
// longer and harder to read.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
