package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// shop implements the tasks. What it knows stands in for the systems that a real
// one would ask.
type shop struct {
	prices   map[string]int // cents by article
	provider *provider

	mu       sync.Mutex
	stock    map[string]int         // guarded by mu; pieces by article
	reserved map[string]Reservation // guarded by mu; by order
	mails    map[string]Mail        // guarded by mu; by idempotency key
}

func newShop() *shop {
	return &shop{
		prices:   map[string]int{"mug": 1200, "teapot": 3000, "kettle": 4500},
		stock:    map[string]int{"mug": 10, "teapot": 2, "kettle": 1},
		provider: newProvider(), reserved: map[string]Reservation{}, mails: map[string]Mail{},
	}
}

// register gives a worker the tasks.
func (s *shop) register(w *worker.Worker) {
	worker.Handle(w, price, s.price)
	worker.Handle(w, reserve, s.reserve)
	worker.Handle(w, charge, s.charge)
	worker.Handle(w, ship, s.ship)
	worker.Handle(w, mail, s.mail)
}

func (s *shop) price(_ context.Context, lines []Line) (int, error) {
	total := 0
	for _, l := range lines {
		cents, ok := s.prices[l.Article]
		if !ok {
			return 0, task.Fail(kindUnknownArticle, fmt.Errorf("there is no article %q", l.Article))
		}
		total += l.Pieces * cents
	}
	return total, nil
}

// reserve may run more than once for an order, like every task: when its worker
// is taken for dead, or its first result is lost. So it looks first whether it
// was there before.
func (s *shop) reserve(_ context.Context, want Reservation) (Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.reserved[want.Order]; ok {
		return r, nil
	}
	need := map[string]int{}
	for _, l := range want.Lines {
		need[l.Article] += l.Pieces
		if need[l.Article] > s.stock[l.Article] {
			return want, task.Fail(kindOutOfStock, fmt.Errorf("%d × %s wanted, %d there", need[l.Article], l.Article, s.stock[l.Article]))
		}
	}
	for article, pieces := range need {
		s.stock[article] -= pieces
	}
	s.reserved[want.Order] = want
	return want, nil
}

// charge sends the idempotency key along, which is the same for all attempts.
func (s *shop) charge(ctx context.Context, p Payment) (Receipt, error) {
	info := task.InfoFrom(ctx)
	b, err := s.provider.charge(info.IdempotencyKey, p)
	if errors.Is(err, errDeclined) {
		// The kind is one that the task's retry policy does not retry.
		return Receipt{}, &workflow.Failure{Kind: kindDeclined, Message: err.Error(), Node: -1}
	}
	if err != nil {
		return Receipt{}, err // tried again, after a while
	}
	return Receipt{Number: b.number, Cents: b.cents, Attempt: info.Attempt}, nil
}

func (s *shop) ship(_ context.Context, p Parcel) (string, error) {
	return "T-" + p.Goods.Order, nil
}

func (s *shop) mail(ctx context.Context, m Mail) (workflow.None, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails[task.InfoFrom(ctx).IdempotencyKey] = m
	return workflow.None{}, nil
}

// setAside lists what is reserved, by order.
func (s *shop) setAside() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for order, r := range s.reserved {
		lines = append(lines, order+"  "+describe(r.Lines))
	}
	slices.Sort(lines)
	return lines
}

// letters lists the mails.
func (s *shop) letters() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, m := range s.mails {
		lines = append(lines, fmt.Sprintf("%s: %s (%s, %s)", m.To, m.Subject, m.Tracking, euros(m.Cents)))
	}
	slices.Sort(lines)
	return lines
}

func describe(lines []Line) string {
	var parts []string
	for _, l := range lines {
		parts = append(parts, fmt.Sprintf("%d × %s", l.Pieces, l.Article))
	}
	return strings.Join(parts, ", ")
}
