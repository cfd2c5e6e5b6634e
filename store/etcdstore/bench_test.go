package etcdstore

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
)

const benchClients = 256

// each runs do b.N times in all, from many clients at once.
func each(b *testing.B, do func(n int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range benchClients {
		wg.Go(func() {
			for {
				n := int(next.Add(1))
				if n > b.N {
					return
				}
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkCommit compares guarded commits of two keys each, which share
// requests, with plain puts, which do not.
func BenchmarkCommit(b *testing.B) {
	value := make([]byte, 256)
	for _, inFlight := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("in flight %d", inFlight), func(b *testing.B) {
			st := open(b, serve(b, embedetcd.Config{}), Config{InFlight: inFlight})
			each(b, func(n int) error {
				run := fmt.Sprintf("/grapnel/default/run/ab/%d/", n)
				_, err := st.Commit(b.Context(), store.Txn{
					If:   []store.Guard{store.Absent(run + "head"), store.PrefixEmpty(run + "event/")},
					Then: []store.Op{store.Put(run+"head", value, 0), store.DeletePrefix(run + "claim/")},
					Else: []store.Op{store.Get(run + "head")},
				})
				return err
			})
		})
	}
	b.Run("plain puts", func(b *testing.B) {
		st := open(b, serve(b, embedetcd.Config{}), Config{})
		each(b, func(n int) error {
			_, err := st.client.Put(b.Context(), fmt.Sprint("/k/", n), string(value))
			return err
		})
	})
}

// BenchmarkFootprint measures what isolation costs per commit of a request of a
// hundred.
func BenchmarkFootprint(b *testing.B) {
	txns := make([]store.Txn, 100)
	for i := range txns {
		run := fmt.Sprintf("/grapnel/default/run/ab/01990000-0000-7000-8000-%012d/", i)
		txns[i] = store.Txn{
			If:   []store.Guard{store.CreateIs(run+"claim/1", 5), store.ModIs(run+"head", 7), store.PrefixEmpty(run + "event/")},
			Then: []store.Op{store.Put(run+"head", nil, 0), store.DeletePrefix(run + "claim/")},
			Else: []store.Op{store.Get(run + "head"), store.Get(run + "claim/1")},
		}
	}
	area := make(territory)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%len(txns) == 0 {
			clear(area)
		}
		f := footprintOf(txns[n%len(txns)])
		if !area.admits(f) {
			b.Fatal("runs clash")
		}
		area.annex(f)
	}
}
