package coordinator

// heap keeps elements so that the first one is at hand. Each element knows its
// slot, so it can be moved and taken out.
type heap[T any] struct {
	all    []T
	before func(a, b T) bool
	moved  func(e T, slot int) // the element is at all[slot] now, or, with -1, out
}

func (h *heap[T]) push(e T) {
	h.all = append(h.all, e)
	h.moved(e, len(h.all)-1)
	h.up(len(h.all) - 1)
}

// remove takes out the element at a slot.
func (h *heap[T]) remove(slot int) {
	e, last := h.all[slot], len(h.all)-1
	h.swap(slot, last)
	var zero T
	h.all[last] = zero
	h.all = h.all[:last]
	h.moved(e, -1)
	if slot < last {
		h.fix(slot)
	}
}

// fix puts the element at a slot where it belongs after it has changed.
func (h *heap[T]) fix(slot int) {
	h.down(slot)
	h.up(slot)
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(h.all[i], h.all[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.all); child++ {
			if h.before(h.all[child], h.all[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *heap[T]) swap(i, j int) {
	if i == j {
		return
	}
	h.all[i], h.all[j] = h.all[j], h.all[i]
	h.moved(h.all[i], i)
	h.moved(h.all[j], j)
}
