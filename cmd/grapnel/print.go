package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

// Formats of output.
const (
	formatTable = cli.FormatTable
	formatJSON  = cli.FormatJSON
)

// formatted adds the flag --output to a command.
func (a *app) formatted(cmd *cobra.Command) *cobra.Command {
	cli.RegisterOutput(cmd.Flags(), &a.format)
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.format != formatTable && a.format != formatJSON {
			return usagef(cmd, "--output %q is neither table nor json", a.format)
		}
		return run(cmd, args)
	}
	return cmd
}

// print writes v as JSON or, by rows, for people.
func (a *app) print(v any, rows func(t *table)) error {
	if a.format == formatJSON {
		return writeJSON(a.out, v)
	}
	t := &table{w: tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)}
	rows(t)
	return t.w.Flush()
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table writes rows of aligned columns.
type table struct{ w *tabwriter.Writer }

// row writes a row. Characters that would break the table, or that a terminal
// would take for commands, are replaced.
func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			_, _ = fmt.Fprint(t.w, "\t")
		}
		_, _ = fmt.Fprint(t.w, plain(fmt.Sprint(c)))
	}
	_, _ = fmt.Fprintln(t.w)
}

func plain(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// when shows a time; none is "".
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// took shows the time between two others, if both are known.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return to.Sub(from).Round(time.Millisecond).String()
}

// gap ends a block of columns: those that follow are aligned on their own.
func (t *table) gap() { _, _ = fmt.Fprintln(t.w) }
