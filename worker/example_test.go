package worker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// The contract of a task is shared by those who author workflows with it; the
// worker has the implementation.
var greet = workflow.NewTask[string, string]("greet", workflow.StartToClose(time.Minute))

var hello = workflow.New("hello", func(g *workflow.Graph, name workflow.Value[string]) workflow.Value[string] {
	return workflow.Do(g, greet, name)
})

func Example() {
	st := memstore.New()
	defer st.Close()

	w, err := worker.New(worker.Config{Store: st, Seek: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Serve(hello)
	worker.Handle(w, greet, func(_ context.Context, name string) (string, error) {
		return "Hello, " + name + "!", nil
	})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	drained := make(chan error, 1)
	go func() { drained <- w.Run(ctx) }()

	c, err := client.New(client.Config{Store: st})
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := client.Start(ctx, c, hello, "world")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.Wait(ctx))

	stop()
	fmt.Println(<-drained)
	// Output:
	// Hello, world! <nil>
	// <nil>
}
