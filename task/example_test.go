package task_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// charge is safe to be executed twice: the bank knows the key, and books once.
func charge(ctx context.Context, cents int) (string, error) {
	if cents <= 0 {
		return "", task.Fail("bad-amount", fmt.Errorf("%d cents cannot be charged", cents))
	}
	info := task.InfoFrom(ctx)
	receipt, err := bank.book(info.IdempotencyKey, cents)
	if err != nil {
		return "", err // tried again, as the node's retry policy says
	}
	return receipt, nil
}

// index takes long, says that it is alive, and stops when it is told to.
func index(ctx context.Context, pages int) (int, error) {
	for page := range pages {
		if err := task.Heartbeat(ctx, map[string]int{"page": page}); err != nil {
			return 0, err // lost, cancelled, timed out or stopping: it would not count
		}
	}
	return pages, nil
}

var shop = workflow.New("shop", func(g *workflow.Graph, cents workflow.Value[int]) workflow.Value[string] {
	pages := workflow.Do(g, workflow.TaskFunc("index", index), cents, workflow.Heartbeat(time.Minute))
	return workflow.Do(g, workflow.TaskFunc("charge", charge), cents, workflow.After(pages),
		workflow.Retry(workflow.RetryPolicy{Attempts: 3, Backoff: time.Millisecond}))
})

// flakyBank books, and then fails to say so the first time.
type flakyBank struct{ receipts map[string]string }

var bank = &flakyBank{receipts: map[string]string{}}

func (b *flakyBank) book(key string, cents int) (string, error) {
	if r, ok := b.receipts[key]; ok {
		return r, nil
	}
	b.receipts[key] = fmt.Sprintf("receipt over %d cents", cents)
	return "", errors.New("no answer")
}

func Example() {
	st := memstore.New()
	defer st.Close()
	w, err := worker.New(worker.Config{Store: st, Seek: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Serve(shop)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	drained := make(chan error, 1)
	go func() { drained <- w.Run(ctx) }()
	c, err := client.New(client.Config{Store: st})
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := client.Start(ctx, c, shop, 250)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.Wait(ctx))
	fmt.Println("booked", len(bank.receipts), "time")
	stop()
	fmt.Println(<-drained)
	// Output:
	// receipt over 250 cents <nil>
	// booked 1 time
	// <nil>
}
