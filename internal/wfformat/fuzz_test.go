package wfformat

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grapnel-dev/grapnel"
)

// FuzzParse checks that whatever a file holds is either refused with an error
// that names the file, or read as a valid workflow that survives writing.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "{", "null", "\ufeff{}", `{"schemaVersion": "1.4"}`,
		document("1.5", task("a", ``, `"b"`)+","+task("b c", `"a"`, ``), `{"id": "a", "runtimeInSeconds": 1.5e2}`),
		document("1.6", task("a", `"b"`, ``)+","+task("b", `"a", "a", "B"`, ``), `{"id": "x", "runtimeInSeconds": -1}`),
		document("1.5", `0, "", {}, [], null, {"id": null, "parents": [0], "children": {}}`, `null`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := Parse(bytes.NewReader(data), "f.json")
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f.json: ") {
					t.Errorf("line without the file's name: %q", line)
				}
			}
			if !errors.Is(err, grapnel.ErrInvalid) || w != nil {
				t.Errorf("got %v and error %v, want none and ErrInvalid", w, err)
			}
			return
		}
		if err = w.Validate(); err != nil {
			t.Fatalf("what was read is not valid: %v", err)
		}
		if _, err = w.Definition("", 0.5); err != nil && !errors.Is(err, grapnel.ErrTooLarge) {
			t.Errorf("what was read has no definition: %v", err)
		}
		var b bytes.Buffer
		if err = w.Write(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(&b, "f.json")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, again); diff != "" {
			t.Errorf("-first +again:\n%s", diff)
		}
	})
}
