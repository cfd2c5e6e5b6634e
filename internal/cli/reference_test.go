package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// documented is a command with one below it.
func documented() *cobra.Command {
	run := func(*cobra.Command, []string) error { return nil }
	root := &cobra.Command{Use: "x", Short: "s", Long: "Do *all*.\n\n    key: value", Example: "  x sub a", RunE: run}
	root.PersistentFlags().String("where", "here", "the `place` a|b")
	sub := &cobra.Command{Use: "sub ARG", Short: "s", Long: "Do one.", Example: "  x sub a\n  x sub b", RunE: run}
	sub.Flags().BoolP("quiet", "q", false, "say nothing")
	root.AddCommand(sub, &cobra.Command{Use: "secret", Hidden: true, RunE: run})
	return Strict(root)
}

func TestTheReferenceIsWhatHelpSays(t *testing.T) {
	t.Parallel()
	want := strings.ReplaceAll(`## x

Do \*all\*.

'''yaml
key: value
'''

'''text
x [flags]
'''

'''sh
x sub a
'''

| flag | default | |
|---|---|---|
| '--where place' | 'here' | the place a\|b |

## x sub

Do one.

'''text
x sub ARG [flags]
'''

'''sh
x sub a
x sub b
'''

| flag | default | |
|---|---|---|
| '-q', '--quiet' |  | say nothing |

The [flags of x](#x) are there, too.

`, "'", "`")
	var out bytes.Buffer
	cmd := documented()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"reference"})
	if err := cmd.ExecuteContext(t.Context()); err != nil || out.String() != want {
		t.Errorf("the reference is\n%s\n%v; want\n%s", out.String(), err, want)
	}
}

func TestTheReferenceNamesWhatIsNotExplained(t *testing.T) {
	t.Parallel()
	root := documented()
	for _, sub := range root.Commands() {
		if sub.Name() == "sub" {
			sub.Example, sub.Long = "", " "
		}
	}
	err := WriteReference(&bytes.Buffer{}, root)
	if err == nil || !strings.Contains(err.Error(), "x sub has no text for example") || !strings.Contains(err.Error(), "x sub has no text for long") {
		t.Errorf("the error is %v", err)
	}
}
