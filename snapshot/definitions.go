package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	known  map[string]*workflow.Definition // guarded by mu
	stored map[string]bool                 // guarded by mu; those this process has put or seen as they are here
}

// NewDefinitions returns the definitions of a namespace.
func NewDefinitions(st store.Store, keys store.Keys) *Definitions {
	return &Definitions{st: st, keys: keys, known: map[string]*workflow.Definition{}, stored: map[string]bool{}}
}

// Get returns the definition with this hash. If it is not stored the error
// wraps [grapnel.ErrWrongDefinition].
func (d *Definitions) Get(ctx context.Context, hash string) (*workflow.Definition, error) {
	d.mu.Lock()
	def := d.known[hash]
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
	rest, ok := bytes.CutPrefix([]byte(kv.Key), []byte(d.keys.Definitions()))
	if !ok {
		return fmt.Errorf("%w: %q is no definition's key", grapnel.ErrInvalid, kv.Key)
	}
	_, err := d.learn(string(rest), kv)
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
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[hash] = def
	return def, nil
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
	if err != nil || !bytes.Equal(kv.Value, value) {
		// Whoever writes last announces the policies; that is harmless to repeat.
		t := store.Txn{Then: []store.Op{store.Put(key, value, 0)}}
		if _, err := store.Settle(ctx, d.st, t); err != nil {
			return fmt.Errorf("store definition of workflow %s: %w", def.Name, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[hash], d.stored[hash] = def, true
	return nil
}
