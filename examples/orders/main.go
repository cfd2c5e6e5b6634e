// Command orders fulfils orders of a shop: price, stock, payment, parcel, mail.
//
//	go run ./examples/orders
//
// It shows tasks with types of their own, wired with Field and Struct; contracts
// that are apart from what implements them; retries, and failures that are not
// retried; and an idempotency key that keeps a payment from being made twice,
// although the payment provider loses answers. All is in one process, and what
// the shop talks to is simulated, so that the output is always the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/local"
)

var orders = []Order{
	{ID: "A-1", Customer: Customer{Name: "Ada", Email: "ada@example.com", Card: "4242 4242 4242 4242"},
		Lines: []Line{{"mug", 2}, {"teapot", 1}}},
	{ID: "A-2", Customer: Customer{Name: "Bob", Email: "bob@example.com", Card: declinedCard},
		Lines: []Line{{"mug", 1}}},
	{ID: "A-3", Customer: Customer{Name: "Cy", Email: "cy@example.com", Card: "4242 4242 4242 4242"},
		Lines: []Line{{"kettle", 2}}},
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run opens a shop for as long as it takes to fulfil the orders.
func run(ctx context.Context, out io.Writer) (err error) {
	s := newShop()
	cluster, err := local.Open(ctx, local.Config{Register: s.register})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()

	work, ctx := errgroup.WithContext(ctx)
	ctx, closing := context.WithCancel(ctx)
	work.Go(func() error { return cluster.Work(ctx, fulfil) })
	work.Go(func() error {
		defer closing() // the worker drains and returns
		return fulfilAll(ctx, cluster.Client(), out)
	})
	if err := work.Wait(); err != nil {
		return err
	}
	list(out, "booked by the payment provider, once each:", s.provider.bookings())
	list(out, "put aside in the warehouse:", s.setAside())
	list(out, "mails:", s.letters())
	return nil
}

// fulfilAll starts all orders and then waits for one after the other.
func fulfilAll(ctx context.Context, c *client.Client, out io.Writer) error {
	var runs []*client.Run[Confirmation]
	for _, o := range orders {
		// The order's number is the run's id: were it sent twice, it would still be
		// fulfilled once.
		r, err := client.Start(ctx, c, fulfil, o, client.WithID(grapnel.RunID(o.ID)), client.OnConflict(client.UseExisting))
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	for i, r := range runs {
		fmt.Fprintf(out, "order %s, %s for %s\n", orders[i].ID, describe(orders[i].Lines), orders[i].Customer.Name)
		done, err := r.Wait(ctx)
		var failed *client.RunFailedError
		switch {
		case errors.As(err, &failed) && failed.Cause != nil:
			fmt.Fprintf(out, "  %s: %s: %s\n", failed.Status, failed.Cause.Kind, failed.Cause.Message)
		case err != nil:
			return err
		default:
			fmt.Fprintf(out, "  paid %s at attempt %d, receipt %s, parcel %s\n",
				euros(done.Receipt.Cents), done.Receipt.Attempt, done.Receipt.Number, done.Tracking)
		}
	}
	return nil
}

func list(out io.Writer, title string, lines []string) {
	fmt.Fprintln(out, title)
	for _, l := range lines {
		fmt.Fprintln(out, "  "+l)
	}
}
