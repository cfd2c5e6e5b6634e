package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/mutation"
	"github.com/grapnel-dev/grapnel/store"
)

// sender makes one request of the pieces: flat if there is one, nested if there
// are more. It returns a result for each, or an error that concerns the request
// as a whole.
type sender interface {
	send(pieces []*piece) ([]store.Result, error)
}

// piece is a commit on its way.
type piece struct {
	encoded
	foot footprint
	// alone is set once a request that it was part of was refused: it gets its
	// own answer.
	alone bool
	since time.Time

	next, prev *piece // guarded by batcher.mu
	queued     bool   // guarded by batcher.mu
	abandoned  bool   // guarded by batcher.mu; nobody waits for it any more

	done   chan struct{} // closed after result and err are set
	result store.Result
	err    error
}

// batcher makes commits share requests. Up to slots requests are under way; a
// commit that finds a free slot is sent at once, and those that arrive while
// all are taken wait and go together. There is no delay beyond that. The first
// slot is free to all; the others only while so many commits wait that requests
// of their own are worth it: more requests with fewer commits in each would cost
// etcd more than they would save anybody.
//
// Etcd does not isolate the pieces of a request from each other, so only pieces
// that do not touch what another writes share one. The oldest piece always goes
// with the next request, so none waits for ever.
type batcher struct {
	to      sender
	slots   int
	maxWait time.Duration

	mu     sync.Mutex
	head   *piece // oldest
	tail   *piece
	busy   int // slots taken
	queue  int // how many are queued
	ops    ceiling
	bytes  ceiling
	closed error
	area   territory // scratch of take

	wg sync.WaitGroup // the slots' goroutines
}

const (
	// group is how many commits have to wait for a second request, which etcd
	// takes in while it writes the first one to its log.
	group = 8
	// crowd is how many have to wait for a third one, or more.
	crowd = 32
)

// wanted reports whether one more slot is to be taken. Called with mu held.
func (b *batcher) wanted() bool {
	switch {
	case b.busy >= b.slots:
		return false
	case b.busy == 0:
		return true
	case b.busy == 1:
		return b.queue >= group
	}
	return b.queue >= crowd
}

// lookahead is how many queued pieces are considered for a request, as a
// multiple of the operations it can hold. It bounds the time spent when many
// pieces wait for the same key.
const lookahead = 4

func newBatcher(to sender, slots, maxOps, maxBytes int, maxWait time.Duration) *batcher {
	return &batcher{
		to: to, slots: slots, maxWait: maxWait,
		ops: ceiling{max: maxOps}, bytes: ceiling{max: maxBytes},
		area: make(territory),
	}
}

// commit queues a transaction and waits for its outcome or for ctx.
func (b *batcher) commit(ctx context.Context, e encoded, f footprint) (store.Result, error) {
	p := &piece{encoded: e, foot: f, since: time.Now(), done: make(chan struct{})}
	b.mu.Lock()
	if b.closed != nil {
		b.mu.Unlock()
		return store.Result{}, b.closed
	}
	b.pushBack(p)
	if b.wanted() {
		b.busy++
		b.wg.Go(b.run)
	}
	b.mu.Unlock()

	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return b.abandon(ctx, p)
	}
}

// abandon ends the wait for p because ctx has ended.
func (b *batcher) abandon(ctx context.Context, p *piece) (store.Result, error) {
	b.mu.Lock()
	if p.queued {
		b.remove(p)
		b.mu.Unlock()
		return store.Result{}, contextError(ctx)
	}
	p.abandoned = true
	b.mu.Unlock()
	select {
	case <-p.done:
		return p.result, p.err
	default:
		return store.Result{}, fmt.Errorf("%w: no longer waited for: %w", grapnel.ErrUnknown, contextError(ctx))
	}
}

// close fails what is queued with err and waits for the requests under way.
func (b *batcher) close(err error) {
	b.mu.Lock()
	b.closed = err
	for b.head != nil {
		p := b.head
		b.remove(p)
		p.fail(err)
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// run serves one slot until nothing is queued.
func (b *batcher) run() {
	for {
		pieces := b.take()
		if len(pieces) == 0 {
			return
		}
		results, err := b.to.send(pieces)
		b.settle(pieces, results, err)
	}
}

// take removes the pieces of the next request from the queue. If there are none
// it gives the slot back.
func (b *batcher) take() []*piece {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropStale()
	if b.busy--; b.head == nil || !b.wanted() {
		return nil
	}
	b.busy++
	first := b.head
	b.remove(first)
	if first.alone || b.head == nil {
		return []*piece{first}
	}

	maxOps, maxBytes := b.ops.limit(), b.bytes.limit()
	pieces := append(make([]*piece, 0, 16), first)
	widest, bytes := first.width, first.bytes
	clear(b.area)
	b.area.annex(first.foot)
	for p, seen := b.head, 0; p != nil && seen < lookahead*maxOps; seen++ {
		next := p.next
		if len(pieces)+1+widest > maxOps {
			break
		}
		if !p.alone &&
			len(pieces)+1+max(widest, p.width) <= maxOps &&
			bytes+p.bytes <= maxBytes &&
			b.area.admits(p.foot) {
			b.remove(p)
			b.area.annex(p.foot)
			pieces = append(pieces, p)
			widest = max(widest, p.width)
			bytes += p.bytes
		}
		p = next
	}
	return pieces
}

// dropStale fails pieces that have waited for so long that the store must be in
// trouble. They were not applied.
func (b *batcher) dropStale() {
	for b.head != nil && time.Since(b.head.since) > b.maxWait {
		p := b.head
		b.remove(p)
		p.fail(fmt.Errorf("%w: not applied: waited over %v for commits before it", grapnel.ErrUnavailable, b.maxWait))
	}
}

// settle hands out what became of a request.
func (b *batcher) settle(pieces []*piece, results []store.Result, err error) {
	weight, bytes := weigh(pieces)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.ops.took(weight)
		b.bytes.took(bytes)
		for i, p := range pieces {
			p.result = results[i]
			close(p.done)
		}
		return
	}

	limited := true
	switch {
	case errors.Is(err, errTooManyOps):
		b.ops.denied(weight)
	case errors.Is(err, grapnel.ErrTooLarge):
		b.bytes.denied(bytes)
	default:
		limited = false
	}
	if len(pieces) == 1 || b.closed != nil || concernsAll(err) {
		for _, p := range pieces {
			p.fail(err)
		}
		return
	}
	// The request was refused as a whole, for the fault of some piece or for
	// its size. Nothing was applied, so sending again is safe: in smaller
	// requests if it was the size, otherwise one by one, so that only the
	// offender sees the error.
	for _, p := range slices.Backward(pieces) {
		if !p.abandoned {
			p.alone = !limited
			b.pushFront(p)
		}
	}
}

// concernsAll reports whether the error of a request is that of each of its
// pieces. What was refused for a reason other than the connection may be the
// fault of one.
func concernsAll(err error) bool {
	return errors.Is(err, grapnel.ErrUnknown) || errors.Is(err, grapnel.ErrUnavailable) ||
		mutation.On(mutation.GroupCommitSharesErrors)
}

// weigh returns what etcd counts against its limits, flat or nested.
func weigh(pieces []*piece) (ops, bytes int) {
	for _, p := range pieces {
		ops = max(ops, p.width)
		bytes += p.bytes
	}
	if len(pieces) > 1 {
		ops += len(pieces)
	}
	return ops, bytes
}

func (p *piece) fail(err error) {
	p.err = err
	close(p.done)
}

func (b *batcher) pushBack(p *piece) {
	p.queued = true
	b.queue++
	p.prev, p.next = b.tail, nil
	if b.tail == nil {
		b.head = p
	} else {
		b.tail.next = p
	}
	b.tail = p
}

func (b *batcher) pushFront(p *piece) {
	p.queued = true
	b.queue++
	p.prev, p.next = nil, b.head
	if b.head == nil {
		b.tail = p
	} else {
		b.head.prev = p
	}
	b.head = p
}

func (b *batcher) remove(p *piece) {
	if p.prev == nil {
		b.head = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		b.tail = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.next, p.prev, p.queued = nil, nil, false
	b.queue--
}
