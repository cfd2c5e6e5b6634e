package store

import (
	"fmt"
	"strings"

	"github.com/grapnel-dev/grapnel"
)

// Shards is how many shards the runs of a namespace are divided into.
const Shards = 256

// Shard is one of the [Shards] parts that runs are divided into by the hash of
// their ids.
type Shard uint8

// ShardOf returns the shard of a run. The result is persisted, in keys, and
// never changes.
func ShardOf(run grapnel.RunID) Shard {
	v := uint32(2166136261) // FNV-1a, inlined: it is asked for at each key
	for i := range len(run) {
		v = (v ^ uint32(run[i])) * 16777619
	}
	return Shard(v ^ v>>8 ^ v>>16 ^ v>>24)
}

// String returns the two hex digits that stand for the shard in keys.
func (s Shard) String() string { return shardNames[2*int(s) : 2*int(s)+2] }

// shardNames has the two digits of each shard, one after the other.
var shardNames = func() string {
	var b strings.Builder
	for i := range Shards {
		fmt.Fprintf(&b, "%02x", i)
	}
	return b.String()
}()

// Keys names the keys of one namespace. Ids are escaped, so no id leads out of
// the place it belongs to.
type Keys struct{ root string }

// NewKeys returns the keys of a namespace. The error wraps
// [grapnel.ErrInvalid].
func NewKeys(namespace string) (Keys, error) {
	if err := grapnel.ValidateNamespace(namespace); err != nil {
		return Keys{}, err
	}
	return Keys{root: "/grapnel/" + namespace + "/"}, nil
}

// Root is what all keys of the namespace begin with.
func (k Keys) Root() string { return k.root }

// Runs is what all keys under all runs begin with.
func (k Keys) Runs() string { return k.root + "run/" }

// ShardRuns is what all keys under the runs of a shard begin with.
func (k Keys) ShardRuns(s Shard) string { return k.root + "run/" + s.String() + "/" }

// Run is what head, claims, outcomes and events of a run begin with.
func (k Keys) Run(run grapnel.RunID) string { return k.under(run, "") }

// Head is the key of a run's head.
func (k Keys) Head(run grapnel.RunID) string { return k.under(run, "head") }

// Claims is what the claims of a run begin with.
func (k Keys) Claims(run grapnel.RunID) string { return k.under(run, "claim/") }

// Claim is the key of the claim of a node.
func (k Keys) Claim(run grapnel.RunID, node grapnel.NodeKey) string {
	return k.under(run, "claim/", Escape(string(node)))
}

// under makes a key of a run. There are several for each step of each run.
func (k Keys) under(run grapnel.RunID, parts ...string) string {
	id := Escape(string(run))
	n := len(k.root) + len("run/00//") + len(id)
	for _, p := range parts {
		n += len(p)
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(k.root)
	b.WriteString("run/")
	b.WriteString(ShardOf(run).String())
	b.WriteByte('/')
	b.WriteString(id)
	b.WriteByte('/')
	for _, p := range parts {
		b.WriteString(p)
	}
	return b.String()
}

// Events is what the unfolded events of a run begin with.
func (k Keys) Events(run grapnel.RunID) string { return k.under(run, "event/") }

// Event is the key of an event that has not been folded.
func (k Keys) Event(run grapnel.RunID, id grapnel.OperationID) string {
	return k.under(run, "event/", Escape(string(id)))
}

// FoldedEvents is what the markers of a run's folded events begin with.
func (k Keys) FoldedEvents(run grapnel.RunID) string { return k.under(run, "folded/") }

// Folded is the key of the marker of a folded event.
func (k Keys) Folded(run grapnel.RunID, id grapnel.OperationID) string {
	return k.under(run, "folded/", Escape(string(id)))
}

// Records is what a run's records begin with.
func (k Keys) Records(run grapnel.RunID) string {
	return k.root + "record/" + ShardOf(run).String() + "/" + Escape(string(run)) + "/"
}

// Record is the key of an output that the head has no room for. A node outside
// of loops has iteration 0.
func (k Keys) Record(run grapnel.RunID, node grapnel.NodeKey, iteration int) string {
	return fmt.Sprintf("%s%s.%d", k.Records(run), Escape(string(node)), iteration)
}

// Ended is the key of the tombstone of a deleted run, by the operation that had
// started it: an id may be used, and its runs deleted, again and again.
func (k Keys) Ended(run grapnel.RunID, start grapnel.OperationID) string {
	return k.root + "ended/" + Escape(string(run)) + "/" + Escape(string(start))
}

// Workers is what the session keys of workers begin with.
func (k Keys) Workers() string { return k.root + "worker/" }

// Worker is the session key of a worker.
func (k Keys) Worker(w grapnel.WorkerID) string { return k.Workers() + Escape(string(w)) }

// Inboxes is what all inboxes begin with.
func (k Keys) Inboxes() string { return k.root + "inbox/" }

// Inbox is what the messages to a worker begin with.
func (k Keys) Inbox(w grapnel.WorkerID) string { return k.Inboxes() + Escape(string(w)) + "/" }

// Coordinators is what the session keys of coordinators begin with.
func (k Keys) Coordinators() string { return k.root + "coordinator/" }

// Coordinator is the session key of a coordinator.
func (k Keys) Coordinator(member string) string { return k.Coordinators() + Escape(member) }

// ShardOwners is what the ownership keys of shards begin with.
func (k Keys) ShardOwners() string { return k.root + "shard/" }

// ShardOwner is the ownership key of a shard.
func (k Keys) ShardOwner(s Shard) string { return k.ShardOwners() + s.String() }

// Processed is the key of the revision up to which a shard's losses have been
// read. It has no lease: it must outlive the owner that wrote it.
func (k Keys) Processed(s Shard) string { return k.AllProcessed() + s.String() }

// AllProcessed is what the keys of [Keys.Processed] begin with.
func (k Keys) AllProcessed() string { return k.root + "processed/" }

// Barrier is a key that a coordinator puts among the keys of runs, without
// being one of them, so as to see when its watch has got that far.
func (k Keys) Barrier(member string) string { return k.Runs() + "barrier/" + Escape(member) }

// Definitions is what definitions begin with.
func (k Keys) Definitions() string { return k.root + "definition/" }

// Definition is the key of a definition, by its topology hash in hex.
func (k Keys) Definition(hash string) string { return k.Definitions() + Escape(hash) }

// Corrupts is what the reports of runs whose bytes do not decode begin with.
func (k Keys) Corrupts() string { return k.root + "corrupt/" }

// Corrupt is the key that reports a run whose bytes do not decode.
func (k Keys) Corrupt(run grapnel.RunID) string { return k.Corrupts() + Escape(string(run)) }

// RunKey is a key under a run, taken apart.
type RunKey struct {
	Shard Shard
	Run   grapnel.RunID
	// Kind is "head", "claim", "out", "event" or "folded".
	Kind string
	// ID is the node or event, unescaped; empty for a head.
	ID string
}

// ParseRun takes a key under [Keys.Runs] apart; ok is false if it is not one.
func (k Keys) ParseRun(key string) (RunKey, bool) {
	rest, ok := strings.CutPrefix(key, k.root)
	if !ok {
		return RunKey{}, false
	}
	if rest, ok = strings.CutPrefix(rest, "run/"); !ok {
		return RunKey{}, false
	}
	shard, rest, _ := strings.Cut(rest, "/")
	escaped, rest, _ := strings.Cut(rest, "/")
	kind, id, hasID := strings.Cut(rest, "/")
	if kind == "" && !hasID || strings.Contains(id, "/") || hasID == (kind == "head") {
		return RunKey{}, false
	}
	run, ok := Unescape(escaped)
	if !ok {
		return RunKey{}, false
	}
	r := RunKey{Run: grapnel.RunID(run), Shard: ShardOf(grapnel.RunID(run)), Kind: kind}
	if r.Shard.String() != shard {
		return RunKey{}, false
	}
	if r.ID, ok = Unescape(id); !ok {
		return RunKey{}, false
	}
	return r, true
}

const hexDigits = "0123456789ABCDEF"

// Escape makes an id fit into one segment of a key: bytes outside
// [A-Za-z0-9._-] become %XX. Different ids stay different.
func Escape(id string) string {
	plain := true
	for i := 0; i < len(id) && plain; i++ {
		plain = isPlain(id[i])
	}
	if plain {
		return id
	}
	var b strings.Builder
	for i := 0; i < len(id); i++ {
		if c := id[i]; isPlain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// Unescape is the inverse of [Escape]; ok is false for what Escape never
// returns.
func Unescape(s string) (id string, ok bool) {
	if !strings.Contains(s, "%") {
		return s, Escape(s) == s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), Escape(b.String()) == s
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}
