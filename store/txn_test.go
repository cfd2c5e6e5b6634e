package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

func TestUsableTransactionsAreValid(t *testing.T) {
	t.Parallel()
	for name, txn := range map[string]store.Txn{
		"empty": {},
		"each guard": {If: []store.Guard{
			store.Absent("a"), store.Exists("a"), store.ModIs("a", 1), store.CreateIs("a", 0), store.CreateIsNot("a", 1), store.PrefixEmpty("a"),
		}},
		"each operation": {Then: []store.Op{
			store.Put("a", nil, 1), store.Delete("b"), store.DeletePrefix("c/"), store.Get("a"), store.GetFirst("c/"),
		}},
		"both branches write a key":        {Then: []store.Op{store.Put("a", nil, 0)}, Else: []store.Op{store.Delete("a")}},
		"a key read as often as one likes": {Then: []store.Op{store.Get("a"), store.Put("a", nil, 0), store.Get("a"), store.GetFirst("a")}},
		"keys beside a deleted prefix":     {Then: []store.Op{store.DeletePrefix("a/"), store.Put("a", nil, 0), store.Put("a0", nil, 0)}},
	} {
		if err := txn.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTransactionsThatNoStoreCouldApplyAreInvalid(t *testing.T) {
	t.Parallel()
	put := store.Put("a", nil, 0)
	branches := map[string][]store.Op{
		"put without a key":           {store.Put("", nil, 0)},
		"delete without a key":        {store.Delete("")},
		"delete of all keys":          {store.DeletePrefix("")},
		"get without a key":           {put, store.Get("")},
		"first of all keys":           {store.GetFirst("")},
		"no kind":                     {{Key: "a"}},
		"unknown kind":                {{Kind: store.OpGetFirst + 1, Key: "a"}},
		"put twice":                   {put, put},
		"put and deleted":             {put, store.Get("b"), store.Delete("a")},
		"deleted twice":               {store.Delete("a"), store.Delete("a")},
		"put under a deleted prefix":  {store.DeletePrefix("a"), store.Put("a/b", nil, 0)},
		"prefix deleted after a put":  {store.Put("a/b", nil, 0), store.DeletePrefix("a/")},
		"prefix deleted in another":   {store.DeletePrefix("a/b/"), store.DeletePrefix("a/")},
		"same prefix deleted twice":   {store.DeletePrefix("a/"), store.DeletePrefix("a/")},
		"prefix that is a key as put": {store.DeletePrefix("a"), put},
	}
	txns := map[string]store.Txn{
		"guard without a key":        {If: []store.Guard{store.Exists("")}},
		"emptiness of all keys":      {If: []store.Guard{store.PrefixEmpty("")}},
		"guard of no kind":           {If: []store.Guard{{Key: "a"}}},
		"guard of unknown kind":      {If: []store.Guard{{Kind: store.GuardPrefixEmpty + 1, Key: "a"}}},
		"second guard without a key": {If: []store.Guard{store.Exists("a"), store.Absent("")}},
	}
	for name, ops := range branches {
		txns["then: "+name] = store.Txn{Then: ops}
		txns["else: "+name] = store.Txn{Then: []store.Op{put}, Else: ops}
	}
	for name, txn := range txns {
		if err := txn.Validate(); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// words are all keys of up to n letters of "ab/".
func words(n int) []string {
	all := []string{""}
	for range n {
		for _, w := range slices.Clone(all) {
			for _, c := range []string{"a", "b", "/"} {
				if !slices.Contains(all, w+c) {
					all = append(all, w+c)
				}
			}
		}
	}
	return all[1:]
}

// TestABranchIsInvalidIfTwoOperationsCouldWriteOneKey compares with the
// definition: whether there is such a key.
func TestABranchIsInvalidIfTwoOperationsCouldWriteOneKey(t *testing.T) {
	t.Parallel()
	names := words(2)
	keys := words(4)
	writes := func(o store.Op, key string) bool {
		switch o.Kind {
		case store.OpPut, store.OpDelete:
			return key == o.Key
		case store.OpDeletePrefix:
			return strings.HasPrefix(key, o.Key)
		}
		return false
	}
	op := rapid.Custom(func(t *rapid.T) store.Op {
		return store.Op{
			Kind: rapid.SampledFrom([]store.OpKind{store.OpPut, store.OpDelete, store.OpDeletePrefix, store.OpGet, store.OpGetFirst}).Draw(t, "kind"),
			Key:  rapid.SampledFrom(names).Draw(t, "key"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		ops := rapid.SliceOfN(op, 0, 4).Draw(t, "ops")
		want := slices.ContainsFunc(keys, func(key string) bool {
			n := 0
			for _, o := range ops {
				if writes(o, key) {
					n++
				}
			}
			return n > 1
		})
		for _, txn := range []store.Txn{{Then: ops}, {Else: ops}} {
			if err := txn.Validate(); (err != nil) != want {
				t.Errorf("Validate: %v, want an error: %t", err, want)
			}
		}
	})
}
