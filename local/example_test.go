package local_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/grapnel-dev/grapnel/local"
	"github.com/grapnel-dev/grapnel/workflow"
)

type Order struct{ Item, Email string }

var (
	reserve = workflow.TaskFunc("reserve", func(_ context.Context, item string) (string, error) {
		return strings.ToUpper(item) + "-1", nil
	})
	notify = workflow.TaskFunc("notify", func(_ context.Context, email string) (bool, error) {
		return email != "", nil
	})
)

// An order reserves its item, then tells the customer.
func Example() {
	order := workflow.New("order", func(g *workflow.Graph, in workflow.Value[Order]) workflow.Value[string] {
		item := workflow.Field(in, func(o *Order) *string { return &o.Item })
		email := workflow.Field(in, func(o *Order) *string { return &o.Email })
		reserved := workflow.Do(g, reserve, item)
		workflow.Do(g, notify, email, workflow.After(reserved))
		return reserved
	})
	out, err := local.Run(context.Background(), local.Config{}, order, Order{Item: "anchor", Email: "a@example.com"})
	fmt.Println(out, err)
	// Output: ANCHOR-1 <nil>
}
