package grapnel

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of what users name.
const (
	// MaxRunID is the longest run id, in bytes.
	MaxRunID = 256
	// MaxName is the longest name of a workflow, task, node, queue or tag, in
	// bytes.
	MaxName = 128
	// MaxNamespace is the longest namespace, in bytes.
	MaxNamespace = 64
	// MaxPayload is the largest input or output of a run or task, in bytes of
	// its encoded form.
	MaxPayload = 64 << 10
)

// RunID names a run. The caller chooses it, as an idempotency key, or takes a
// fresh one from [NewRunID]. It is 1 to [MaxRunID] bytes of UTF-8 without
// control characters.
type RunID string

// NewRunID returns a random id that sorts by creation time (UUIDv7).
func NewRunID() RunID { return RunID(newUUID()) }

// Validate returns nil, or an error that wraps [ErrInvalid] and says what is
// wrong with the id.
func (id RunID) Validate() error {
	switch {
	case id == "":
		return fmt.Errorf("%w: run id is empty", ErrInvalid)
	case len(id) > MaxRunID:
		return fmt.Errorf("%w: run id has %d bytes, at most %d are allowed", ErrInvalid, len(id), MaxRunID)
	case !utf8.ValidString(string(id)):
		return fmt.Errorf("%w: run id %q is not UTF-8", ErrInvalid, string(id))
	case strings.ContainsFunc(string(id), unicode.IsControl):
		return fmt.Errorf("%w: run id %q has a control character", ErrInvalid, string(id))
	}
	return nil
}

// WorkerID names one start of one worker process; it is never used twice.
type WorkerID string

// NewWorkerID returns an id made of name, which may be empty, and a random
// part. Bytes of name that ids may not hold become dashes.
func NewWorkerID(name string) WorkerID {
	clean := cleanName(name)
	if clean == "" {
		return WorkerID(newUUID())
	}
	if most := MaxName - len(newUUID()) - 1; len(clean) > most {
		clean = clean[:most]
	}
	return WorkerID(clean + "." + newUUID())
}

// OperationID names one intended change (a start, a claim, an event) across
// all the times it is sent, so that its sender recognises it once applied.
type OperationID string

// NewOperationID returns a fresh operation id.
func NewOperationID() OperationID { return OperationID(newUUID()) }

// NodeKey names a node within a run: its index in the definition and, in the
// bodies of maps, the indices of the items behind it, as in "4.1". At most 200 bytes of [A-Za-z0-9._-].
type NodeKey string

// Revision is a revision of the store. It only grows.
type Revision int64

// Instance tells apart the runs that had the same id one after another. It is
// the create revision of the run's head.
type Instance = Revision

// Fence is a claim's create revision. A later claim of a node has a larger
// fence, so a system that remembers the largest fence it has seen can refuse
// work that was overtaken. It goes with every commit and to user code.
type Fence int64

// ValidateName returns nil if name is a usable name of what (a task, a queue):
// 1 to [MaxName] characters of [A-Za-z0-9._-]. The error wraps [ErrInvalid].
func ValidateName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: %s name is empty", ErrInvalid, what)
	case len(name) > MaxName:
		return fmt.Errorf("%w: %s name %q has %d bytes, at most %d are allowed", ErrInvalid, what, name, len(name), MaxName)
	case cleanName(name) != name:
		return fmt.Errorf("%w: %s name %q: only letters, digits, '.', '_' and '-' are allowed", ErrInvalid, what, name)
	}
	return nil
}

// ValidateNamespace is [ValidateName] for a namespace, whose limit is
// [MaxNamespace].
func ValidateNamespace(ns string) error {
	if len(ns) > MaxNamespace {
		return fmt.Errorf("%w: namespace %q has %d bytes, at most %d are allowed", ErrInvalid, ns, len(ns), MaxNamespace)
	}
	return ValidateName("namespace", ns)
}

func cleanName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
}

func newUUID() string { return uuid.Must(uuid.NewV7()).String() }
