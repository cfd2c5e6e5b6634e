package coordinator_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/store"
)

func TestViewsAgreeAfterHistoryWasCompacted(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		w := e.join("w", 10, nil)
		def := e.define([][]int{{}, {0}}, nil)
		e.start("old", def, nil)
		c := w.claim("old", 0)
		equal(t, "offers at first", w.offers(), "old/0")
		fs.HoldWatches()
		e.start("new", def, nil)
		w.complete(c)
		e.start("gone", def, nil)
		e.must(e.runs.Delete(t.Context(), e.load("gone")))
		e.must(e.st.Compact(e.st.Revision()))
		fs.CutWatches(&store.CompactedError{Revision: e.st.Revision()})
		fs.ResumeWatches()
		e.wait(time.Second)
		got := strings.Fields(w.offers())
		if len(got) != 2 || !strings.Contains(fmt.Sprint(got), "old/1") || !strings.Contains(fmt.Sprint(got), "new/0") {
			t.Fatalf("offers %v, want old/1 and new/0", got)
		}
	})
}

func TestViewsAgreeAfterAWatchWasInterrupted(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		a := e.join("a", 1, nil)
		def := e.define([][]int{{}}, nil)
		e.start("r", def, nil)
		a.claim("r", 0)
		fs.HoldWatches()
		a.die()
		e.start("s", def, nil)
		b := e.join("b", 10, nil)
		fs.CutWatches(fmt.Errorf("%w: injected", grapnel.ErrUnavailable))
		fs.ResumeWatches()
		e.wait(time.Second)
		equal(t, "losses", e.losses("r", 0), 1)
		equal(t, "offers", len(strings.Fields(b.offers())), 2)
	})
}

// forgetful is a store whose watches leave out the next changes of some keys,
// which no store may do.
type forgetful struct {
	store.Store
	drop func(ev store.Event) bool
}

func (f *forgetful) Watch(ctx context.Context, r store.WatchRequest) <-chan store.Batch {
	in, out := f.Store.Watch(ctx, r), make(chan store.Batch)
	go func() {
		defer close(out)
		for b := range in {
			var kept []store.Event
			for _, ev := range b.Events {
				if !f.drop(ev) {
					kept = append(kept, ev)
				}
			}
			b.Events = kept
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

func TestViewsAgreeOnceTheSweepHasPassed(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		var drop atomic.Bool
		f := &forgetful{Store: e.st, drop: func(ev store.Event) bool { return drop.Load() && strings.HasPrefix(ev.KV.Key, e.keys.Runs()) }}
		e.coordinate(func(c *coordinator.Config) { c.Store, c.Sweep = f, 30*time.Second })
		w := e.join("w", 10, nil)
		def := e.define([][]int{{}, {0}}, nil)
		e.start("changed", def, nil)
		e.start("deleted", def, nil)
		c := w.claim("changed", 0)
		w.offers()
		drop.Store(true)
		w.complete(c)
		e.start("missed", def, nil)
		e.must(e.runs.Delete(t.Context(), e.load("deleted")))
		drop.Store(false)
		equal(t, "offers before the sweep", w.offers(), "")
		e.wait(31 * time.Second)
		got := w.offers()
		for _, want := range []string{"changed/1", "missed/0"} {
			if !strings.Contains(got, want) {
				t.Errorf("offers %q lack %s", got, want)
			}
		}
		e.wait(time.Minute)
		if got := w.offers(); strings.Contains(got, "deleted") {
			t.Errorf("offers %q name a run that was deleted", got)
		}
	})
}

func TestTheSweepLeavesAQuietStoreAlone(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(func(c *coordinator.Config) { c.Processed = 100 * time.Hour })
		e.start("r", e.define([][]int{{}}, nil), nil)
		e.wait(time.Minute)
		before := e.st.Revision()
		e.wait(10 * time.Minute)
		if got := e.st.Revision() - before; got > 0 {
			t.Fatalf("%d writes while nothing happened", got)
		}
	})
}
