package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// scripted is a store whose commits end as planned, one after another.
type scripted struct {
	store.Store
	ends []error
	sent []store.Txn
}

var applied = store.Result{Succeeded: true, Revision: 7}

func (s *scripted) Commit(_ context.Context, t store.Txn) (store.Result, error) {
	s.sent = append(s.sent, t)
	err := s.ends[min(len(s.sent), len(s.ends))-1]
	if err != nil {
		return store.Result{}, err
	}
	return applied, nil
}

var (
	errUnknown = fmt.Errorf("commit: %w", grapnel.ErrUnknown)
	errDown    = fmt.Errorf("commit: %w", grapnel.ErrUnavailable)
	errFull    = fmt.Errorf("commit: %w", grapnel.ErrOverCapacity)
	errNoLease = fmt.Errorf("commit: %w", store.ErrLeaseNotFound)
)

func TestSettleSendsAgainUntilTheOutcomeIsKnown(t *testing.T) {
	t.Parallel()
	txn := store.Txn{If: []store.Guard{store.ModIs("a", 3)}, Then: []store.Op{store.Put("a", []byte("x"), 0)}}
	for name, c := range map[string]struct {
		ends []error
		sent int
		err  error
	}{
		"an answer":                                   {[]error{nil}, 1, nil},
		"an answer after unknown outcomes":            {[]error{errUnknown, errUnknown, nil}, 3, nil},
		"a refusal":                                   {[]error{errDown}, 1, grapnel.ErrUnavailable},
		"a lease that is gone":                        {[]error{errNoLease}, 1, store.ErrLeaseNotFound},
		"refusals after an unknown outcome":           {[]error{errUnknown, errDown, errFull, errUnknown, nil}, 5, nil},
		"a lease that is gone after unknown outcomes": {[]error{errUnknown, errDown, errNoLease}, 3, store.ErrLeaseNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{ends: c.ends}
				res, late, err := store.SettleLate(t.Context(), s, txn)
				if want := err == nil && len(c.ends) > 1; late != want {
					t.Errorf("a sending may be on its way: %t, want %t", late, want)
				}
				if !errors.Is(err, c.err) || errors.Is(err, grapnel.ErrUnknown) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				if c.err == nil && (!res.Succeeded || res.Revision != applied.Revision) {
					t.Errorf("result %+v", res)
				}
				if len(s.sent) != c.sent {
					t.Errorf("sent %d times, want %d", len(s.sent), c.sent)
				}
				for _, sent := range s.sent {
					if diff := cmp.Diff(txn, sent); diff != "" {
						t.Errorf("not what was to be sent: %s", diff)
					}
				}
			})
		})
	}
}

// answering is a store that refuses guards and answers reads by a function.
type answering struct {
	store.Store
	read func() (store.Result, error)
	sent []store.Txn
}

func (s *answering) Commit(_ context.Context, t store.Txn) (store.Result, error) {
	s.sent = append(s.sent, t)
	if len(t.If) > 0 {
		return store.Result{Revision: 7, Reads: make([]store.Read, len(t.Else))}, nil
	}
	return s.read()
}

func TestAttemptReadsWhyAGuardDidNotHold(t *testing.T) {
	t.Parallel()
	found := store.Result{Succeeded: true, Revision: 9, Reads: []store.Read{{Found: true}}}
	guard, put, get := store.ModIs("a", 3), store.Put("a", []byte("x"), 0), store.Get("a")
	for name, c := range map[string]struct {
		txn  store.Txn
		read error
		sent []store.Txn
		want store.Result
		err  error
	}{
		"behind a failed guard": {
			txn:  store.Txn{If: []store.Guard{guard}, Then: []store.Op{put}, Else: []store.Op{get}},
			sent: []store.Txn{{If: []store.Guard{guard}, Then: []store.Op{put}}, {Then: []store.Op{get}}},
			want: store.Result{Revision: 9, Reads: found.Reads},
		},
		"not what nobody asks for": {
			txn:  store.Txn{If: []store.Guard{guard}, Then: []store.Op{put}},
			sent: []store.Txn{{If: []store.Guard{guard}, Then: []store.Op{put}}},
			want: store.Result{Revision: 7},
		},
		"in one transaction if Else writes": {
			txn:  store.Txn{If: []store.Guard{guard}, Then: []store.Op{put}, Else: []store.Op{get, put}},
			sent: []store.Txn{{If: []store.Guard{guard}, Then: []store.Op{put}, Else: []store.Op{get, put}}},
			want: store.Result{Revision: 7, Reads: make([]store.Read, 2)},
		},
		"in one transaction if nothing writes": {
			txn:  store.Txn{If: []store.Guard{guard}, Then: []store.Op{get}, Else: []store.Op{get}},
			sent: []store.Txn{{If: []store.Guard{guard}, Then: []store.Op{get}, Else: []store.Op{get}}},
			want: store.Result{Revision: 7, Reads: make([]store.Read, 1)},
		},
		"or says that nothing was written": {
			txn:  store.Txn{If: []store.Guard{guard}, Then: []store.Op{put}, Else: []store.Op{get}},
			read: errUnknown,
			sent: []store.Txn{{If: []store.Guard{guard}, Then: []store.Op{put}}, {Then: []store.Op{get}}},
			err:  grapnel.ErrUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &answering{read: func() (store.Result, error) { return found, c.read }}
			got, err := store.Attempt(t.Context(), s, c.txn)
			if !errors.Is(err, c.err) || errors.Is(err, grapnel.ErrUnknown) {
				t.Errorf("error %v, want %v and no unknown outcome", err, c.err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.sent, s.sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettleIsSettleLateWithoutTheLateness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{ends: []error{errUnknown, nil}}
		if res, err := store.Settle(t.Context(), s, store.Txn{}); err != nil || res.Revision != applied.Revision || len(s.sent) != 2 {
			t.Errorf("sent %d times: %+v, %v", len(s.sent), res, err)
		}
	})
}

func TestSettleSaysUnknownWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string][]error{
		"no answer at all":                    {errUnknown},
		"only refusals after the first reply": {errUnknown, errDown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cause := errors.New("had enough")
				ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, cause)
				defer cancel()
				s := &scripted{ends: ends}
				_, late, err := store.SettleLate(ctx, s, store.Txn{})
				if !late {
					t.Error("no sending may be on its way, it says")
				}
				if !errors.Is(err, grapnel.ErrUnknown) || !errors.Is(err, cause) {
					t.Errorf("error %v, want one that is unknown and the cause", err)
				}
				if errors.Is(err, grapnel.ErrUnavailable) {
					t.Errorf("error %v says that nothing was written", err)
				}
				// 8 pauses take 255 ms; then there is one every 250 ms.
				if n := len(s.sent); n < 12 || n > 30 {
					t.Errorf("sent %d times in 3 s", n)
				}
			})
		})
	}
}

func TestPausesDoubleUpToALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p store.Pause
		for i, ms := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 250, 250} {
			start := time.Now()
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != ms*time.Millisecond {
				t.Errorf("pause %d took %v, want %d ms", i, took, ms)
			}
		}
	})
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("had enough")
		cancel(cause)
		var p store.Pause
		start := time.Now()
		if err := p.Wait(ctx); !errors.Is(err, cause) {
			t.Errorf("error %v, want the cause", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
