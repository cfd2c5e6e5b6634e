//go:build unix

package integration_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// begin starts a run.
func begin[Out any](sp *space, w *workflow.Workflow[int, Out], id grapnel.RunID) *client.Run[Out] {
	sp.t.Helper()
	run, err := client.Start(sp.ctx, sp.client, w, 1, client.WithID(id))
	if err != nil {
		sp.t.Fatalf("start run %s: %v", id, err)
	}
	return run
}

// completes waits for a run's output.
func completes[Out comparable](sp *space, run *client.Run[Out], want Out) {
	sp.t.Helper()
	got, err := run.Wait(sp.ctx)
	if err != nil || got != want {
		sp.t.Fatalf("nothing lost: output of run %s is %v, %v; want %v", run.ID(), got, err, want)
	}
}

// begun waits until a waiting task of a run has begun in so many attempts, and
// returns the worker of the last one and its fence.
func (sp *space) begun(run grapnel.RunID, attempts int) (grapnel.WorkerID, grapnel.Fence) {
	sp.t.Helper()
	var last store.KV
	sp.await("an attempt begins", sp.signs.begun(run), func(kvs map[string]store.KV) bool {
		for _, kv := range kvs {
			if kv.Mod > last.Mod {
				last = kv
			}
		}
		return len(kvs) >= attempts
	})
	return grapnel.WorkerID(last.Value), sp.fence(run)
}

// fence is that of the claim of a run's first node, zero without one.
func (sp *space) fence(run grapnel.RunID) grapnel.Fence {
	sp.t.Helper()
	kv, err := sp.st.Get(sp.ctx, sp.keys.Claim(run, snapshot.NodeKey(0)))
	if errors.Is(err, grapnel.ErrNotFound) {
		return 0
	}
	if err != nil {
		sp.t.Fatal(err)
	}
	return grapnel.Fence(kv.Create)
}

// open lets the waiting tasks of a run go on.
func (sp *space) open(run grapnel.RunID) {
	sp.t.Helper()
	if err := patiently(sp.ctx, func() error {
		_, err := sp.st.Commit(sp.ctx, store.Txn{Then: []store.Op{store.Put(sp.signs.open(run), nil, 0)}})
		return err
	}); err != nil {
		sp.t.Fatal(err)
	}
}

// get returns what is known of a run.
func (sp *space) get(run grapnel.RunID) *client.RunInfo {
	sp.t.Helper()
	info, err := sp.client.Get(sp.ctx, run)
	if err != nil {
		sp.t.Fatal(err)
	}
	return info
}

// head returns the revision that wrote a run's head last.
func (sp *space) head(run grapnel.RunID) grapnel.Revision {
	sp.t.Helper()
	kv, err := sp.st.Get(sp.ctx, sp.keys.Head(run))
	if err != nil {
		sp.t.Fatal(err)
	}
	return kv.Mod
}

// isOf reports whether a session is one of the worker process of this name.
func isOf(w grapnel.WorkerID, c *child) bool { return strings.HasPrefix(string(w), c.name+".") }

func TestOneOutcomeOfAWorkerStoppedLongerThanItsTTL(t *testing.T) {
	t.Parallel()
	sp := newSpace(t)
	sp.owner("c1")
	w1 := sp.worker("w1")
	run := begin(sp, flowStubborn, "the-run")
	first, fence := sp.begun(run.ID(), 1)
	w2 := sp.worker("w2")
	w1.pause()
	second, later := sp.begun(run.ID(), 2)
	if !isOf(first, w1) || !isOf(second, w2) || later <= fence {
		t.Fatalf("one outcome: attempts of %s with fence %d and %s with fence %d", first, fence, second, later)
	}
	sp.open(run.ID())
	completes(sp, run, 2)
	ended := sp.head(run.ID())

	// The first attempt's function returns now, which must not count.
	w1.resume()
	sp.session("w1", first)
	w2.stop()
	next := begin(sp, flowWait, "the-next-run")
	if w, _ := sp.begun(next.ID(), 1); !isOf(w, w1) {
		t.Errorf("the node of the next run went to %s", w)
	}
	sp.open(next.ID())
	completes(sp, next, 2)
	if now := sp.head(run.ID()); now != ended {
		t.Errorf("write-once: the run ended at revision %d and was written at %d", ended, now)
	}
	if r := sp.audit(); r.Completed != 2 || r.Executions != 3 || r.Losses != 1 {
		t.Errorf("one outcome: %d nodes completed in %d executions, %d losses; want 2, 3 and 1", r.Completed, r.Executions, r.Losses)
	}
}
