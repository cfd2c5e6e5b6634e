// Command mutations checks that tests notice when a guard of the protocol is
// missing. For each line of internal/mutation/catalog.txt it runs the line's
// tests in a build with the tag "mutation" twice: with no guard switched off
// they must pass, with the line's guard switched off one must fail by an
// assertion of its own. A build failure, a panic or a time-out proves nothing
// and is reported as such.
//
// It runs from the root of the module, prints one row per line of the
// catalogue, and exits with 1 if any row is not "noticed" or a mutation has no
// row.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	catalogPath = "internal/mutation/catalog.txt"
	namesPath   = "internal/mutation/names.go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutations", flag.ContinueOnError)
	part := flags.String("share", "", "run only every nth row: `k/n`, k from 1 to n; all rows if empty")
	only := flags.String("only", "", "run only these mutations, comma-separated `names`")
	timeout := flags.Duration("timeout", 2*time.Minute, "for each run of a row's tests")
	list := flags.Bool("list", false, "print the rows that would run, and run nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, err := readNames(namesPath)
	if err != nil {
		return err
	}
	rows, err := readCatalog(catalogPath)
	if err != nil {
		return err
	}
	if err := check(names, rows); err != nil {
		return err
	}
	missing := covered(names, rows)
	if *only != "" {
		missing = nil
		if rows, err = pick(rows, strings.Split(*only, ",")); err != nil {
			return err
		}
	}
	if rows, err = share(rows, *part); err != nil {
		return err
	}
	if *list {
		for _, r := range rows {
			fmt.Fprintf(out, "%s\t%s\t%s\n", r.name, r.dir, r.tests)
		}
		return nil
	}
	return errors.Join(runRows(ctx, rows, *timeout, out), missing)
}

// runRows runs the rows one after another and prints each as it ends.
func runRows(ctx context.Context, rows []row, timeout time.Duration, out io.Writer) error {
	r, err := newRunner(timeout)
	if err != nil {
		return err
	}
	defer r.close()
	bad := 0
	for i, row := range rows {
		start := time.Now()
		res := r.run(ctx, row)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped after %d of %d rows: %w", i, len(rows), context.Cause(ctx))
		}
		fmt.Fprintf(out, "%-24s %-18s %-13s %5.1fs  %s\n",
			row.name, row.dir, res.verdict, time.Since(start).Seconds(), res.detail)
		if res.verdict != noticed {
			bad++
			fmt.Fprint(out, indent(res.output))
			fmt.Fprintf(out, "    again: GRAPNEL_MUTATION=%s go test -tags mutation -run '%s' %s\n", row.name, row.tests, row.dir)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d rows are not noticed by their tests", bad, len(rows))
	}
	fmt.Fprintf(out, "all %d rows are noticed by their tests\n", len(rows))
	return nil
}

// indent sets off the last lines of a test's output.
func indent(output string) string {
	const most = 30
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	lines = lines[max(0, len(lines)-most):]
	return "    | " + strings.Join(lines, "\n    | ") + "\n"
}
