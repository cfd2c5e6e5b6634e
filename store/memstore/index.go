package memstore

import (
	"iter"
	"slices"
	"sort"
	"strings"
)

// blockSize is how many keys a block of an index holds before it is split. It
// trades the cost of moving keys within a block for that of moving blocks.
const blockSize = 512

// index is a sorted set of keys, in blocks so that an insertion among many keys
// moves few. The zero value is empty.
type index struct {
	blocks [][]string // none empty; each block's keys are before the next one's
}

// block returns the place of the block that key is in or belongs into.
func (x *index) block(key string) int {
	after := sort.Search(len(x.blocks), func(i int) bool { return x.blocks[i][0] > key })
	return max(after-1, 0)
}

// insert adds a key. It may be there already.
func (x *index) insert(key string) {
	if len(x.blocks) == 0 {
		x.blocks = [][]string{{key}}
		return
	}
	b := x.block(key)
	i, found := slices.BinarySearch(x.blocks[b], key)
	if found {
		return
	}
	block := slices.Insert(x.blocks[b], i, key)
	x.blocks[b] = block
	if half := len(block) / 2; len(block) > blockSize {
		x.blocks[b] = slices.Clip(block[:half])
		x.blocks = slices.Insert(x.blocks, b+1, slices.Clone(block[half:]))
	}
}

// remove takes a key out, if it is there.
func (x *index) remove(key string) {
	if len(x.blocks) == 0 {
		return
	}
	b := x.block(key)
	i, found := slices.BinarySearch(x.blocks[b], key)
	if !found {
		return
	}
	if x.blocks[b] = slices.Delete(x.blocks[b], i, i+1); len(x.blocks[b]) == 0 {
		x.blocks = slices.Delete(x.blocks, b, b+1)
	}
}

// from returns the keys that begin with prefix and are not before first, in
// order. The index must not change meanwhile.
func (x *index) from(prefix, first string) iter.Seq[string] {
	first = max(prefix, first)
	return func(yield func(string) bool) {
		if len(x.blocks) == 0 {
			return
		}
		b := x.block(first)
		i, _ := slices.BinarySearch(x.blocks[b], first)
		for ; b < len(x.blocks); b, i = b+1, 0 {
			for _, key := range x.blocks[b][i:] {
				if !strings.HasPrefix(key, prefix) || !yield(key) {
					return
				}
			}
		}
	}
}
