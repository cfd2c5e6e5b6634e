//go:build unix

package integration_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/faultstore"
)

func TestNothingLostWithTwoStartersOnOneID(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1, w1 := sp.owner("c1"), sp.worker("w1")
	const ids, starters = 20, 3
	var clients []*client.Client
	for range starters {
		_, c := sp.connect()
		clients = append(clients, c)
	}
	runID := func(i int) grapnel.RunID { return grapnel.RunID(fmt.Sprintf("run-%d", i)) }
	var won [ids]atomic.Pointer[client.Run[int]]
	var wg sync.WaitGroup
	for i := range ids {
		for _, c := range clients {
			wg.Go(func() {
				run, err := client.Start(sp.ctx, c, flowChain, i, client.WithID(runID(i)))
				switch {
				case err == nil:
					if !won[i].CompareAndSwap(nil, run) {
						t.Errorf("nothing lost: two starters both made run %s", runID(i))
					}
				case !errors.Is(err, grapnel.ErrExists):
					t.Errorf("start run %s: %v", runID(i), err)
				}
			})
		}
	}
	sp.begun(runID(0), 1)
	w1.kill()
	c1.kill()
	wg.Wait()
	sp.owner("c2")
	sp.worker("w2")
	for i := range ids {
		sp.open(runID(i)) // all of them: there are more than the worker has slots
	}
	for i := range ids {
		if run := won[i].Load(); run == nil {
			t.Errorf("nothing lost: nobody made run %s", runID(i))
		} else {
			completes(sp, run, i+2)
		}
	}
	if r := sp.audit(); r.Runs != ids || r.Completed != 2*ids {
		t.Errorf("nothing lost: %d runs and %d completed nodes, want %d and %d", r.Runs, r.Completed, ids, 2*ids)
	}
}

// losingReply returns a client whose next commit that writes the head of a run
// is applied and its reply lost, which it learns after something has happened.
func (sp *space) losingReply(run grapnel.RunID, meanwhile func()) *client.Client {
	lost := false
	return sp.clientOn(faultstore.New(sp.st, func(i faultstore.Info) faultstore.Action {
		if lost || i.Kind != faultstore.Commit || !slices.ContainsFunc(i.Txn.Then, func(o store.Op) bool {
			return o.Kind == store.OpPut && o.Key == sp.keys.Head(run)
		}) {
			return faultstore.Action{}
		}
		lost = true
		return faultstore.Action{Fault: faultstore.After, Leave: meanwhile}
	}))
}

func TestOwnCommitOfAStartWhoseReplyIsLostAndWhoseRunHasMovedOn(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	c1, w1 := sp.owner("c1"), sp.worker("w1")
	const id = "the-run"
	var ended *client.RunInfo
	cl := sp.losingReply(id, func() {
		sp.begun(id, 1)
		w1.kill()
		c1.kill()
		sp.owner("c2")
		sp.worker("w2")
		sp.open(id)
		var err error
		if ended, err = sp.client.WaitEnded(sp.ctx, id); err != nil {
			t.Fatal(err)
		}
	})
	run, err := client.Start(sp.ctx, cl, flowChain, 1, client.WithID(id))
	if err != nil {
		t.Fatalf("own commit: the start that had arrived returned %v", err)
	}
	if ended == nil || run.Instance() != ended.Instance {
		t.Fatalf("own commit: the start returned instance %d, the run was %v", run.Instance(), ended)
	}
	completes(sp, run, 3)
	if r := sp.audit(); r.Runs != 1 || r.Completed != 2 {
		t.Errorf("nothing lost: %d runs and %d completed nodes, want 1 and 2", r.Runs, r.Completed)
	}
}

func TestNothingTwiceByAStartWhoseReplyIsLostAndWhoseRunIsGone(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	sp.owner("c1")
	sp.worker("w1")
	const id = "the-run"
	cl := sp.losingReply(id, func() {
		sp.open(id)
		if _, err := sp.client.WaitEnded(sp.ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := sp.client.Delete(sp.ctx, id); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := client.Start(sp.ctx, cl, flowChain, 1, client.WithID(id)); !errors.Is(err, grapnel.ErrRunGone) {
		t.Errorf("own commit: the start of a run that was deleted since returned %v", err)
	}
	// The id is free for another one.
	completes(sp, begin(sp, flowChain, id), 3)
	if r := sp.audit(); r.Runs != 1 {
		t.Errorf("nothing lost: %d runs, want 1", r.Runs)
	}
}
