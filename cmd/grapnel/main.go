// Command grapnel starts, watches and changes runs, and runs a whole Grapnel for
// development.
//
// Exit codes: 0 for success, 1 if a run failed or something else went wrong, 2
// if the command line or a file cannot be used, 3 if the run was cancelled, 4 if
// it timed out, 5 if etcd could not be reached or did not say what became of a
// change, 6 if grapnel run left its run unfinished.
package main

import (
	"context"
	"os"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

func main() {
	os.Exit(cli.Main("grapnel", func(ctx context.Context) error {
		return newApp(os.Stdin, os.Stdout, os.Stderr).run(ctx, os.Args[1:])
	}))
}
