package cli

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/httptask"
)

// inputBlock is a block of docs/TASKS.md that shows an input.
var inputBlock = regexp.MustCompile("(?s)<!-- input: (\\w+) -->\n```json\n(.*?)```")

func TestTheInputsInTheDocumentsCanBeUsed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/TASKS.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := inputBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d inputs are shown, want one for each task", len(blocks))
	}
	inputs := map[string]interface{ Check() error }{"command": &commandtask.Input{}, "http": &httptask.Input{}}
	for _, b := range blocks {
		in, ok := inputs[b[1]]
		if !ok {
			t.Fatalf("no task %s", b[1])
		}
		dec := json.NewDecoder(strings.NewReader(b[2]))
		dec.DisallowUnknownFields()
		if err := dec.Decode(in); err != nil {
			t.Fatalf("%s: %v", b[1], err)
		}
		if err := in.Check(); err != nil {
			t.Errorf("%s: %v", b[1], err)
		}
	}
}
