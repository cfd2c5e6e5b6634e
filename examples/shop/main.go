// Command shop is a small server for the workflow beside it: a catalogue, stock,
// and orders to a supplier, all of it in memory. It is as unreliable as servers
// are: it answers each first question after an item's stock with 503. An order
// that comes twice with the same Idempotency-Key is booked once.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8099", "`host:port`; port 0 takes a free one")
	flag.Parse()
	token := os.Getenv("SHOP_TOKEN")
	if token == "" {
		log.Fatal("set SHOP_TOKEN to what orders have to come with")
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	if err := http.Serve(l, newShop(token)); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// item is what there is of one thing.
type item struct {
	ID    string `json:"id"`
	Stock int    `json:"stock"`
	Want  int    `json:"want"` // how many there should be
}

// order is an order to the supplier.
type order struct {
	Number int    `json:"number"`
	Item   string `json:"item"`
	Count  int    `json:"count"`
}

// shop is the server's state.
type shop struct {
	token string
	items []item

	mu     sync.Mutex
	asked  map[string]bool  // guarded by mu; items whose stock was asked for
	orders map[string]order // guarded by mu; by idempotency key
}

func newShop(token string) http.Handler {
	s := &shop{
		token: token, asked: map[string]bool{}, orders: map[string]order{},
		items: []item{{"anchor", 12, 10}, {"buoy", 3, 20}, {"compass", 0, 5}, {"rope", 100, 80}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items", s.list)
	mux.HandleFunc("GET /items/{id}", s.stock)
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /orders", s.booked)
	return mux
}

// list answers with the ids of all items.
func (s *shop) list(w http.ResponseWriter, _ *http.Request) {
	ids := []string{}
	for _, it := range s.items {
		ids = append(ids, it.ID)
	}
	reply(w, http.StatusOK, ids)
}

// stock answers with an item, from the second question on.
func (s *shop) stock(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	asked := s.asked[id]
	s.asked[id] = true
	s.mu.Unlock()
	if !asked {
		http.Error(w, "counting, come again", http.StatusServiceUnavailable)
		return
	}
	for _, it := range s.items {
		if it.ID == id {
			reply(w, http.StatusOK, it)
			return
		}
	}
	http.NotFound(w, r)
}

// order books an order, once for each key.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || key == "" {
		http.Error(w, "an order needs a body in JSON and an Idempotency-Key", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.orders[key]; ok {
		reply(w, http.StatusOK, known)
		return
	}
	o.Number = len(s.orders) + 1
	s.orders[key] = o
	reply(w, http.StatusCreated, o)
}

// booked answers with how many of which item were ordered.
func (s *shop) booked(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, o := range s.orders {
		counts[o.Item] += o.Count
	}
	reply(w, http.StatusOK, counts)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Print(err)
	}
}
