// Command tea is a worker that makes tea: the program of docs/QUICKSTART.md.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/grapnel-dev/grapnel/store/etcdstore"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

type Order struct {
	Kind string `json:"kind"`
	Cups int    `json:"cups"`
}

type Pot struct {
	Water  string `json:"water"`
	Leaves string `json:"leaves"`
}

var (
	boil  = workflow.TaskFunc("boil", boilWater)
	fetch = workflow.TaskFunc("fetch", fetchLeaves)
	brew  = workflow.TaskFunc("brew", brewTea)

	// The water boils while somebody fetches the leaves; brewing needs both.
	tea = workflow.New("tea", func(g *workflow.Graph, order workflow.Value[Order]) workflow.Value[string] {
		water := workflow.Do(g, boil, workflow.Field(order, func(o *Order) *int { return &o.Cups }))
		leaves := workflow.Do(g, fetch, workflow.Field(order, func(o *Order) *string { return &o.Kind }))
		return workflow.Do(g, brew, workflow.Struct(g, "pot", func(s *workflow.Setter, p *Pot) {
			workflow.Set(s, &p.Water, water)
			workflow.Set(s, &p.Leaves, leaves)
		}))
	})
)

func boilWater(ctx context.Context, cups int) (string, error) {
	select { // time for you to look at it
	case <-time.After(time.Duration(cups) * time.Second):
		return fmt.Sprintf("water for %d", cups), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func fetchLeaves(_ context.Context, kind string) (string, error) {
	if kind == "coffee" {
		return "", task.Fail("no-tea", fmt.Errorf("%s is no tea", kind))
	}
	return kind + " leaves", nil
}

func brewTea(_ context.Context, p Pot) (string, error) {
	return p.Leaves + " in " + p.Water, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, "127.0.0.1:2379"); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, etcd string) error {
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{etcd}})
	if err != nil {
		return err
	}
	defer st.Close() //nolint:errcheck // nothing is left to be written
	w, err := worker.New(worker.Config{Store: st, Name: "tea"})
	if err != nil {
		return err
	}
	w.Serve(tea)
	return w.Run(ctx) // until interrupted; what is being brewed is brewed first
}
