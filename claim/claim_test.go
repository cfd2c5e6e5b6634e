package claim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
)

func TestOneOutcomeBecauseANodeHasOneClaim(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		first, second := w.open("first"), w.open("second")
		c := w.acquire(first, "0", 0)
		_, _, err := second.Acquire(w.Context(), w.target("0"), 0)
		wantErr(w, err, claim.ErrTaken)
		if taken := (*claim.TakenError)(nil); !errors.As(err, &taken) || taken.Worker != "first" || taken.Run != run || taken.Node != "0" {
			w.Errorf("the refused worker learnt %v", err)
		}
		w.held(c)
		w.release(c)
		again := w.acquire(second, "0", 0)
		if again.Fence() <= c.Fence() {
			w.Errorf("fence %d follows %d", again.Fence(), c.Fence())
		}
		w.release(again)
	})
}

func TestAClaimComesWithTheHeadAsOfItsRevision(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		mod := w.commit(store.Put(w.keys.Head(run), []byte("later"), 0))
		c, head, err := s.Acquire(w.Context(), w.target("3"), 0)
		if err != nil {
			w.Fatal(err)
		}
		if head.Mod != mod || string(head.Value) != "later" || grapnel.Revision(c.Fence()) != mod+1 {
			w.Errorf("claim %d came with the head of revision %d, %q", c.Fence(), head.Mod, head.Value)
		}
		if c.Run() != run || c.Node() != "3" || c.Key() != w.keys.Claim(run, "3") || w.held(c).Lease != s.ID() {
			w.Errorf("claim is on node %s of %s", c.Node(), c.Run())
		}
		w.release(c)
	})
}

func TestNoGhostOnARunThatIsGone(t *testing.T) {
	t.Parallel()
	for name, ops := range map[string][]store.Op{
		"deleted":  {store.Delete("head")},
		"replaced": {store.Delete("head"), store.Put("head", []byte("another"), 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				for _, op := range ops {
					op.Key = w.keys.Head(run)
					w.commit(op)
				}
				_, _, err := s.Acquire(w.Context(), w.target("0"), time.Minute)
				wantErr(w, err, grapnel.ErrRunGone)
				w.noClaims()
				w.leases(s)
			})
		})
	}
}

func TestOneOutcomeBecauseACoveredNodeIsNotClaimed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		cover := w.acquire(s, "0", 0)
		covered := w.target("1")
		covered.CoverNode, covered.CoverFence = "0", cover.Fence()
		_, _, err := s.Acquire(w.Context(), covered, 0)
		wantErr(w, err, claim.ErrTaken)
		if taken := (*claim.TakenError)(nil); !errors.As(err, &taken) || taken.Worker != "" {
			w.Errorf("refused with %v", err)
		}
		w.release(cover)
		later := w.acquire(s, "0", 0) // another claim of the covering node covers nothing
		c, _, err := s.Acquire(w.Context(), covered, 0)
		if err != nil {
			w.Fatalf("the cover is gone: %v", err)
		}
		w.release(c)
		w.release(later)
	})
}

func TestOwnCommitOfAClaimWhoseReplyWasLost(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]time.Duration{"the session's lease": 0, "its own lease": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				w.st.SetRule(onPut(w.keys.Claim(run, "0"), 1, faultstore.After))
				c, head, err := s.Acquire(w.Context(), w.target("0"), own)
				if err != nil {
					w.Fatalf("the claim arrived, its sender was told: %v", err)
				}
				if w.held(c); string(head.Value) != "head" {
					w.Errorf("head is %q", head.Value)
				}
				if _, err := c.Extend(w.Context(), time.Second); err != nil {
					w.Error(err)
				}
				w.release(c)
				w.noClaims()
				w.leases(s)
			})
		})
	}
}

// A claim that arrives after its sender gave it up, and after the node has been
// claimed and given back, finds the key absent.
func TestNoGhostOfAClaimThatArrivesLate(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]time.Duration{"the session's lease": 0, "its own lease": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				w.st.SetRule(onPut(w.keys.Claim(run, "0"), 1, faultstore.Late))
				c := w.acquire(s, "0", own)
				w.release(c)
				if n := w.st.ReleaseLate(); n != 1 {
					w.Fatalf("%d requests came late, want 1", n)
				}
				w.noClaims()
				w.leases(s)
			})
		})
	}
}

// While one claim's outcome is looked for, those that were sent beside it fail
// their guard, and are sent again.
func TestClaimsOutliveTheVoidingOfOthers(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		w.st.SetRule(onPut(w.keys.Claim(run, "0"), 1, faultstore.Late))
		c := w.acquire(s, "0", 0)
		mod := w.held(c).Mod
		if kv, _ := w.found(w.keys.Worker("w")); kv.Mod >= mod {
			w.Fatal("the session key was not rewritten")
		}
		other := w.acquire(s, "1", 0)
		if err := s.Describe(w.Context(), func(p *pb.Worker) { p.Draining = true }); err != nil {
			w.Fatal(err)
		}
		third := w.acquire(s, "2", 0)
		for _, c := range []*claim.Claim{c, other, third} {
			w.held(c)
			w.release(c)
		}
		w.st.ReleaseLate()
		w.noClaims()
	})
}

// The session key is rewritten by a profile that the claim does not know of.
func TestAClaimIsSentAgainWhenTheSessionKeyHasChanged(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		seen := 0
		w.st.SetRule(func(i faultstore.Info) faultstore.Action {
			if i.Kind != faultstore.Commit || i.Txn.Then[0].Kind != store.OpPut || i.Txn.Then[0].Key != w.keys.Claim(run, "0") {
				return faultstore.Action{}
			}
			if seen++; seen > 1 {
				return faultstore.Action{}
			}
			return faultstore.Action{Enter: func() {
				kv, _ := w.found(w.keys.Worker("w"))
				w.commit(store.Put(kv.Key, kv.Value, kv.Lease))
			}}
		})
		w.release(w.acquire(s, "0", 0))
		if seen != 2 {
			w.Errorf("the claim was sent %d times, want 2", seen)
		}
	})
}

func TestAClaimOfALostSessionIsRefusedAndEndsIt(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		w.mem.ExpireLease(s.ID())
		_, _, err := s.Acquire(w.Context(), w.target("0"), 0)
		wantErr(w, err, claim.ErrLost)
		wantErr(w, context.Cause(s.Context()), claim.ErrLost)
		_, _, err = s.Acquire(w.Context(), w.target("0"), time.Minute)
		wantErr(w, err, claim.ErrLost)
		w.noClaims()
		w.leases()
	})
}

// The store cannot be reached while the outcome is looked for, until the session
// is lost.
func TestNoGhostOfAClaimWhoseOutcomeStaysUnknown(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		var down bool
		inner := onPut(w.keys.Claim(run, "0"), 1, faultstore.Late)
		w.st.SetRule(func(i faultstore.Info) faultstore.Action {
			if down {
				return faultstore.Action{Fault: faultstore.Refused}
			}
			a := inner(i)
			down = a.Fault == faultstore.Late
			return a
		})
		began := time.Now()
		_, _, err := s.Acquire(w.Context(), w.target("0"), 0)
		wantErr(w, err, claim.ErrLost)
		if took := time.Since(began); took != ttl-margin {
			w.Errorf("given up after %v, want %v", took, ttl-margin)
		}
		w.st.SetRule(nil)
		if n := w.st.ReleaseLate(); n != 1 {
			w.Fatalf("%d requests came late, want 1", n)
		}
		faketime.Pass(ttl)
		w.noClaims()
		w.leases()
	})
}

func TestAcquireIsBoundByItsContextWhileNothingIsUnknown(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		w.st.SetRule(func(i faultstore.Info) faultstore.Action {
			if i.Kind == faultstore.Grant {
				return faultstore.Action{Fault: faultstore.Hang}
			}
			return faultstore.Action{}
		})
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		_, _, err := s.Acquire(ctx, w.target("0"), time.Minute)
		wantErr(w, err, context.DeadlineExceeded)
		w.leases(s)
	})
}

// Every call that a claim's life takes fails, in every way.
func TestNoGhostWhicheverCallFails(t *testing.T) {
	t.Parallel()
	life := func(w *world, s *claim.Session) {
		for node, own := range map[grapnel.NodeKey]time.Duration{"0": 0, "1": time.Minute} {
			c := w.acquire(s, node, own)
			w.held(c)
			for _, do := range []func() error{
				func() error { return c.Report(w.Context(), []byte(`1`)) },
				func() error { _, err := c.Extend(w.Context(), time.Hour); return err },
				func() error { return c.Report(w.Context(), []byte(`2`)) },
				func() error { _, err := c.Extend(w.Context(), time.Second); return err },
			} {
				err := do()
				for errors.Is(err, grapnel.ErrUnavailable) {
					err = do()
				}
				if err != nil {
					w.Fatal(err)
				}
				w.held(c)
			}
			w.release(c)
		}
	}
	calls := 0
	inWorld(t, func(w *world) {
		s := w.open("w")
		before := w.st.Calls()
		life(w, s)
		calls = w.st.Calls() - before
		w.leases(s)
	})
	if calls < 12 {
		t.Fatalf("only %d calls were made", calls)
	}
	for plan := range faultstore.EachCall(calls + 2) {
		t.Run(plan.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				plan.Call += w.st.Calls()
				w.st.SetRule(plan.Rule())
				life(w, s)
				w.st.ReleaseLate()
				w.noClaims()
				if err := s.Context().Err(); err != nil {
					w.Errorf("the session ended: %v", context.Cause(s.Context()))
				}
				// A lease whose revocation was not answered runs out.
				s.GiveUp()
				faketime.Pass(2 * time.Hour)
				w.leases()
			})
		})
	}
}
