package faultstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/grapnel-dev/grapnel/store"
)

var errCut = errors.New("cut")

// commitTo puts keys to the store, which must take them.
func commitTo(t *testing.T, s store.Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := put(t.Context(), s, key); err != nil {
			t.Fatal(err)
		}
	}
}

// pending reports whether a watch has nothing to deliver. It waits until all
// that happens by itself has happened.
func pending(w <-chan store.Batch) bool {
	synctest.Wait()
	return len(w) == 0
}

func TestHeldWatchesLagAndMissNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, mem := setup(t, nil)
		w := s.Watch(t.Context(), store.WatchRequest{From: 2})
		s.HoldWatches()
		s.HoldWatches()
		commitTo(t, mem, "a", "b")
		late := s.Watch(t.Context(), store.WatchRequest{From: 2})
		if !pending(w) || !pending(late) {
			t.Fatal("a batch passed while watches were held")
		}
		s.ResumeWatches()
		for _, w := range []<-chan store.Batch{w, late} {
			for _, key := range []string{"a", "b"} {
				if b := <-w; len(b.Events) != 1 || b.Events[0].KV.Key != key {
					t.Errorf("batch %+v, want %s", b, key)
				}
			}
		}
	})
}

func TestCutWatchesEndInThePlaceOfWhatTheyHaveNotDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, mem := setup(t, nil)
		w := s.Watch(t.Context(), store.WatchRequest{From: 2})
		commitTo(t, mem, "a")
		<-w
		commitTo(t, mem, "b", "c")
		synctest.Wait()
		if n := s.CutWatches(errCut); n != 1 {
			t.Errorf("cut %d watches", n)
		}
		synctest.Wait()
		if b := <-w; !errors.Is(b.Err, errCut) || b.Revision != 2 || len(b.Events) != 0 {
			t.Errorf("batch %+v, want the cut after revision 2", b)
		}
		if b, open := <-w; open {
			t.Errorf("batch %+v after the last one", b)
		}
		if n := s.CutWatches(errCut); n != 0 {
			t.Errorf("cut %d watches twice", n)
		}
		commitTo(t, mem, "d")
		again := s.Watch(t.Context(), store.WatchRequest{From: 5})
		if b := <-again; len(b.Events) != 1 || b.Events[0].KV.Key != "d" {
			t.Errorf("a later watch delivers %+v", b)
		}
	})
}

func TestHeldWatchesCanBeCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, mem := setup(t, nil)
		s.HoldWatches()
		w := s.Watch(t.Context(), store.WatchRequest{From: 2})
		commitTo(t, mem, "a")
		synctest.Wait()
		s.CutWatches(errCut)
		if b := <-w; !errors.Is(b.Err, errCut) {
			t.Errorf("batch %+v, want the cut", b)
		}
	})
}

func TestHeldWatchesEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, mem := setup(t, nil)
		s.HoldWatches()
		ctx, cancel := context.WithCancelCause(t.Context())
		w := s.Watch(ctx, store.WatchRequest{From: 2})
		commitTo(t, mem, "a")
		synctest.Wait()
		cancel(errCut)
		s.Wait()
		if b := <-w; !errors.Is(b.Err, errCut) || b.Revision != 1 {
			t.Errorf("batch %+v, want the context's cause", b)
		}
	})
}
