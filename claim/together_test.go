package claim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
)

// others is how many runs there are beside the one of the world.
const others = 3

// crowd puts more runs into the world and returns targets: two nodes of the
// world's own run and one of each other.
func (w *world) crowd() []claim.Target {
	w.Helper()
	targets := []claim.Target{w.target("0"), w.target("1")}
	for i := range others {
		t := w.target("0")
		t.Run = grapnel.RunID(fmt.Sprintf("other-%d", i))
		t.Instance = w.commit(store.Put(w.keys.Head(t.Run), []byte(t.Run), 0))
		targets = append(targets, t)
	}
	return targets
}

// all fails the test unless each target was claimed, with the head of its run.
func (w *world) all(targets []claim.Target, acquired []claim.Acquired) {
	w.Helper()
	for i, got := range acquired {
		if got.Claim == nil {
			w.Fatalf("target %d is not claimed", i)
		}
		if c := got.Claim; c.Run() != targets[i].Run || c.Node() != targets[i].Node || got.Head.Key != w.keys.Head(c.Run()) {
			w.Errorf("target %d: claim on node %s of run %q, head %s", i, c.Node(), c.Run(), got.Head.Key)
		}
		w.held(got.Claim)
	}
}

func TestNodesAreClaimedTogetherInOneCommit(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s, targets := w.open("w"), w.crowd()
		before := w.st.Calls()
		acquired, err := s.AcquireAll(w.Context(), targets)
		if err != nil {
			w.Fatal(err)
		}
		if n := w.st.Calls() - before; n != 1 {
			w.Errorf("it took %d calls", n)
		}
		w.all(targets, acquired)
		for _, a := range acquired {
			if _, err := a.Claim.Extend(w.Context(), time.Second); err != nil {
				w.Error(err)
			}
			w.release(a.Claim)
		}
		w.leases(s)
	})
}

func TestNoneIsClaimedTogetherIfOneIsNotToBeHad(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(w *world, targets []claim.Target){
		"it is taken": func(w *world, targets []claim.Target) {
			if _, _, err := w.open("another").Acquire(w.Context(), targets[2], 0); err != nil {
				w.Fatal(err)
			}
		},
		"it is covered": func(w *world, targets []claim.Target) {
			c, _, err := w.open("another").Acquire(w.Context(), claim.Target{Run: targets[3].Run, Instance: targets[3].Instance, Node: "7"}, 0)
			if err != nil {
				w.Fatal(err)
			}
			targets[3].CoverNode, targets[3].CoverFence = "7", c.Fence()
		},
		"its run is another": func(_ *world, targets []claim.Target) { targets[4].Instance-- },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s, targets := w.open("w"), w.crowd()
				spoil(w, targets)
				acquired, err := s.AcquireAll(w.Context(), targets)
				if err != nil || len(acquired) != len(targets) {
					w.Fatalf("%d entries for %d targets, %v", len(acquired), len(targets), err)
				}
				for i, a := range acquired {
					if a.Claim != nil {
						w.Errorf("target %d is claimed", i)
					}
				}
				if _, found := w.found(w.keys.Claim(run, "0")); found {
					w.Error("a claim is there all the same")
				}
			})
		})
	}
}

func TestNoGhostOfClaimsMadeTogether(t *testing.T) {
	t.Parallel()
	for fault, want := range map[faultstore.Fault]bool{faultstore.After: true, faultstore.Before: false, faultstore.Late: false} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s, targets := w.open("w"), w.crowd()
				w.st.SetRule(onPut(w.keys.Claim(run, "0"), 1, fault))
				acquired, err := s.AcquireAll(w.Context(), targets)
				if err != nil {
					w.Fatal(err)
				}
				w.st.ReleaseLate()
				if want {
					w.all(targets, acquired)
					return
				}
				for i, a := range acquired {
					if _, found := w.found(w.keys.Claim(targets[i].Run, targets[i].Node)); found || a.Claim != nil {
						w.Errorf("target %d: claimed %t, and a claim is there: %t", i, a.Claim != nil, found)
					}
				}
			})
		})
	}
}

func TestClaimingTogetherIsRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s, targets := w.open("w"), w.crowd()
		_, err := s.AcquireAll(w.Context(), make([]claim.Target, claim.MostTogether+1))
		wantErr(w.T, err, grapnel.ErrInvalid)
		w.st.SetRule(onPut(w.keys.Claim(run, "0"), 1, faultstore.Refused))
		_, err = s.AcquireAll(w.Context(), targets)
		wantErr(w.T, err, grapnel.ErrUnavailable)
		faketime.Pass(2 * ttl)
		_, err = s.AcquireAll(w.Context(), targets)
		wantErr(w.T, err, claim.ErrLost)
		w.noClaims()
	})
}
