package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// provider stands in for a payment provider behind a bad network. Of each
// payment, the first request does not arrive; the second one does, but its answer
// is lost. Like real ones it keeps a ledger by idempotency key, so that a request
// that comes again is answered and not carried out again.
type provider struct {
	mu       sync.Mutex
	requests map[string]int     // guarded by mu; by key
	ledger   map[string]booking // guarded by mu; by key
}

type booking struct {
	number string
	order  string
	cents  int
}

var (
	errUnreachable = errors.New("payment provider cannot be reached")
	errNoAnswer    = errors.New("payment provider did not answer in time")
	errDeclined    = errors.New("the card was declined")
)

func newProvider() *provider {
	return &provider{requests: map[string]int{}, ledger: map[string]booking{}}
}

// charge books a payment, once per key.
func (p *provider) charge(key string, pay Payment) (booking, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests[key]++
	if p.requests[key] == 1 {
		return booking{}, errUnreachable
	}
	if pay.Card == declinedCard {
		return booking{}, errDeclined
	}
	b, ok := p.ledger[key]
	if !ok {
		b = booking{number: "R-" + pay.Order, order: pay.Order, cents: pay.Cents}
		p.ledger[key] = b
	}
	if p.requests[key] == 2 {
		return booking{}, errNoAnswer // the money is gone, and nobody has been told
	}
	return b, nil
}

const declinedCard = "4000 0000 0000 0002"

// bookings returns what was booked, by order.
func (p *provider) bookings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for b := range maps.Values(p.ledger) {
		lines = append(lines, fmt.Sprintf("%s  %s", b.order, euros(b.cents)))
	}
	slices.Sort(lines)
	return lines
}

func euros(cents int) string { return fmt.Sprintf("%d.%02d €", cents/100, cents%100) }
