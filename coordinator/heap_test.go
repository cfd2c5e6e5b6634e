package coordinator

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAHeapGivesItsElementsInOrder(t *testing.T) {
	t.Parallel()
	type element struct{ rank, slot int }
	rapid.Check(t, func(t *rapid.T) {
		h := heap[*element]{
			before: func(a, b *element) bool { return a.rank < b.rank },
			moved:  func(e *element, slot int) { e.slot = slot },
		}
		var in []*element
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, max(len(in)-1, 0)).Draw(t, "which")
			switch op := rapid.IntRange(0, 3).Draw(t, "op"); {
			case op <= 1 || len(in) == 0:
				e := &element{rank: rapid.IntRange(0, 9).Draw(t, "rank")}
				in = append(in, e)
				h.push(e)
			case op == 2:
				h.remove(in[i].slot)
				if in[i].slot != -1 {
					t.Fatalf("an element that was removed is in slot %d", in[i].slot)
				}
				in = slices.Delete(in, i, i+1)
			default:
				in[i].rank = rapid.IntRange(0, 9).Draw(t, "new rank")
				h.fix(in[i].slot)
			}
			if len(h.all) != len(in) {
				t.Fatalf("%d elements, want %d", len(h.all), len(in))
			}
			for slot, e := range h.all {
				if e.slot != slot {
					t.Fatalf("the element in slot %d believes to be in %d", slot, e.slot)
				}
			}
			for _, e := range in {
				if h.all[0].rank > e.rank {
					t.Fatalf("the first has rank %d, another %d", h.all[0].rank, e.rank)
				}
			}
		}
	})
}
