// Command hello runs a workflow of two tasks, in this process and on etcd.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/workflow"
)

var (
	upper = workflow.TaskFunc("upper", func(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil })
	greet = workflow.TaskFunc("greet", func(_ context.Context, s string) (string, error) { return "Hello, " + s + "!", nil })
	hello = workflow.New("hello", func(g *workflow.Graph, name workflow.Value[string]) workflow.Value[string] {
		return workflow.Do(g, greet, workflow.Do(g, upper, name))
	})
)

func main() {
	out, err := local.Run(context.Background(), local.Config{}, hello, "world")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out)
}
