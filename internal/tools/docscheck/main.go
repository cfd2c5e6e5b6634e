// Command docscheck checks the code blocks of the project's Markdown: README,
// CONTRIBUTING and all below docs/. It runs from the root of the module.
//
//   - Blocks marked sh or bash must parse, and say whether they are run.
//   - Blocks marked go that begin with a package clause must parse.
//   - A block after the comment <!-- docs-check: run --> is run, by bash, in a
//     clone of the tree. The blocks of one file share the clone and the folder
//     that cd goes to, and are run in order; what a block leaves running is
//     ended with it. A time limit other than two minutes is given as
//     <!-- docs-check: run 5m -->. The first block of a file may begin in an
//     empty folder, with "run empty", and clone the project itself.
//   - A block after <!-- docs-check: output --> must be what the last block that
//     was run has printed, line by line. A line with nothing but … stands for
//     any lines, and … in a line for any text. The words times, hashes and
//     numbers after "output" say what may differ.
//   - A block after <!-- docs-check: file PATH --> must be equal to that file
//     of the tree, so that code shown is code compiled.
//   - A block after <!-- docs-check: skip REASON --> is not run. With "skip rest
//     REASON" that holds for all blocks below that say nothing else.
//
// With -fresh the blocks begin with an empty build cache, as readers do.
//
// It stops a file at the first block that fails to run, reports everything
// else that is wrong, and exits with 1 if anything is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "docscheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("docscheck", flag.ContinueOnError)
	parseOnly := flags.Bool("n", false, "parse the blocks and run none")
	fresh := flags.Bool("fresh", false, "begin with an empty build cache")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files := flags.Args()
	if len(files) == 0 {
		if files, err = markdown("."); err != nil {
			return err
		}
	}
	cache := "" // that of the user
	if *fresh {
		if cache, err = os.MkdirTemp("", "docscheck-cache-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(cache)) }()
	}
	var errs []error
	for _, file := range files {
		errs = append(errs, checkFile(ctx, file, *parseOnly, cache, out))
	}
	return errors.Join(errs...)
}

// markdown returns the files that are checked when none are named.
func markdown(root string) ([]string, error) {
	var files []string
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			files = append(files, filepath.Join(root, name))
		}
	}
	docs := filepath.Join(root, "docs")
	if _, err := os.Stat(docs); err != nil {
		return files, nil //nolint:nilerr // a tree without docs has nothing to check there
	}
	err := filepath.WalkDir(docs, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// checkFile checks one file and says in a line what it did.
func checkFile(ctx context.Context, file string, parseOnly bool, cache string, out io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	blocks, err := parseBlocks(file, string(text))
	if err != nil {
		return err
	}
	var (
		errs     []error
		runnable []block
	)
	for _, b := range blocks {
		errs = append(errs, checkBlock(ctx, b))
		if b.mark == markRun || b.mark == markOutput {
			runnable = append(runnable, b)
		}
	}
	if err := errors.Join(append(errs, checkOrder(blocks))...); err != nil {
		return err
	}
	if parseOnly {
		runnable = nil
	}
	fmt.Fprintf(out, "%s: %d blocks parsed, %d to run or compare\n", file, len(blocks), len(runnable))
	return runBlocks(ctx, runnable, cache, out)
}
