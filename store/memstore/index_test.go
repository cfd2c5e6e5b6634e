package memstore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestIndexIsASortedSet compares the index with a sorted slice, with enough keys
// for several blocks.
func TestIndexIsASortedSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var x index
		var want []string
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range rapid.SampledFrom([]int{0, 1, blockSize, blockSize + 1, 5 * blockSize}).Draw(t, "keys") {
			key := fmt.Sprintf("%x", rng.IntN(1<<20))
			x.insert(key)
			x.insert(key)
			want = append(want, key)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		part := rapid.IntRange(1, 4).Draw(t, "part")
		i := -1
		want = slices.DeleteFunc(want, func(key string) bool {
			if i++; i%part == 0 && part < 4 {
				x.remove(key)
				return true
			}
			return false
		})
		x.remove("none")
		prefix := rapid.SampledFrom([]string{"", "1", "a", "f", "ff", "x"}).Draw(t, "prefix")
		first := rapid.SampledFrom([]string{"", "1", "17", "9", "aa", "ffff"}).Draw(t, "first")
		want = slices.DeleteFunc(want, func(key string) bool { return !strings.HasPrefix(key, prefix) || key < first })
		if got := slices.Collect(x.from(prefix, first)); !slices.Equal(got, want) {
			t.Fatalf("%d keys from %q with %q, want %d:\n%q\n%q", len(got), first, prefix, len(want), got, want)
		}
	})
}
