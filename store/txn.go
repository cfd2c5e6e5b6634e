package store

import (
	"fmt"

	"github.com/grapnel-dev/grapnel"
)

// Txn is a guarded change: if every guard holds, Then is applied, otherwise
// Else. Then and Else are each done in order. A key is written at most once by
// Then, and at most once by Else.
type Txn struct {
	If   []Guard
	Then []Op
	Else []Op
}

// Result is what a commit did.
type Result struct {
	// Succeeded is set when all guards held and Then was applied.
	Succeeded bool
	// Revision is the revision the commit made, or the current one if it wrote
	// nothing.
	Revision grapnel.Revision
	// Reads has an entry for each operation of the branch that was applied;
	// only those of gets mean anything.
	Reads []Read
}

// Read is what a get found.
type Read struct {
	KV    KV
	Found bool
}

// GuardKind is what a guard compares. See the functions that make guards.
type GuardKind uint8

// Kinds of guards.
const (
	GuardAbsent GuardKind = iota + 1
	GuardExists
	GuardModIs
	GuardCreateIs
	GuardCreateIsNot
	GuardPrefixEmpty
)

// Guard is a condition of a [Txn]. The zero value holds never; use the
// functions.
type Guard struct {
	Kind GuardKind
	Key  string // for GuardPrefixEmpty, the prefix
	Rev  grapnel.Revision
}

// Absent holds if there is no such key. It is the one guard that must not be
// sent again after an unknown outcome.
func Absent(key string) Guard { return Guard{Kind: GuardAbsent, Key: key} }

// Exists holds if there is such a key.
func Exists(key string) Guard { return Guard{Kind: GuardExists, Key: key} }

// ModIs holds if the key was last changed at rev; with rev zero, if it is
// absent.
func ModIs(key string, rev grapnel.Revision) Guard {
	return Guard{Kind: GuardModIs, Key: key, Rev: rev}
}

// CreateIs holds if the key was created at rev; with rev zero, if it is absent.
func CreateIs(key string, rev grapnel.Revision) Guard {
	return Guard{Kind: GuardCreateIs, Key: key, Rev: rev}
}

// CreateIsNot holds if the key is absent or was created at another revision.
func CreateIsNot(key string, rev grapnel.Revision) Guard {
	return Guard{Kind: GuardCreateIsNot, Key: key, Rev: rev}
}

// PrefixEmpty holds if no key begins with prefix.
func PrefixEmpty(prefix string) Guard { return Guard{Kind: GuardPrefixEmpty, Key: prefix} }

// OpKind is what an operation does. See the functions that make operations.
type OpKind uint8

// Kinds of operations.
const (
	OpPut OpKind = iota + 1
	OpDelete
	OpDeletePrefix
	OpGet
	OpGetFirst
)

// Op is a step of a [Txn].
type Op struct {
	Kind  OpKind
	Key   string // for OpDeletePrefix and OpGetFirst, the prefix
	Value []byte
	Lease LeaseID
}

// Put writes a key and binds it to lease; with lease zero it is detached from
// the one it had.
func Put(key string, value []byte, lease LeaseID) Op {
	return Op{Kind: OpPut, Key: key, Value: value, Lease: lease}
}

// Delete deletes a key, if it is there.
func Delete(key string) Op { return Op{Kind: OpDelete, Key: key} }

// DeletePrefix deletes all keys that begin with prefix.
func DeletePrefix(prefix string) Op { return Op{Kind: OpDeletePrefix, Key: prefix} }

// Get reads a key.
func Get(key string) Op { return Op{Kind: OpGet, Key: key} }

// GetFirst reads the first of the keys that begin with prefix.
func GetFirst(prefix string) Op { return Op{Kind: OpGetFirst, Key: prefix} }

// Writes reports whether the operation may change the store.
func (o Op) Writes() bool { return o.Kind == OpPut || o.Kind == OpDelete || o.Kind == OpDeletePrefix }

// Validate returns an error that wraps [grapnel.ErrInvalid] if no store could
// ever apply t: an empty key, an unknown guard or operation, or a key that one
// branch writes twice.
func (t Txn) Validate() error {
	for _, g := range t.If {
		if g.Key == "" {
			return fmt.Errorf("%w: guard without a key", grapnel.ErrInvalid)
		}
		if g.Kind < GuardAbsent || g.Kind > GuardPrefixEmpty {
			return fmt.Errorf("%w: guard of unknown kind %d on %q", grapnel.ErrInvalid, g.Kind, g.Key)
		}
	}
	if err := validateBranch(t.Then); err != nil {
		return err
	}
	return validateBranch(t.Else)
}

func validateBranch(ops []Op) error {
	for i, o := range ops {
		if o.Key == "" {
			return fmt.Errorf("%w: operation without a key", grapnel.ErrInvalid)
		}
		if o.Kind < OpPut || o.Kind > OpGetFirst {
			return fmt.Errorf("%w: operation of unknown kind %d on %q", grapnel.ErrInvalid, o.Kind, o.Key)
		}
		for _, p := range ops[:i] {
			if overlap(o, p) {
				return fmt.Errorf("%w: %q is written twice in one branch of a transaction", grapnel.ErrInvalid, o.Key)
			}
		}
	}
	return nil
}
