// Command stdlib is the demo: a workflow over the source of Go's standard
// library, on worker processes one of which is killed on the way.
//
//	make demo
//
// One task per package finds its longest functions, the exported names without a
// comment, and what it imports; one more puts everything together and writes a
// report, as JSON and as a page. The program starts itself again as etcd, as a
// coordinator and as four workers, kills a worker while it holds claims, replaces
// it, and in the end has an auditor read all that happened from etcd's history.
// The report is the same, byte for byte, with or without kills.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/wfrun"
)

func main() {
	os.Exit(cli.Main("demo", func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}))
}

// options are the command line.
type options struct {
	source  string
	out     string
	kill    int
	seed    uint64
	workers int
}

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	// The program starts itself again with these arguments.
	if len(args) == 2 && args[0] == "role" {
		return wfrun.Serve(ctx, args[1], register, in, out, errs)
	}
	var o options
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.StringVar(&o.source, "source", "", "the `folder` with the library's source; the default is that of the go command")
	fs.StringVar(&o.out, "out", ".demo", "the `folder` that gets the report")
	fs.IntVar(&o.kill, "kill", 1, "how many workers to kill while they hold claims")
	fs.Uint64Var(&o.seed, "seed", 1, "decides when and whom to kill")
	fs.IntVar(&o.workers, "workers", wfrun.DefaultWorkers, "how many worker processes there are at a time")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return &cli.UsageError{Command: "demo", Err: err}
	}
	if fs.NArg() > 0 {
		return &cli.UsageError{Command: "demo", Err: fmt.Errorf("unexpected argument %q", fs.Arg(0))}
	}
	return demo(ctx, o, wfrun.Config{Progress: out, Columns: columns(out)}, out)
}

// columns returns how wide a terminal is; 0 if out is none.
func columns(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// demo runs the workflow and says what became of it. Cfg says how its processes
// are started and where progress goes.
func demo(ctx context.Context, o options, cfg wfrun.Config, out io.Writer) error {
	lib, err := open(ctx, o)
	if err != nil {
		return err
	}
	if err := lib.prepare(&cfg); err != nil {
		return err
	}
	cfg.Workers, cfg.KillWorkers, cfg.Seed = o.workers, o.kill, o.seed
	cfg.Slots, cfg.Timeout = slots, patience
	fmt.Fprintf(out, "%s: %d packages, one task each, and one more for the report\n", lib.title, len(lib.packages))
	r, err := wfrun.Run(ctx, cfg)
	if err != nil {
		return err
	}
	return lib.conclude(r, out)
}

const (
	// slots is how many packages a worker looks at at a time: it does have to
	// hold some when it is killed.
	slots = 4
	// patience is how long the run may take.
	patience = 5 * time.Minute
)

// invalid is a mistake in the command line or in what it names.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{grapnel.ErrInvalid}, args...)...)
}
