package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// referenceCommand is the hidden command that writes the reference of a command.
const referenceCommand = "reference"

// withReference gives a command a hidden one that writes its reference.
func withReference(root *cobra.Command) {
	root.AddCommand(&cobra.Command{
		Use:    referenceCommand,
		Short:  "Write the reference of this command as Markdown",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return WriteReference(cmd.OutOrStdout(), cmd.Root())
		},
	})
}

// WriteReference writes what --help says of a command and of all below it that
// are not hidden, as Markdown. It refuses to if that is not much: the error names
// each command that lacks an explanation or an example.
func WriteReference(out io.Writer, root *cobra.Command) error {
	if err := errors.Join(undocumented(root)...); err != nil {
		return err
	}
	var b strings.Builder
	root.InitDefaultHelpFlag()
	describe(&b, root)
	_, err := io.WriteString(out, b.String())
	return err
}

// undocumented says which commands lack what.
func undocumented(cmd *cobra.Command) (errs []error) {
	for what, text := range map[string]string{"short": cmd.Short, "long": cmd.Long, "example": cmd.Example} {
		if strings.TrimSpace(text) == "" {
			errs = append(errs, fmt.Errorf("command %s has no text for %s", cmd.CommandPath(), what))
		}
	}
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			errs = append(errs, undocumented(sub)...)
		}
	}
	return errs
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "## %s\n\n", cmd.CommandPath())
	b.WriteString(paragraphs(cmd.Long))
	if cmd.Runnable() {
		fmt.Fprintf(b, "```text\n%s\n```\n\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", unindent(cmd.Example))
	}
	flagTable(b, cmd.NonInheritedFlags())
	if cmd.HasParent() && cmd.Root().HasPersistentFlags() {
		fmt.Fprintf(b, "The [flags of %s](#%s) are there, too.\n\n", cmd.Root().Name(), anchor(cmd.Root().CommandPath()))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			describe(b, sub)
		}
	}
}

// paragraphs makes Markdown of a help text: what is indented is code, and the
// rest is text that may look like Markdown.
func paragraphs(text string) string {
	var b strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(block, "    ") {
			fmt.Fprintf(&b, "```yaml\n%s\n```\n\n", unindent(block))
			continue
		}
		fmt.Fprintf(&b, "%s\n\n", strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;", "|", `\|`).Replace(block))
	}
	return b.String()
}

// unindent takes from all lines the spaces that the first begins with.
func unindent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	indent := lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], " "))]
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], indent)
	}
	return strings.Join(lines, "\n")
}

func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(heading), " ", "-")
}

func flagTable(b *strings.Builder, fs *pflag.FlagSet) {
	var rows []string
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		name += "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		def := ""
		if shown := strings.Trim(f.DefValue, "[]"); shown != "" && shown != "false" {
			def = "`" + shown + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", name, def, strings.ReplaceAll(usage, "|", `\|`)))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "| flag | default | |\n|---|---|---|\n%s\n\n", strings.Join(rows, "\n"))
	}
}
