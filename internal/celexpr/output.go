package celexpr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxDepth is how deeply lists and maps may be nested in a result.
const maxDepth = 1_000

var errResultTooLong = fmt.Errorf("the result has more than %d bytes as JSON", MaxResult)

// writeJSON appends v as JSON. Keys of maps are in order.
func writeJSON(out *bytes.Buffer, v ref.Val, depth int) error {
	switch {
	case out.Len() > MaxResult:
		return errResultTooLong
	case depth > maxDepth:
		return fmt.Errorf("the result is nested more than %d levels deep", maxDepth)
	}
	switch v := v.(type) {
	case types.Null:
		out.WriteString("null")
	case types.Bool:
		out.WriteString(strconv.FormatBool(bool(v)))
	case types.Int:
		out.WriteString(strconv.FormatInt(int64(v), 10))
	case types.Uint:
		out.WriteString(strconv.FormatUint(uint64(v), 10))
	case types.Double:
		text, err := doubleJSON(float64(v))
		if err != nil {
			return err
		}
		out.WriteString(text)
	case types.String:
		return writeString(out, string(v))
	case types.Bytes:
		return writeString(out, base64.StdEncoding.EncodeToString(v))
	case types.Timestamp, types.Duration:
		s, ok := v.ConvertToType(types.StringType).(types.String)
		if !ok {
			return fmt.Errorf("a %s that has no form as text", v.Type().TypeName())
		}
		return writeString(out, string(s))
	case *types.Optional:
		if !v.HasValue() {
			out.WriteString("null")
			return nil
		}
		return writeJSON(out, v.GetValue(), depth)
	case *types.Err:
		return v
	case traits.Mapper:
		return writeMap(out, v, depth)
	case traits.Lister:
		return writeList(out, v, depth)
	default:
		return fmt.Errorf("a value of type %s has no form as JSON", v.Type().TypeName())
	}
	return nil
}

func writeList(out *bytes.Buffer, list traits.Lister, depth int) error {
	out.WriteByte('[')
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; {
		if !first {
			out.WriteByte(',')
		}
		first = false
		if err := writeJSON(out, it.Next(), depth+1); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeMap(out *bytes.Buffer, m traits.Mapper, depth int) error {
	out.WriteByte('{')
	names := map[string]bool{}
	for i, key := range sortedKeys(m) {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := text(key)
		if err != nil {
			return err
		}
		if names[name] {
			return fmt.Errorf("a map has two keys that are %q in JSON", name)
		}
		names[name] = true
		if err := writeString(out, name); err != nil {
			return err
		}
		out.WriteByte(':')
		value, ok := m.Find(key)
		if !ok {
			return fmt.Errorf("a map lost its key %q", name)
		}
		if err := writeJSON(out, value, depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeString(out *bytes.Buffer, s string) error {
	if !utf8.ValidString(s) {
		return errors.New("a text that is not UTF-8 has no form as JSON")
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the encoder's newline
	if out.Len() > MaxResult {
		return errResultTooLong
	}
	return nil
}

// doubleJSON writes a double so that it is read as one.
func doubleJSON(f float64) (string, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", fmt.Errorf("the number %v has no form as JSON", f)
	}
	s := doubleText(f)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s, nil
}

func doubleText(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// text returns v as it appears inside a text: texts as they are, null as
// nothing, lists and maps as JSON.
func text(v ref.Val) (string, error) {
	switch v := v.(type) {
	case types.String:
		return string(v), nil
	case types.Null:
		return "", nil
	case types.Double:
		return doubleText(float64(v)), nil
	case types.Bytes:
		if !utf8.Valid(v) {
			return "", errors.New("bytes that are not UTF-8 cannot be put into a text")
		}
		return string(v), nil
	case types.Timestamp, types.Duration:
		if s, ok := v.ConvertToType(types.StringType).(types.String); ok {
			return string(s), nil
		}
	case *types.Optional:
		if !v.HasValue() {
			return "", nil
		}
		return text(v.GetValue())
	}
	var out bytes.Buffer
	if err := writeJSON(&out, v, 0); err != nil {
		return "", err
	}
	return out.String(), nil
}
