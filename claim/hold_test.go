package claim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/faketime"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
)

// hang is a rule that answers no keepalive.
func hang(i faultstore.Info) faultstore.Action {
	if i.Kind == faultstore.KeepAlive {
		return faultstore.Action{Fault: faultstore.Hang}
	}
	return faultstore.Action{}
}

func TestLeasedIsEveryVersionOfAClaim(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		for _, own := range []time.Duration{0, time.Minute} {
			c := w.acquire(s, "0", own)
			w.held(c)
			if err := c.Report(w.Context(), []byte(`{"done":1}`)); err != nil {
				w.Fatal(err)
			}
			kv := w.held(c)
			v := &pb.Claim{}
			if err := proto.Unmarshal(kv.Value, v); err != nil || string(v.Progress) != `{"done":1}` || v.Worker != "w" || v.Attempt != 1 {
				w.Errorf("the claim says %v, %v", v, err)
			}
			if _, err := c.Extend(w.Context(), time.Hour); err != nil {
				w.Fatal(err)
			}
			if longer := w.held(c).Lease; longer == kv.Lease || longer == s.ID() {
				w.Errorf("extended by an hour, the claim is under lease %x as before", longer)
			}
			if err := c.Report(w.Context(), []byte(`{"done":2}`)); err != nil {
				w.Fatal(err)
			}
			w.held(c)
			w.release(c)
		}
		w.noClaims()
		w.leases(s)
	})
}

// What a claim's heartbeats do once somebody else has deleted its key.
func TestNoGhostOfAClaimThatIsReportedAfterItsLoss(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(ctx context.Context, c *claim.Claim) error{
		"progress":     func(ctx context.Context, c *claim.Claim) error { return c.Report(ctx, []byte(`1`)) },
		"longer lease": func(ctx context.Context, c *claim.Claim) error { _, err := c.Extend(ctx, time.Hour); return err },
	} {
		for now, claimedAgain := range map[string]bool{"": false, ", claimed again": true} {
			t.Run(name+now, func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(w *world) {
					s, other := w.open("w"), w.open("other")
					c := w.acquire(s, "0", 0)
					w.commit(c.Delete())
					var again *claim.Claim
					if claimedAgain {
						again = w.acquire(other, "0", 0)
					}
					wantErr(w, write(w.Context(), c), claim.ErrLost)
					wantErr(w, context.Cause(c.Context()), claim.ErrLost)
					wantErr(w, write(w.Context(), c), claim.ErrLost)
					if claimedAgain {
						if kv := w.held(again); kv.Mod != kv.Create {
							w.Error("the other worker's claim was rewritten")
						}
						w.release(again)
					}
					if err := c.Release(w.Context()); err != nil {
						w.Errorf("releasing a claim that is lost: %v", err)
					}
					w.noClaims()
					w.leases(s, other)
				})
			})
		}
	}
}

// A heartbeat is given up, arrives late, and names a lease that the claim has no
// more: on the session's, the claim would outlive the end of its trust.
func TestNoGhostOfAHeartbeatThatArrivesAfterTheLeaseHasChanged(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		c := w.acquire(s, "0", 0)
		ctx, cancel := context.WithCancel(w.Context())
		rule := onPut(c.Key(), 1, faultstore.Late)
		w.st.SetRule(func(i faultstore.Info) faultstore.Action {
			a := rule(i)
			if a.Fault == faultstore.Late {
				a.Leave = cancel
			}
			return a
		})
		wantErr(w, c.Report(ctx, []byte(`"old"`)), grapnel.ErrUnknown)
		if _, err := c.Extend(w.Context(), time.Hour); err != nil {
			w.Fatal(err)
		}
		before := w.held(c)
		if n := w.st.ReleaseLate(); n != 1 {
			w.Fatalf("%d requests came late, want 1", n)
		}
		if after := w.held(c); after.Mod != before.Mod || after.Lease == s.ID() {
			w.Errorf("a late heartbeat bound the claim to lease %x again", after.Lease)
		}
		w.release(c)
		w.leases(s)
	})
}

func TestAHeartbeatThatWasGivenUpDoesNotStopTheNext(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		c := w.acquire(s, "0", 0)
		ctx, cancel := context.WithCancel(w.Context())
		rule := onPut(c.Key(), 1, faultstore.After)
		w.st.SetRule(func(i faultstore.Info) faultstore.Action {
			a := rule(i)
			if a.Fault == faultstore.After {
				a.Leave = cancel
			}
			return a
		})
		wantErr(w, c.Report(ctx, []byte(`1`)), grapnel.ErrUnknown)
		if err := c.Report(w.Context(), []byte(`2`)); err != nil {
			w.Fatal(err)
		}
		v := &pb.Claim{}
		if err := proto.Unmarshal(w.held(c).Value, v); err != nil || string(v.Progress) != "2" {
			w.Errorf("progress is %s, %v", v.Progress, err)
		}
		w.release(c)
	})
}

// The caller's context ends while the new lease is being put: which lease the
// claim depends on must be known, or revoking the wrong one would delete it.
func TestExtendSeesALongerLeaseThrough(t *testing.T) {
	t.Parallel()
	for _, fault := range []faultstore.Fault{faultstore.Before, faultstore.After, faultstore.Late} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				c := w.acquire(s, "0", 0)
				ctx, cancel := context.WithCancel(w.Context())
				rule := onPut(c.Key(), 1, fault)
				w.st.SetRule(func(i faultstore.Info) faultstore.Action {
					a := rule(i)
					if a.Fault != faultstore.None {
						a.Leave = cancel
					}
					return a
				})
				until, err := c.Extend(ctx, time.Hour)
				if err != nil || time.Until(until) < time.Hour-time.Second || !until.Equal(c.Until()) {
					w.Fatalf("valid until %v, claim says %v, %v", until, c.Until(), err)
				}
				w.st.ReleaseLate()
				w.held(c)
				w.release(c)
				w.leases(s)
			})
		})
	}
}

func TestExtendWithinTheLeaseTakesAKeepalive(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]time.Duration{"the session's lease": 0, "its own lease": ttl} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				c := w.acquire(s, "0", own)
				mod := w.held(c).Mod
				for range 5 {
					faketime.Pass(5 * time.Second)
					if own > 0 {
						if _, err := s.Keep(w.Context()); err != nil {
							w.Fatal(err)
						}
					}
					until, err := c.Extend(w.Context(), 8*time.Second)
					if err != nil || time.Until(until) < 8*time.Second {
						w.Fatalf("valid for %v, %v", time.Until(until), err)
					}
				}
				if kv := w.held(c); kv.Mod != mod {
					w.Error("the claim was rewritten")
				}
				w.release(c)
				w.leases(s)
			})
		})
	}
	inWorld(t, func(w *world) {
		c := w.acquire(w.open("w"), "0", 0)
		for _, d := range []time.Duration{0, -1} {
			_, err := c.Extend(w.Context(), d)
			wantErr(w, err, grapnel.ErrInvalid)
		}
		w.release(c)
	})
}

// Nobody hears of the release: the node is there for the next one, and the head
// was written with the claim's deletion, so it does not count as a loss.
func TestHonestCountBecauseAReleaseWritesTheHead(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]time.Duration{"the session's lease": 0, "its own lease": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				c := w.acquire(s, "0", own)
				before, _ := w.found(w.keys.Head(run))
				w.release(c)
				after, _ := w.found(w.keys.Head(run))
				deleted := grapnel.Revision(0)
				ctx, cancel := context.WithCancel(w.Context())
				defer cancel()
				for b := range w.mem.Watch(ctx, store.WatchRequest{Prefix: c.Key(), From: grapnel.Revision(c.Fence()) + 1}) {
					deleted = b.Revision
					break
				}
				if after.Mod != deleted || after.Mod == before.Mod {
					w.Errorf("the claim was deleted at revision %d, the head last written at %d", deleted, after.Mod)
				}
				if string(after.Value) != string(before.Value) || after.Create != before.Create {
					w.Errorf("the head is %q now", after.Value)
				}
				wantErr(w, context.Cause(c.Context()), context.Canceled)
				if err := c.Release(w.Context()); err != nil {
					w.Errorf("released again: %v", err)
				}
				if again, _ := w.found(w.keys.Head(run)); again.Mod != after.Mod {
					w.Error("the head was written again")
				}
				w.noClaims()
				w.leases(s)
			})
		})
	}
}

func TestReleaseGoesOnWhenTheHeadChanges(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		c := w.acquire(s, "0", 0)
		left := 3
		w.st.SetRule(func(i faultstore.Info) faultstore.Action {
			if i.Kind != faultstore.Commit || len(i.Txn.If) == 0 || left == 0 {
				return faultstore.Action{}
			}
			left--
			return faultstore.Action{Enter: func() { w.commit(store.Put(w.keys.Head(run), []byte{byte(left)}, 0)) }}
		})
		w.release(c)
		if head, _ := w.found(w.keys.Head(run)); len(head.Value) != 1 || head.Value[0] != 0 {
			w.Errorf("the release undid a commit: the head is %q", head.Value)
		}
		w.noClaims()
	})
}

func TestReleaseCanBeRepeatedAfterAnError(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		c := w.acquire(s, "0", time.Minute)
		w.mem.Fail(func(bool) error { return grapnel.ErrUnavailable })
		wantErr(w, c.Release(w.Context()), grapnel.ErrUnavailable)
		w.mem.Fail(nil)
		w.release(c)
		w.noClaims()
		w.leases(s)
	})
}

func TestAGuardHoldsOnlyWhileItsClaimIsThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		c := w.acquire(s, "0", 0)
		holds := func() bool {
			res, err := w.mem.Commit(w.Context(), store.Txn{If: []store.Guard{c.Guard(), s.Guard()}})
			return err == nil && res.Succeeded
		}
		if !holds() {
			w.Error("the guard of a live claim does not hold")
		}
		w.release(c)
		if holds() {
			w.Error("the guard of a released claim holds")
		}
		again := w.acquire(s, "0", 0)
		if holds() {
			w.Error("the guard of an earlier claim holds")
		}
		w.release(again)
	})
}

func TestStoppingAClaimSaysWhy(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c := w.acquire(w.open("w"), "0", 0)
		c.Stop(grapnel.ErrCancelled)
		wantErr(w, context.Cause(c.Context()), grapnel.ErrCancelled)
		w.held(c)
		w.release(c)
		wantErr(w, context.Cause(c.Context()), grapnel.ErrCancelled)
	})
}

// Keepalives get no answer: trust ends by the last one that got one, before the
// store lets the lease run out, and whatever the keepalive under way waits for.
func TestTrustEndsBeforeTheLeaseDoes(t *testing.T) {
	t.Parallel()
	for _, stalled := range []time.Duration{0, 4 * time.Second, 25 * time.Second} {
		t.Run(stalled.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				defer w.keep(s)()
				c := w.acquire(s, "0", 0)
				faketime.Pass(stalled)
				synctest.Wait()
				w.st.SetRule(hang)
				end := s.Until()
				if left := time.Until(end); left > ttl-margin || left <= ttl-margin-ttl/3-time.Second {
					w.Fatalf("trusted for %v more after %v", left, stalled)
				}
				select {
				case <-c.Context().Done():
				case <-time.After(ttl):
					w.Fatal("trust outlasts the lease")
				}
				if late := time.Since(end); late != 0 {
					w.Errorf("trust ended %v too late", late)
				}
				wantErr(w, context.Cause(c.Context()), claim.ErrLost)
				wantErr(w, context.Cause(s.Context()), claim.ErrLost)
				if s.Trusted() {
					w.Error("the session is trusted")
				}
				w.held(c) // the store still has it: nobody else can
				_, _, err := s.Acquire(w.Context(), w.target("1"), 0)
				wantErr(w, err, claim.ErrLost)
				faketime.Pass(ttl)
				w.noClaims()
			})
		})
	}
}

// One keepalive is not answered and the next one is.
func TestTrustOutlastsAKeepaliveThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultstore.Fault{"hang": faultstore.Hang, "refused": faultstore.Refused, "reply lost": faultstore.After} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := w.open("w")
				defer w.keep(s)()
				n := 0
				w.st.SetRule(func(i faultstore.Info) faultstore.Action {
					if i.Kind != faultstore.KeepAlive {
						return faultstore.Action{}
					}
					if n++; n%2 == 1 {
						return faultstore.Action{Fault: fault}
					}
					return faultstore.Action{}
				})
				c := w.acquire(s, "0", 0)
				faketime.Pass(10 * ttl)
				if err := c.Context().Err(); err != nil {
					w.Fatalf("the claim was lost after %d keepalives", n)
				}
				w.held(c)
				w.release(c)
			})
		})
	}
}

func TestAClaimWithALeaseOfItsOwnEndsUnlessItIsExtended(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		s := w.open("w")
		defer w.keep(s)()
		began := time.Now()
		c := w.acquire(s, "0", 20*time.Second)
		other := w.acquire(s, "1", 0)
		faketime.Pass(10 * time.Second)
		if _, err := c.Extend(w.Context(), 15*time.Second); err != nil {
			w.Fatal(err)
		}
		<-c.Context().Done()
		if after := time.Since(began); after != 30*time.Second-margin {
			w.Errorf("the claim ended after %v, want %v", after, 30*time.Second-margin)
		}
		wantErr(w, context.Cause(c.Context()), claim.ErrLost)
		_, err := c.Extend(w.Context(), time.Second)
		wantErr(w, err, claim.ErrLost)
		wantErr(w, c.Report(w.Context(), nil), claim.ErrLost)
		if other.Context().Err() != nil {
			w.Error("another claim of the session was lost with it")
		}
		faketime.Pass(2 * margin)
		if _, found := w.found(c.Key()); found {
			w.Error("the claim is still there")
		}
		if err := c.Close(w.Context()); err != nil {
			w.Error(err)
		}
		w.release(other)
		w.leases(s)
	})
}

func TestAClaimWithALeaseOfItsOwnEndsWithItsSession(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		ctx, stop := context.WithCancelCause(w.Context())
		s, err := claim.Open(ctx, claim.SessionConfig{Store: w.st, Keys: w.keys, Profile: &pb.Worker{Id: "w"}, TTL: ttl, Margin: margin})
		if err != nil {
			w.Fatal(err)
		}
		c := w.acquire(s, "0", time.Hour)
		stop(grapnel.ErrStopping)
		synctest.Wait()
		wantErr(w, context.Cause(c.Context()), grapnel.ErrStopping)
		w.release(c)
		if err := s.Revoke(w.Context()); err != nil {
			w.Error(err)
		}
		w.noClaims()
		w.leases()
	})
}

func TestSessionsAreValidatedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		good := claim.SessionConfig{Store: w.st, Keys: w.keys, Profile: &pb.Worker{Id: "w"}, TTL: ttl, Margin: margin}
		for name, change := range map[string]func(c *claim.SessionConfig){
			"no store":   func(c *claim.SessionConfig) { c.Store = nil },
			"no profile": func(c *claim.SessionConfig) { c.Profile = nil },
			"no id":      func(c *claim.SessionConfig) { c.Profile = &pb.Worker{} },
			"margin":     func(c *claim.SessionConfig) { c.Margin = ttl/2 + 1 },
			"negative":   func(c *claim.SessionConfig) { c.Margin = -1 },
		} {
			cfg := good
			change(&cfg)
			if _, err := claim.Open(w.Context(), cfg); !errors.Is(err, grapnel.ErrInvalid) {
				w.Errorf("%s: %v", name, err)
			}
		}
		w.leases()
		cfg := good
		cfg.TTL, cfg.Margin = 0, 0
		s, err := claim.Open(w.Context(), cfg)
		if err != nil || s.TTL() != claim.DefaultTTL || s.Margin() != claim.DefaultMargin || s.Worker() != "w" {
			w.Fatalf("TTL %v, margin %v, %v", s.TTL(), s.Margin(), err)
		}
		if err := s.Revoke(w.Context()); err != nil {
			w.Error(err)
		}
	})
}

// Every call that opening and describing a session takes fails, in every way.
func TestASessionIsOpenedAndDescribedWhicheverCallFails(t *testing.T) {
	t.Parallel()
	for plan := range faultstore.EachCall(4) {
		t.Run(plan.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.st.SetRule(plan.Rule())
				cfg := claim.SessionConfig{Store: w.st, Keys: w.keys, Profile: &pb.Worker{Id: "w", Slots: 1}, TTL: ttl, Margin: margin}
				s, err := claim.Open(w.Context(), cfg)
				if errors.Is(err, grapnel.ErrUnavailable) {
					s, err = claim.Open(w.Context(), cfg)
				}
				if err != nil {
					w.Fatal(err)
				}
				defer s.GiveUp()
				if err := s.Describe(w.Context(), func(p *pb.Worker) { p.Slots++ }); err != nil {
					w.Fatal(err)
				}
				w.st.ReleaseLate()
				kv, _ := w.found(w.keys.Worker("w"))
				v := &pb.Worker{}
				if err := proto.Unmarshal(kv.Value, v); err != nil || v.Slots != 2 || kv.Lease != s.ID() {
					w.Errorf("the session key says %v under lease %x, %v", v, kv.Lease, err)
				}
				w.release(w.acquire(s, "0", 0))
			})
		})
	}
}
