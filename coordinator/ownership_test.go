package coordinator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
)

// owners returns how many shards each lease owns.
func (e *env) owners() map[store.LeaseID]int {
	e.t.Helper()
	owned := map[store.LeaseID]int{}
	for _, kv := range e.list(e.keys.ShardOwners()) {
		owned[kv.Lease]++
	}
	return owned
}

func TestEveryShardHasAnOwner(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		e.coordinate(nil)
		equal(t, "shards of the first coordinator", e.owners()[e.members()[0]], store.Shards)
	})
}

func TestShardsChangeHandsAtOnceWhenTheirOwnerStops(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		stop := e.coordinate(nil)
		e.coordinate(nil)
		second := e.members()[1]
		stop()
		e.wait(0)
		equal(t, "shards of the second coordinator, without any time passing", e.owners()[second], store.Shards)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers", w.offers(), "r/0")
	})
}

func TestACoordinatorThatLostItsLeaseStartsOver(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(nil)
		before := e.members()[0]
		e.st.ExpireLease(before)
		e.wait(10 * time.Second)
		after := e.members()
		if len(after) != 1 || after[0] == before {
			t.Fatalf("members %v after %v was lost", after, before)
		}
		equal(t, "shards", e.owners()[after[0]], store.Shards)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers", w.offers(), "r/0")
	})
}

func TestNoStaleLeaderWritesToARun(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		h := e.start("r", e.define([][]int{{}}, nil), nil)
		tried := false
		fs.SetRule(func(i faultstore.Info) faultstore.Action {
			if tried || !e.writesHead(i, "r") {
				return faultstore.Action{}
			}
			tried = true
			// The process is paused with the commit under way until its lease has run out.
			return faultstore.Action{
				Enter: func() { e.st.ExpireLease(e.members()[0]) },
				Leave: func() {
					if got := e.load("r").Mod; got != h.Mod {
						t.Errorf("head was written at revision %d by a coordinator without the shard", got)
					}
				},
			}
		})
		e.must(e.runs.Send(t.Context(), h, snapshot.RunEvent{ID: "x", Kind: snapshot.EventCancel}))
		e.wait(10 * time.Second)
		if !tried {
			t.Fatal("the coordinator has not tried to fold the event")
		}
		e.wantStatus("r", grapnel.RunCancelled) // by its next membership
	})
}

func TestACoordinatorStopsActingWhenItCannotReachTheStore(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := e.through()
		e.coordinate(func(c *coordinator.Config) { c.Store = fs })
		fs.SetRule(func(i faultstore.Info) faultstore.Action { return faultstore.Action{Fault: faultstore.Refused} })
		e.wait(9 * time.Second) // trust ends 1.5 s before the lease
		calls := 0
		fs.SetRule(func(i faultstore.Info) faultstore.Action {
			if i.Kind == faultstore.Commit {
				calls++
			}
			if i.Kind == faultstore.Grant || i.Kind == faultstore.Revoke {
				return faultstore.Action{Fault: faultstore.Refused}
			}
			return faultstore.Action{}
		})
		e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		e.wait(500 * time.Millisecond)
		equal(t, "commits of a coordinator without a lease it can trust", calls, 0)
	})
}

func TestShardsWhoseAcquisitionsGotNoAnswerAreOwned(t *testing.T) {
	for _, fault := range []faultstore.Fault{faultstore.Before, faultstore.After, faultstore.Late} {
		t.Run(fault.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				fs := e.through()
				failed := map[string]bool{}
				fs.SetRule(func(i faultstore.Info) faultstore.Action {
					if i.Kind != faultstore.Commit || !strings.HasPrefix(i.Txn.Then[0].Key, e.keys.ShardOwners()) || failed[i.Txn.Then[0].Key] {
						return faultstore.Action{}
					}
					failed[i.Txn.Then[0].Key] = true
					return faultstore.Action{Fault: fault, Calls: 300}
				})
				e.coordinate(func(c *coordinator.Config) { c.Store = fs })
				e.wait(time.Second)
				fs.ReleaseLate()
				equal(t, "acquisitions that failed", len(failed), store.Shards)
				equal(t, "shards", e.owners()[e.members()[0]], store.Shards)
				w := e.join("w", 300, nil)
				def := e.define([][]int{{}}, nil)
				for i := range 20 {
					e.start(grapnelRun(string(rune('a'+i))), def, nil)
				}
				equal(t, "offers", len(strings.Fields(w.offers())), 20)
			})
		})
	}
}

func TestRunFailsFastWithoutAStore(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		fs := faultstore.New(e.st, func(faultstore.Info) faultstore.Action { return faultstore.Action{Fault: faultstore.Refused} })
		c, err := coordinator.New(coordinator.Config{Store: fs})
		e.must(err)
		if err := c.Run(t.Context()); !errors.Is(err, grapnel.ErrUnavailable) {
			t.Fatalf("Run returned %v, want %v", err, grapnel.ErrUnavailable)
		}
	})
}

func TestNewReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := coordinator.New(coordinator.Config{Namespace: "a b", TTL: time.Second, Margin: time.Second, Sweep: -1})
	if !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("New returned %v", err)
	}
	for _, what := range []string{"store", "namespace", "TTL", "sweep"} {
		if !strings.Contains(err.Error(), what) {
			t.Errorf("error %q does not mention %s", err, what)
		}
	}
}
