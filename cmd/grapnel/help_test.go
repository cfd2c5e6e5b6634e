package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestEachCommandHasAnExplanationAndAnExample(t *testing.T) {
	t.Parallel()
	var out, stderr bytes.Buffer
	if err := newApp(strings.NewReader(""), &out, &stderr).run(t.Context(), []string{"reference"}); err != nil {
		t.Error(err) // which names what is missing
	}
	for _, part := range []string{"## grapnel watch", "grapnel graph FILE|RUN", "`--namespace string`"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the reference lacks %q", part)
		}
	}
}

func TestExamplesAreOfTheirCommand(t *testing.T) {
	t.Parallel()
	for _, cmd := range all(newApp(nil, nil, nil).root()) {
		if !cmd.Hidden && !strings.Contains(cmd.Example, cmd.CommandPath()) && cmd.HasParent() && cmd.Name() != "completion" && cmd.Name() != "help" {
			t.Errorf("%s has the example\n%s", cmd.CommandPath(), cmd.Example)
		}
	}
}
