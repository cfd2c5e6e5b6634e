package main

import (
	"time"

	"github.com/grapnel-dev/grapnel/workflow"
)

// Order is the workflow's input.
type Order struct {
	ID       string   `json:"id"`
	Customer Customer `json:"customer"`
	Lines    []Line   `json:"lines"`
}

// Customer pays and gets the goods.
type Customer struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Card  string `json:"card"`
}

// Line is some pieces of one article.
type Line struct {
	Article string `json:"article"`
	Pieces  int    `json:"pieces"`
}

// Reservation is what the stock has put aside for an order.
type Reservation struct {
	Order string `json:"order"`
	Lines []Line `json:"lines"`
}

// Payment is what the payment provider is asked for.
type Payment struct {
	Order string `json:"order"`
	Card  string `json:"card"`
	Cents int    `json:"cents"`
}

// Receipt is what the payment provider answers.
type Receipt struct {
	Number string `json:"number"`
	Cents  int    `json:"cents"`
	// Attempt is the number of the attempt that got the answer.
	Attempt int `json:"attempt"`
}

// Parcel is what the warehouse sends off.
type Parcel struct {
	To    string      `json:"to"`
	Goods Reservation `json:"goods"`
}

// Mail is a message for the customer.
type Mail struct {
	To       string `json:"to"`
	Subject  string `json:"subject"`
	Tracking string `json:"tracking"`
	Cents    int    `json:"cents"`
}

// Confirmation is the workflow's output.
type Confirmation struct {
	Receipt  Receipt `json:"receipt"`
	Tracking string  `json:"tracking"`
}

// The contracts of the tasks. A program that starts orders needs these and the
// workflow; what implements them is in shop.go.
var (
	price   = workflow.NewTask[[]Line, int]("price")
	reserve = workflow.NewTask[Reservation, Reservation]("reserve")
	// The provider is on the other side of a network: an attempt may take 5 s, and
	// a failed one is repeated, but not one that was refused.
	charge = workflow.NewTask[Payment, Receipt]("charge",
		workflow.StartToClose(5*time.Second),
		workflow.Retry(workflow.RetryPolicy{Attempts: 5, Backoff: 20 * time.Millisecond, NonRetryable: []string{kindDeclined}}))
	ship = workflow.NewTask[Parcel, string]("ship")
	mail = workflow.NewTask[Mail, workflow.None]("mail",
		workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
)

// Kinds of failures, for programs to tell apart.
const (
	kindUnknownArticle = "unknown-article"
	kindOutOfStock     = "out-of-stock"
	kindDeclined       = "card-declined"
)

type v[T any] = workflow.Value[T]

// fulfil is the workflow: price and stock are looked up at the same time, the
// customer pays once both are known, and gets the parcel, and then the mail.
var fulfil = workflow.New("fulfil", func(g *workflow.Graph, order v[Order]) v[Confirmation] {
	id := workflow.Field(order, func(o *Order) *string { return &o.ID })
	lines := workflow.Field(order, func(o *Order) *[]Line { return &o.Lines })
	email := workflow.Field(order, func(o *Order) *string { return &o.Customer.Email })

	total := workflow.Do(g, price, lines)
	reserved := workflow.Do(g, reserve, workflow.Struct(g, "reservation", func(s *workflow.Setter, r *Reservation) {
		workflow.Set(s, &r.Order, id)
		workflow.Set(s, &r.Lines, lines)
	}))
	receipt := workflow.Do(g, charge, workflow.Struct(g, "payment", func(s *workflow.Setter, p *Payment) {
		workflow.Set(s, &p.Order, id)
		workflow.Set(s, &p.Card, workflow.Field(order, func(o *Order) *string { return &o.Customer.Card }))
		workflow.Set(s, &p.Cents, total)
	}), workflow.After(reserved)) // nobody pays for what is not there
	tracking := workflow.Do(g, ship, workflow.Struct(g, "parcel", func(s *workflow.Setter, p *Parcel) {
		workflow.Set(s, &p.To, workflow.Field(order, func(o *Order) *string { return &o.Customer.Name }))
		workflow.Set(s, &p.Goods, reserved)
	}), workflow.After(receipt)) // nothing is sent that is not paid
	workflow.Do(g, mail, workflow.Struct(g, "thanks", func(s *workflow.Setter, m *Mail) {
		m.Subject = "Your order is on its way"
		workflow.Set(s, &m.To, email)
		workflow.Set(s, &m.Tracking, tracking)
		workflow.Set(s, &m.Cents, workflow.Field(receipt, func(r *Receipt) *int { return &r.Cents }))
	}))
	return workflow.Struct(g, "confirmation", func(s *workflow.Setter, c *Confirmation) {
		workflow.Set(s, &c.Receipt, receipt)
		workflow.Set(s, &c.Tracking, tracking)
	})
})
