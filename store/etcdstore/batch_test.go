package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
)

// fakeServer is a sender that holds each request until the test answers it.
type fakeServer struct{ requests chan *fakeRequest }

type fakeRequest struct {
	pieces []*piece
	answer chan error
}

func (f *fakeServer) send(pieces []*piece) ([]store.Result, error) {
	r := &fakeRequest{pieces: pieces, answer: make(chan error)}
	f.requests <- r
	if err := <-r.answer; err != nil {
		return nil, err
	}
	results := make([]store.Result, len(pieces))
	for i, p := range pieces {
		results[i].Revision = grapnel.Revision(p.width)
	}
	return results, nil
}

// ruleServer is a sender that answers at once, by a rule.
type ruleServer struct {
	rule func(pieces []*piece) error

	mu   sync.Mutex
	sent [][]*piece // guarded by mu
}

func (f *ruleServer) send(pieces []*piece) ([]store.Result, error) {
	f.mu.Lock()
	f.sent = append(f.sent, pieces)
	f.mu.Unlock()
	if err := f.rule(pieces); err != nil {
		return nil, err
	}
	return make([]store.Result, len(pieces)), nil
}

// rig is a batcher under test. Its commits are told apart by their width.
type rig struct {
	t *testing.T
	*batcher
	outcomes sync.Map // width → error
	wg       sync.WaitGroup
}

func (b *rig) start(ctx context.Context, width int, t store.Txn) {
	e := encode(t)
	e.width = width
	b.wg.Go(func() {
		res, err := b.commit(ctx, e, footprintOf(t))
		if err == nil && res.Revision != 0 && res.Revision != grapnel.Revision(width) {
			b.t.Errorf("piece %d got the result of piece %d", width, res.Revision)
		}
		b.outcomes.Store(width, err)
	})
	synctest.Wait()
}

func (b *rig) outcome(width int) error {
	v, ok := b.outcomes.Load(width)
	if !ok {
		b.t.Fatalf("piece %d has no outcome yet", width)
	}
	if v == nil {
		return nil
	}
	return v.(error)
}

func (b *rig) pending(width int) bool {
	_, done := b.outcomes.Load(width)
	return !done
}

func widths(pieces []*piece) (out []int) {
	for _, p := range pieces {
		out = append(out, p.width)
	}
	return out
}

func put(key string) store.Txn { return store.Txn{Then: []store.Op{store.Put(key, nil, 0)}} }

// holding runs a test on a batcher with a server that the test answers for. One
// slot, already taken by a commit of width 1.
func holding(t *testing.T, maxOps int, test func(b *rig, next func() *fakeRequest, first *fakeRequest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{requests: make(chan *fakeRequest, 100)}
		b := &rig{t: t, batcher: newBatcher(f, 1, maxOps, 1<<20, time.Minute)}
		next := func() *fakeRequest {
			synctest.Wait()
			select {
			case r := <-f.requests:
				return r
			default:
				t.Fatal("no request was sent")
				return nil
			}
		}
		b.start(b.t.Context(), 1, put("first"))
		test(b, next, next())
		b.close(errClosed)
		b.wg.Wait()
	})
}

func TestMoreRequestsAreUnderWayOnlyWhileManyCommitsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{requests: make(chan *fakeRequest, 100)}
		b := &rig{t: t, batcher: newBatcher(f, 4, 128, 1<<20, time.Minute)}
		var requests []*fakeRequest
		taken := func() int { // how many commits the last request has
			synctest.Wait()
			for len(f.requests) > 0 {
				requests = append(requests, <-f.requests)
			}
			return len(requests[len(requests)-1].pieces)
		}
		next := 0
		wait := func(commits, underWay int) {
			t.Helper()
			for range commits {
				next++
				b.start(t.Context(), next, put(fmt.Sprint(next)))
			}
			if taken(); len(requests) != underWay {
				t.Fatalf("%d requests are under way after %d commits, want %d", len(requests), next, underWay)
			}
		}
		wait(group, 1)
		wait(1, 2)
		wait(crowd-1, 2)
		wait(1, 3)
		if n := taken(); n != crowd {
			t.Errorf("the third request has %d commits, want all %d that waited", n, crowd)
		}
		wait(group-1, 3)
		requests[2].answer <- nil
		requests[1].answer <- nil
		wait(0, 3) // the slots for many were given back
		requests[0].answer <- nil
		wait(0, 4)
		if n := taken(); n != group-1 {
			t.Errorf("the last request has %d commits, want all %d that waited", n, group-1)
		}
		requests[3].answer <- nil
		b.close(errClosed)
		b.wg.Wait()
	})
}

func TestCommitWithAFreeSlotIsSentAtOnceAndLaterOnesGoTogether(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		for i := 2; i < 6; i++ {
			b.start(b.t.Context(), i, put(fmt.Sprint(i)))
		}
		first.answer <- nil
		r := next()
		if got := widths(r.pieces); !slices.Equal(got, []int{2, 3, 4, 5}) {
			t.Errorf("second request has %v", got)
		}
		r.answer <- nil
		synctest.Wait()
		for i := 1; i < 6; i++ {
			if err := b.outcome(i); err != nil {
				t.Errorf("piece %d: %v", i, err)
			}
		}
	})
}

func TestPiecesThatTouchWhatAnotherWritesDoNotShare(t *testing.T) {
	t.Parallel()
	read := func(g store.Guard) store.Txn {
		return store.Txn{If: []store.Guard{g}, Then: []store.Op{store.Put("mine/"+g.Key, nil, 0)}}
	}
	for _, c := range []struct {
		name  string
		a, b  store.Txn
		share bool
	}{
		{"different keys", put("/a/1"), put("/a/2"), true},
		{"same key", put("/a/1"), put("/a/1"), false},
		{"guard on a written key", put("/a/1"), read(store.ModIs("/a/1", 1)), false},
		{"written key under a guard", read(store.Exists("/a/1")), put("/a/1"), false},
		{"guards on one key", read(store.Exists("/a/1")), store.Txn{If: []store.Guard{store.Exists("/a/1")}, Then: put("x").Then}, true},
		{"get of a written key", put("/a/1"), store.Txn{Then: []store.Op{store.Get("/a/1"), store.Put("x", nil, 0)}}, false},
		{"write in Else", store.Txn{Else: put("/a/1").Then}, store.Txn{Then: []store.Op{store.Get("/a/1"), store.Put("x", nil, 0)}}, false},
		{"get in Else", put("/a/1"), store.Txn{Then: put("x").Then, Else: []store.Op{store.Get("/a/1")}}, false},
		{"deleted range over a written key", put("/a/1"), store.Txn{Then: []store.Op{store.DeletePrefix("/a/")}}, false},
		{"written key in a deleted range", store.Txn{Then: []store.Op{store.DeletePrefix("/a/")}}, put("/a/b/c"), false},
		{"deleted range beside a written key", store.Txn{Then: []store.Op{store.DeletePrefix("/a/")}}, put("/b/1"), true},
		{"deleted range over a deleted range", store.Txn{Then: []store.Op{store.DeletePrefix("/a/")}}, store.Txn{Then: []store.Op{store.DeletePrefix("/a/b/")}}, false},
		{"guard on a range with a written key", put("/a/1"), read(store.PrefixEmpty("/a/")), false},
		{"guards on one range", read(store.PrefixEmpty("/a/")), store.Txn{If: []store.Guard{store.PrefixEmpty("/a/b/")}, Then: put("x").Then}, true},
		{"first of a range with a written key", store.Txn{Then: []store.Op{store.GetFirst("/a/"), store.Put("x", nil, 0)}}, put("/a/1"), false},
		{"range without a slash at its end", store.Txn{Then: []store.Op{store.DeletePrefix("/a/b")}}, put("/a/bc"), false},
		{"range without any slash", store.Txn{Then: []store.Op{store.DeletePrefix("a")}}, put("abc"), false},
		{"key that is itself the range", store.Txn{Then: []store.Op{store.DeletePrefix("/a/")}}, put("/a/"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, order := range [][2]store.Txn{{c.a, c.b}, {c.b, c.a}} {
				area := make(territory)
				area.annex(footprintOf(order[0]))
				if got := area.admits(footprintOf(order[1])); got != c.share {
					t.Errorf("share: %v, want %v", got, c.share)
				}
			}
		})
	}
}

func TestPieceThatDoesNotFitIsFirstOfTheNextRequest(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		b.start(b.t.Context(), 2, put("same"))
		b.start(b.t.Context(), 3, put("same"))
		b.start(b.t.Context(), 4, put("other"))
		first.answer <- nil
		r := next()
		if got := widths(r.pieces); !slices.Equal(got, []int{2, 4}) {
			t.Errorf("second request has %v", got)
		}
		b.start(b.t.Context(), 5, put("same"))
		r.answer <- nil
		r = next()
		if got := widths(r.pieces); !slices.Equal(got, []int{3}) {
			t.Errorf("third request has %v", got)
		}
		r.answer <- nil
		next().answer <- nil
	})
}

func TestRequestsStayWithinTheOperationsAndBytes(t *testing.T) {
	t.Parallel()
	holding(t, 10, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		for i := 2; i < 9; i++ { // 3 pieces and the widest of 2, 3, 4 make 7; with 5 it is 9
			b.start(b.t.Context(), i, put(fmt.Sprint(i)))
		}
		first.answer <- nil
		for _, want := range [][]int{{2, 3, 4, 5}, {6, 7}, {8}} {
			r := next()
			if got := widths(r.pieces); !slices.Equal(got, want) {
				t.Errorf("request has %v, want %v", got, want)
			}
			r.answer <- nil
		}
	})
	holding(t, 128, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		for i := 2; i < 5; i++ {
			b.start(b.t.Context(), i, store.Txn{Then: []store.Op{store.Put(fmt.Sprint(i), make([]byte, 400<<10), 0)}})
		}
		first.answer <- nil
		for _, want := range [][]int{{2, 3}, {4}} {
			r := next()
			if got := widths(r.pieces); !slices.Equal(got, want) {
				t.Errorf("request has %v, want %v", got, want)
			}
			r.answer <- nil
		}
	})
}

func TestCallerThatLeavesTakesItsQueuedPieceAlong(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		left := errors.New("left")
		ctx, cancel := context.WithCancelCause(b.t.Context())
		b.start(ctx, 2, put("2"))
		b.start(b.t.Context(), 3, put("3"))
		cancel(left)
		synctest.Wait()
		if err := b.outcome(2); !errors.Is(err, context.Canceled) || !errors.Is(err, left) || errors.Is(err, grapnel.ErrUnknown) {
			t.Errorf("queued piece: %v", err)
		}
		first.answer <- nil
		r := next()
		if got := widths(r.pieces); !slices.Equal(got, []int{3}) {
			t.Errorf("request has %v", got)
		}
		r.answer <- nil
	})
}

func TestCallerThatLeavesARequestUnderWayLearnsNothing(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		ctx, cancel := context.WithCancel(b.t.Context())
		b.start(ctx, 2, put("2"))
		b.start(b.t.Context(), 3, put("3"))
		first.answer <- nil
		r := next()
		cancel()
		synctest.Wait()
		if err := b.outcome(2); !errors.Is(err, grapnel.ErrUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("piece under way: %v", err)
		}
		if !b.pending(3) {
			t.Error("the neighbour did not wait for the request")
		}
		r.answer <- nil
		synctest.Wait()
		if err := b.outcome(3); err != nil {
			t.Errorf("neighbour: %v", err)
		}
	})
}

func TestUnknownOutcomeIsThatOfEachPieceAndNothingIsSentAgain(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, next func() *fakeRequest, first *fakeRequest) {
		b.start(b.t.Context(), 2, put("2"))
		b.start(b.t.Context(), 3, put("3"))
		first.answer <- nil
		next().answer <- fmt.Errorf("%w: %w", grapnel.ErrUnknown, grapnel.ErrOverCapacity)
		synctest.Wait()
		for i := 2; i < 4; i++ {
			if err := b.outcome(i); !errors.Is(err, grapnel.ErrUnknown) {
				t.Errorf("piece %d: %v", i, err)
			}
		}
	})
}

func TestPieceThatWaitedTooLongIsNotSent(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, _ func() *fakeRequest, first *fakeRequest) {
		b.start(b.t.Context(), 2, put("2"))
		faketime.Pass(2 * time.Minute)
		first.answer <- nil
		synctest.Wait()
		if err := b.outcome(2); !errors.Is(err, grapnel.ErrUnavailable) {
			t.Errorf("stale piece: %v", err)
		}
	})
}

func TestClosingFailsWhatIsQueued(t *testing.T) {
	t.Parallel()
	holding(t, 128, func(b *rig, _ func() *fakeRequest, first *fakeRequest) {
		b.start(b.t.Context(), 2, put("2"))
		b.wg.Go(func() { b.close(errClosed) })
		synctest.Wait()
		if err := b.outcome(2); !errors.Is(err, grapnel.ErrUnavailable) {
			t.Errorf("queued piece: %v", err)
		}
		first.answer <- nil
		synctest.Wait()
		if err := b.outcome(1); err != nil {
			t.Errorf("piece under way: %v", err)
		}
		b.start(b.t.Context(), 3, put("3"))
		if err := b.outcome(3); !errors.Is(err, grapnel.ErrUnavailable) {
			t.Errorf("piece after close: %v", err)
		}
	})
}

// flood puts pieces of the given widths into the queue while the only slot is
// taken, frees it, and waits for all of them.
func flood(t *testing.T, maxOps int, rule func([]*piece) error, pieces map[int]store.Txn) (*rig, *ruleServer) {
	t.Helper()
	held := make(chan struct{})
	f := &ruleServer{rule: func(pieces []*piece) error {
		if pieces[0].width == 1 {
			<-held
			return nil
		}
		return rule(pieces)
	}}
	b := &rig{t: t, batcher: newBatcher(f, 1, maxOps, 1<<20, time.Minute)}
	b.start(b.t.Context(), 1, put("first"))
	for _, w := range slices.Sorted(func(yield func(int) bool) {
		for w := range pieces {
			if !yield(w) {
				return
			}
		}
	}) {
		b.start(b.t.Context(), w, pieces[w])
	}
	close(held)
	b.wg.Wait()
	b.close(errClosed)
	return b, f
}

func somePieces(n int) map[int]store.Txn {
	m := make(map[int]store.Txn)
	for w := 2; w < n+2; w++ {
		m[w] = put(fmt.Sprint("key", w))
	}
	return m
}

func TestOnlyTheOffenderSeesTheErrorOfASharedRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, f := flood(t, 128, func(pieces []*piece) error {
			if slices.Contains(widths(pieces), 5) {
				return fmt.Errorf("%w: the piece of width 5", store.ErrLeaseNotFound)
			}
			return nil
		}, somePieces(6))
		for w := 2; w < 8; w++ {
			if err := b.outcome(w); (w == 5) != errors.Is(err, store.ErrLeaseNotFound) || (w != 5 && err != nil) {
				t.Errorf("piece %d: %v", w, err)
			}
		}
		for _, pieces := range f.sent[2:] {
			if len(pieces) != 1 {
				t.Errorf("after the refusal a request had %v", widths(pieces))
			}
		}
	})
}

func TestServersOperationLimitIsFoundAndKept(t *testing.T) {
	t.Parallel()
	const serverLimit = 23
	refusals := 0
	rule := func(pieces []*piece) error {
		if ops, _ := weigh(pieces); ops > serverLimit {
			refusals++
			return errTooManyOps
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		pieces := make(map[int]store.Txn)
		for w := 2; w < 20; w++ {
			pieces[w] = put(fmt.Sprint("key", w))
		}
		pieces[200] = put("too wide")
		b, _ := flood(t, 128, rule, pieces)
		for w := range pieces {
			if err := b.outcome(w); (w == 200) != errors.Is(err, grapnel.ErrTooLarge) || (w != 200 && err != nil) {
				t.Errorf("piece %d: %v", w, err)
			}
		}
		// The search goes on only as long as there is something to send.
		if got := b.ops.limit(); got > serverLimit+5 || got < 19 {
			t.Errorf("limit found is %d, that of the server %d", got, serverLimit)
		}
	})
	if refusals > 8 {
		t.Errorf("%d requests were refused on the way", refusals)
	}
}

func TestPieceTooLargeForTheServerFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pieces := somePieces(5)
		pieces[4] = store.Txn{Then: []store.Op{store.Put("big", make([]byte, 100<<10), 0)}}
		b, _ := flood(t, 128, func(pieces []*piece) error {
			if _, bytes := weigh(pieces); bytes > 50<<10 {
				return grapnel.ErrTooLarge
			}
			return nil
		}, pieces)
		for w := range pieces {
			if err := b.outcome(w); (w == 4) != errors.Is(err, grapnel.ErrTooLarge) || (w != 4 && err != nil) {
				t.Errorf("piece %d: %v", w, err)
			}
		}
	})
}

func TestCeilingConverges(t *testing.T) {
	t.Parallel()
	for limit := 1; limit <= 128; limit++ {
		c := ceiling{max: 128}
		for range 9 {
			if n := c.limit(); n <= limit {
				c.took(n)
			} else {
				c.denied(n)
			}
		}
		if c.limit() != limit {
			t.Errorf("found %d, want %d", c.limit(), limit)
		}
	}
	c := ceiling{max: 128}
	c.denied(64)
	c.took(100)
	if c.limit() != 128 {
		t.Errorf("limit %d after the server's was raised", c.limit())
	}
}
