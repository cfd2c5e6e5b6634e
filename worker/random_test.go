package worker_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/worker"
)

// TestRunsEndWhateverFails has three workers, which come and go and lose their
// leases, execute runs on a store that loses, delays and repeats. What is checked is
// that all runs end with the right output and what holds of every history.
func TestRunsEndWhateverFails(t *testing.T) {
	const seeds, runs = 20, 6
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.losses = true
				var mu sync.Mutex
				dice := rand.New(rand.NewPCG(seed, 1))
				roll := func(n int) int {
					mu.Lock()
					defer mu.Unlock()
					return dice.IntN(n)
				}
				var calls counter
				wf := diamond(&calls)
				for i := range runs {
					w.start(grapnel.RunID(fmt.Sprintf("r%d", i)), wf, fmt.Sprint(i))
				}
				w.st.set(func(t store.Txn, commit func() (store.Result, error)) (store.Result, error) {
					// Sessions hold a mutex while they write, and fake time stands
					// still while somebody waits for a mutex.
					if t.Then[0].Writes() && !touchesRuns(store.Txn{Then: t.Then[:1]}) {
						return commit()
					}
					faketime.Pass(time.Duration(roll(3000)) * time.Microsecond)
					switch {
					case roll(10) == 0:
						return store.Result{}, grapnel.ErrUnavailable
					case roll(10) == 0:
						_, _ = commit()
						return store.Result{}, grapnel.ErrUnknown
					case roll(10) == 0:
						time.AfterFunc(time.Duration(roll(5000))*time.Millisecond, func() { _, _ = commit() })
						return store.Result{}, grapnel.ErrUnknown
					}
					return commit()
				})
				log, logged := logs()
				w.t.Cleanup(func() {
					if w.t.Failed() {
						w.t.Log(logged())
					}
				})
				for i := range 3 {
					cfg := worker.Config{Logger: log, Name: fmt.Sprint(i), Slots: 2, TTL: 4 * time.Second, Margin: time.Second}
					first := w.work(cfg, serve(wf))
					if i == 0 {
						faketime.Pass(time.Duration(roll(2000)) * time.Millisecond)
						first.drain()
						w.work(cfg, serve(wf))
					}
				}
				for range 3 {
					faketime.Pass(time.Duration(roll(1000)) * time.Millisecond)
					if leases := w.mem.Leases(); len(leases) > 0 {
						w.mem.ExpireLease(leases[roll(len(leases))])
					}
				}
				for i := range runs {
					want := fmt.Sprintf(`"[%d %d]"`, 2*(i+1)+2, -(2*(i+1) + 2))
					if out := w.completes(grapnel.RunID(fmt.Sprintf("r%d", i))); out != want {
						t.Errorf("output of run %d is %s, want %s", i, out, want)
					}
				}
				faketime.Pass(10 * time.Second) // until what is late has come, and leases have run out
				w.noClaims()
			})
		})
	}
}
