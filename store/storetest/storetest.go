package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Options say what of a store its port does not tell. The zero value suits a
// store with etcd's defaults; cases about compaction are skipped with it.
type Options struct {
	// Compact forgets the history before rev, of a store that open returned.
	// Without it the cases about compaction are skipped.
	Compact func(ctx context.Context, s store.Store, rev grapnel.Revision) error
	// TTL is the time-to-live of leases that are to expire while a case waits;
	// zero means 1 s. The store may lengthen it.
	TTL time.Duration
	// MaxOps is the most guards, and the most operations of a branch, that a
	// commit can have; zero means 128.
	MaxOps int
	// OversizedValue is how many bytes make a value too large; zero means 2 MiB.
	OversizedValue int
	// Timeout bounds each case; zero means 60 s.
	Timeout time.Duration
	// Parallel runs the cases at the same time. Set it if each call of open
	// returns a store of its own.
	Parallel bool
}

func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = time.Second
	}
	if o.MaxOps == 0 {
		o.MaxOps = 128
	}
	if o.OversizedValue == 0 {
		o.OversizedValue = 2 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	return o
}

// behaviour is a case of the suite.
type behaviour struct {
	name  string
	check func(*env)
}

// Run checks a store against what its port promises, a subtest for each
// behaviour. Open is called once by each; what it opens it also closes, by
// t.Cleanup. Nobody else may write to the store during a case. It need not be
// empty: each case keeps to keys of its own.
func Run(t *testing.T, open func(t *testing.T) store.Store, o Options) {
	t.Helper()
	o = o.withDefaults()
	for _, topic := range []struct {
		name  string
		cases []behaviour
	}{
		{"guards", guardCases},
		{"commits", commitCases},
		{"refusals", refusalCases},
		{"lists", listCases},
		{"leases", leaseCases},
		{"watches", watchCases},
		{"neighbours", neighbourCases},
		{"races", raceCases},
	} {
		t.Run(topic.name, func(t *testing.T) {
			if o.Parallel {
				t.Parallel()
			}
			for _, b := range topic.cases {
				t.Run(b.name, func(t *testing.T) {
					if o.Parallel {
						t.Parallel()
					}
					b.check(newEnv(t, open(t), o))
				})
			}
		})
	}
}
