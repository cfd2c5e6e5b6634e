package memstore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/grapnel-dev/grapnel/store"
)

// BenchmarkNewKey puts and deletes keys between 100,000 others.
func BenchmarkNewKey(b *testing.B) {
	s := open(b)
	name := func(n int) string { return fmt.Sprintf("/grapnel/default/run/%08x/head", n) }
	rng := rand.New(rand.NewPCG(1, 1))
	do := func(op store.Op) {
		if _, err := s.Commit(b.Context(), store.Txn{Then: []store.Op{op}}); err != nil {
			b.Fatal(err)
		}
	}
	for range 100_000 {
		do(store.Put(name(int(rng.Uint32())), nil, 0))
	}
	for b.Loop() {
		key := name(int(rng.Uint32()))
		do(store.Put(key, nil, 0))
		do(store.Delete(key))
	}
}
