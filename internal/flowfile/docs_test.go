package flowfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

const reference = "../../docs/YAML.md"

// blocks returns the YAML in the reference, by line.
func blocks(t *testing.T) map[int]string {
	t.Helper()
	found := map[int]string{}
	var block []string
	begin := 0
	for i, line := range strings.Split(string(read(t, reference)), "\n") {
		switch {
		case line == "```yaml":
			begin, block = i+2, nil
		case line == "```" && begin > 0:
			found[begin] = strings.Join(block, "\n") + "\n"
			begin = 0
		case begin > 0:
			block = append(block, line)
		}
	}
	return found
}

func TestTheReferencesExamplesAreRight(t *testing.T) {
	t.Parallel()
	found := blocks(t)
	if len(found) < 5 {
		t.Fatalf("%d examples in %s", len(found), reference)
	}
	s := compiled(t)
	for line, text := range found {
		if _, err := flowfile.Parse(fmt.Sprintf("%s, from line %d", reference, line), []byte(text)); err != nil {
			t.Error(err)
		}
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Error(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s, line %d: %v", reference, line, err)
		}
	}
}

func TestTheReferenceNamesEachKey(t *testing.T) {
	t.Parallel()
	text := string(read(t, reference))
	for object, keys := range flowfile.Keys {
		for _, key := range keys {
			if !slices.ContainsFunc([]string{"`" + key + "`", "." + key + "`", key + ":"}, func(form string) bool { return strings.Contains(text, form) }) {
				t.Errorf("%s does not name %s of %q", reference, key, object)
			}
		}
	}
}
