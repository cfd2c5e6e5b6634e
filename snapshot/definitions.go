package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// maxDefinition is the largest encoded definition, in bytes. Etcd refuses
// requests over 1.5 MiB.
const maxDefinition = 1 << 20

// Definitions finds definitions by their hash and remembers them. Use
// [NewDefinitions]. It is safe for concurrent use.
type Definitions struct {
	st   store.Store
	keys store.Keys

	mu     sync.Mutex
	known  map[string]known // guarded by mu, by hash
	stored map[string]bool  // guarded by mu; those this process has put or seen as they are here
}

// known is a definition as of the revision that put it: an answer that comes
// late must not bring older policies back.
type known struct {
	def *workflow.Definition
	mod grapnel.Revision
}

// NewDefinitions returns the definitions of a namespace.
func NewDefinitions(st store.Store, keys store.Keys) *Definitions {
	return &Definitions{st: st, keys: keys, known: map[string]known{}, stored: map[string]bool{}}
}

// Get returns the definition with this hash. If it is not stored the error
// wraps [grapnel.ErrWrongDefinition].
func (d *Definitions) Get(ctx context.Context, hash string) (*workflow.Definition, error) {
	d.mu.Lock()
	def := d.known[hash].def
	d.mu.Unlock()
	if def != nil {
		return def, nil
	}
	kv, err := d.st.Get(ctx, d.keys.Definition(hash))
	if errors.Is(err, grapnel.ErrNotFound) {
		return nil, fmt.Errorf("%w: no definition %s is stored", grapnel.ErrWrongDefinition, hash)
	}
	if err != nil {
		return nil, fmt.Errorf("get definition %s: %w", hash, err)
	}
	return d.learn(hash, kv)
}

// Learn takes in a definition as it was listed or watched.
func (d *Definitions) Learn(kv store.KV) error {
	hash, ok := strings.CutPrefix(kv.Key, d.keys.Definitions())
	if !ok {
		return fmt.Errorf("%w: %q is no definition's key", grapnel.ErrInvalid, kv.Key)
	}
	_, err := d.learn(hash, kv)
	return err
}

func (d *Definitions) learn(hash string, kv store.KV) (*workflow.Definition, error) {
	def, err := DecodeDefinition(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", kv.Key, err)
	}
	if def.Hash() != hash {
		return nil, fmt.Errorf("%w: key %q holds definition %s", grapnel.ErrCorrupt, kv.Key, def.Hash())
	}
	return d.remember(hash, def, kv.Mod), nil
}

// remember takes note of a definition and returns the newest one.
func (d *Definitions) remember(hash string, def *workflow.Definition, mod grapnel.Revision) *workflow.Definition {
	d.mu.Lock()
	defer d.mu.Unlock()
	if mod >= d.known[hash].mod {
		d.known[hash] = known{def, mod}
	}
	return d.known[hash].def
}

// Ensure stores def if it is not stored, or stored with other policies; it does
// so once per process. Errors wrap [grapnel.ErrTooLarge] if it is over 1 MiB,
// or are those of the store.
func (d *Definitions) Ensure(ctx context.Context, def *workflow.Definition) error {
	hash := def.Hash()
	d.mu.Lock()
	done := d.stored[hash]
	d.mu.Unlock()
	if done {
		return nil
	}
	value, err := EncodeDefinition(def)
	if err != nil {
		return err
	}
	if len(value) > maxDefinition {
		return fmt.Errorf("%w: definition of workflow %s has %d bytes, at most %d are allowed", grapnel.ErrTooLarge, def.Name, len(value), maxDefinition)
	}
	key := d.keys.Definition(hash)
	kv, err := d.st.Get(ctx, key)
	if err != nil && !errors.Is(err, grapnel.ErrNotFound) {
		return fmt.Errorf("store definition of workflow %s: %w", def.Name, err)
	}
	mod := kv.Mod
	if err != nil || !bytes.Equal(kv.Value, value) {
		// Whoever writes last announces the policies; that is harmless to repeat.
		t := store.Txn{Then: []store.Op{store.Put(key, value, 0)}}
		res, err := store.Settle(ctx, d.st, t)
		if err != nil {
			return fmt.Errorf("store definition of workflow %s: %w", def.Name, err)
		}
		mod = res.Revision
	}
	d.remember(hash, def, mod)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stored[hash] = true
	return nil
}
