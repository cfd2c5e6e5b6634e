package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/grapnel-dev/grapnel/workflow"
)

type (
	Order struct {
		Email string   `json:"email"`
		Cents int64    `json:"cents"`
		Items []string `json:"items"`
	}
	Receipt struct {
		Number string `json:"number"`
	}
	Mail struct {
		To      string `json:"to"`
		Subject string `json:"subject"`
		Receipt string `json:"receipt"`
	}
)

func Example() {
	type V[T any] = workflow.Value[T]

	charge := workflow.NewTask[int64, Receipt]("charge",
		workflow.Retry(workflow.RetryPolicy{Attempts: 5, Backoff: time.Second}),
		workflow.StartToClose(10*time.Second))
	send := workflow.NewTask[Mail, workflow.None]("send-mail")

	orders := workflow.New("order", func(g *workflow.Graph, in V[Order]) V[Receipt] {
		receipt := workflow.Do(g, charge, workflow.Field(in, func(o *Order) *int64 { return &o.Cents }))
		subject := workflow.Inline(g, "subject", func(o Order) string {
			return fmt.Sprintf("Your order of %d items", len(o.Items))
		}, in)
		workflow.Do(g, send, workflow.Struct(g, "mail", func(s *workflow.Setter, m *Mail) {
			workflow.Set(s, &m.To, workflow.Field(in, func(o *Order) *string { return &o.Email }))
			workflow.Set(s, &m.Subject, subject)
			workflow.Set(s, &m.Receipt, workflow.Field(receipt, func(r *Receipt) *string { return &r.Number }))
		}))
		return receipt
	})

	d, err := orders.Definition()
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, n := range d.Nodes {
		fmt.Println(i, n.Name, "needs", n.Needs, "from", n.InType, "to", n.OutType)
	}
	// Output:
	// 0 charge needs [] from int64 to workflow_test.Receipt
	// 1 subject needs [] from workflow_test.Order to string
	// 2 send-mail needs [0 1] from workflow_test.Mail to workflow.None
}

// Mistakes don't stop the build: all of them are reported, each with its place.
func ExampleWorkflow_Err() {
	double := workflow.NewTask[int, int]("double")
	w := workflow.New("wrong", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, double, in, workflow.Priority(7))
	})
	if first, ok := errors.AsType[*workflow.BuildError](w.Err()); ok {
		fmt.Printf("%s: %v\n", filepath.Base(first.File), first.Err)
	}
	// Output: example_test.go: task double: invalid: priority 7 is not 1 (first) to 5
}

// A task with its implementation, which a worker that serves a workflow with it
// brings along.
func ExampleTaskFunc() {
	greet := workflow.TaskFunc("greet", func(_ context.Context, name string) (string, error) {
		return "Hello, " + name, nil
	})
	handler, _ := greet.Implementation()
	out, err := handler(context.Background(), []byte(`"World"`))
	fmt.Println(string(out), err)
	// Output: "Hello, World" <nil>
}

// The same task twice needs names, which are part of the definition.
func ExampleID() {
	resize := workflow.NewTask[int, string]("resize")
	w := workflow.New("thumbnails", func(g *workflow.Graph, _ workflow.Value[workflow.None]) workflow.Value[[]string] {
		small := workflow.Do(g, resize, workflow.Const(g, 64), workflow.ID("small"))
		large := workflow.Do(g, resize, workflow.Const(g, 512), workflow.ID("large"))
		return workflow.Gather(g, "images", small, large)
	})
	d, err := w.Definition()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range d.Nodes {
		fmt.Printf("%s runs %s with %s\n", n.Name, n.Task, n.Input.Const)
	}
	// Output:
	// small runs resize with 64
	// large runs resize with 512
}

// Whatever the branches make is data until a run picks one of them.
func ExampleIf() {
	type V[T any] = workflow.Value[T]

	review := workflow.NewTask[Order, Receipt]("review")
	charge := workflow.NewTask[Order, Receipt]("charge")
	w := workflow.New("order", func(g *workflow.Graph, order V[Order]) V[Receipt] {
		large := workflow.Inline(g, "large", func(o Order) bool { return o.Cents > 100_000 }, order)
		return workflow.If(g, "check", large,
			func(g *workflow.Graph) V[Receipt] { return workflow.Do(g, review, order) },
			func(g *workflow.Graph) V[Receipt] { return workflow.Do(g, charge, order) })
	})
	printNodes(w)
	// Output:
	// large: inline
	// check: switch
	// check.then.review: task
	// check.else.charge: task
}

// A switch over values that are all known is checked for each of them.
func ExampleSwitchExhaustive() {
	type V[T any] = workflow.Value[T]
	type Speed string
	const fast, slow = Speed("fast"), Speed("slow")

	ship := workflow.NewTask[Speed, string]("ship")
	w := workflow.New("shipping", func(g *workflow.Graph, speed V[Speed]) V[string] {
		return workflow.SwitchExhaustive(g, "carrier", speed, []Speed{fast, slow},
			workflow.Case(fast, func(g *workflow.Graph) V[string] { return workflow.Do(g, ship, speed) }),
			workflow.Case(slow, func(g *workflow.Graph) V[string] { return workflow.Const(g, "by hand") }))
	})
	printNodes(w)
	// Output:
	// carrier: switch
	// carrier.fast.ship: task
}

// A run has the body once for each item; an outer value that a body uses is an
// edge into each of them.
func ExampleMap() {
	type V[T any] = workflow.Value[T]

	list := workflow.NewTask[string, []string]("list-files")
	size := workflow.NewTask[string, int64]("file-size")
	w := workflow.New("sizes", func(g *workflow.Graph, folder V[string]) V[[]int64] {
		files := workflow.Do(g, list, folder)
		return workflow.Map(g, "each", files, func(g *workflow.Graph, file V[string]) V[int64] {
			path := workflow.Inline2(g, "path", func(a, b string) string { return filepath.Join(a, b) }, folder, file)
			return workflow.Do(g, size, path)
		}, workflow.Parallel(8))
	})
	printNodes(w)
	// Output:
	// list-files: task
	// each: map
	// each.path: inline
	// each.file-size: task
}

func printNodes(w workflow.Any) {
	d, err := w.Definition()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range d.Nodes {
		fmt.Printf("%s: %v\n", n.Name, n.Kind)
	}
}
