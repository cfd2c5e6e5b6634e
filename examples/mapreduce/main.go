// Command mapreduce counts words in files, as a map-reduce.
//
//	go run ./examples/mapreduce
//
// It makes some files of text; one task per file counts the words in it, one task
// per part of all words adds up what was counted, and one puts the parts
// together. What the tasks hand on are names of files, and not what is in them:
// outputs of tasks are kept in etcd, which is for small values.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/grapnel-dev/grapnel/local"
)

// How much text there is, and in how many parts it is added up.
const (
	numFiles = 24
	numWords = 20_000 // in each file
	numParts = 4
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run makes the files, counts and tells the result.
func run(ctx context.Context, out io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "grapnel-mapreduce-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	files, err := makeText(folder, numFiles, numWords)
	if err != nil {
		return err
	}
	result, err := local.Run(ctx, local.Config{}, wordcount, Input{Folder: folder, Files: files, Parts: numParts})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d words in %d files, %d different ones; the most frequent:\n", result.Words, len(files), result.Different)
	for _, c := range result.Top {
		fmt.Fprintf(out, "%7d  %s\n", c.Times, c.Word)
	}
	return nil
}
