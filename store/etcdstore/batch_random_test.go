package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
)

// moodyServer takes its time, and refuses requests in every way that one can be.
type moodyServer struct {
	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
	// underWay and most are how many requests are, and were, so at a time.
	underWay, most int // guarded by mu
}

func (f *moodyServer) send(pieces []*piece) ([]store.Result, error) {
	f.mu.Lock()
	f.underWay++
	f.most = max(f.most, f.underWay)
	wait, x := time.Duration(f.rng.IntN(4000))*time.Millisecond, f.rng.IntN(20)
	f.mu.Unlock()
	faketime.Pass(wait)
	f.mu.Lock()
	f.underWay--
	f.mu.Unlock()
	switch ops, _ := weigh(pieces); {
	case ops > 40:
		return nil, errTooManyOps
	case x == 0:
		return nil, grapnel.ErrUnknown
	case x == 1:
		return nil, grapnel.ErrUnavailable
	case x < 4:
		return nil, grapnel.ErrInvalid
	}
	return make([]store.Result, len(pieces)), nil
}

// Whatever the server answers and whoever gives up waiting, each commit gets its
// answer, and none is left in the queue.
func TestEachCommitGetsAnAnswer(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const slots, wait = 4, 10 * time.Second
				rng := rand.New(rand.NewPCG(seed, 1))
				server := &moodyServer{rng: rand.New(rand.NewPCG(seed, 2))}
				b := newBatcher(server, slots, 128, 1<<20, wait)
				var wg sync.WaitGroup
				for range 400 {
					txn := store.Txn{Then: []store.Op{store.Put(fmt.Sprintf("/k/%d", rng.IntN(100)), nil, 0)}}
					e, f := encode(txn), footprintOf(txn)
					e.width = 1 + rng.IntN(8)
					patience := time.Hour
					if rng.IntN(3) == 0 {
						patience = time.Duration(rng.IntN(3000)) * time.Millisecond
					}
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						if _, err := b.commit(ctx, e, f); patience == time.Hour && errors.Is(err, context.DeadlineExceeded) {
							t.Error("a commit was left without an answer")
						}
					})
					if rng.IntN(10) == 0 {
						faketime.Pass(time.Duration(rng.IntN(3000)) * time.Millisecond)
					}
				}
				wg.Wait()
				faketime.Pass(time.Minute)
				b.mu.Lock()
				if b.busy != 0 || b.queue != 0 || b.head != nil || b.tail != nil {
					t.Errorf("idle, but %d slots are taken and %d commits queued", b.busy, b.queue)
				}
				b.mu.Unlock()
				if server.most < 2 || server.most > slots {
					t.Errorf("%d requests at a time", server.most)
				}
				b.close(errClosed)
			})
		})
	}
}
