package main

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOrdersAreFulfilledAsTheReadmeSays(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/output.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the output is\n%s\nnot\n%s", out.String(), want)
	}
}

func TestWorkflowHasNoMistakes(t *testing.T) {
	t.Parallel()
	def, err := fulfil.Definition()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range def.Nodes {
		names = append(names, n.Name)
	}
	if len(names) != 5 {
		t.Errorf("the nodes are %v", names)
	}
}

func TestLostAnswerDoesNotMakeTheCustomerPayTwice(t *testing.T) {
	t.Parallel()
	p := newProvider()
	pay := Payment{Order: "A-9", Card: "4242", Cents: 100}
	for _, want := range []error{errUnreachable, errNoAnswer, nil, nil} {
		if _, err := p.charge("key", pay); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if got := p.bookings(); len(got) != 1 {
		t.Errorf("booked %v", got)
	}
	for range 3 { // another key is another payment
		_, _ = p.charge("other key", pay) // fails as above
	}
	if got := p.bookings(); len(got) != 2 {
		t.Errorf("booked %v", got)
	}
}

func TestReservingTwiceTakesFromTheStockOnce(t *testing.T) {
	t.Parallel()
	s := newShop()
	r := Reservation{Order: "A-9", Lines: []Line{{"mug", 4}, {"mug", 4}}}
	for range 2 {
		if _, err := s.reserve(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if s.stock["mug"] != 2 {
		t.Errorf("%d mugs are left of 10", s.stock["mug"])
	}
	r.Order = "A-10"
	_, err := s.reserve(t.Context(), r)
	if f := workflow.FailureOf(err); f == nil || f.Kind != kindOutOfStock || !f.Permanent {
		t.Errorf("more than there is: %v", err)
	}
	if s.stock["mug"] != 2 {
		t.Errorf("%d mugs are left after a reservation that failed", s.stock["mug"])
	}
}

func TestArticleWithoutPriceIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	_, err := newShop().price(t.Context(), []Line{{"samovar", 1}})
	if f := workflow.FailureOf(err); f == nil || f.Kind != kindUnknownArticle || !f.Permanent {
		t.Errorf("got %v", err)
	}
}
