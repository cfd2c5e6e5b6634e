package wfrun

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/internal/wfformat"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// scene is a run in a store in memory, with a view of it.
type scene struct {
	st   *memstore.Store
	keys store.Keys
	runs *snapshot.Runs
	head *snapshot.Head
	view *view
}

func newScene(t *testing.T) *scene {
	t.Helper()
	st := memstore.New()
	t.Cleanup(st.Close)
	keys, err := store.NewKeys("default")
	if err != nil {
		t.Fatal(err)
	}
	w, err := wfformat.Generate("chain", 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	def, err := w.Definition("", 0)
	if err != nil {
		t.Fatal(err)
	}
	runs := snapshot.NewRuns(st, keys, snapshot.NewDefinitions(st, keys))
	h, _, err := runs.Create(t.Context(), snapshot.CreateRequest{
		Run: "r", Definition: def, Operation: "op", Input: []byte("null"), Now: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &scene{st: st, keys: keys, runs: runs, head: h, view: newView(st, keys, "r")}
}

func (s *scene) put(t *testing.T, key string, m proto.Message) grapnel.Fence {
	t.Helper()
	value, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put(key, value, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	return grapnel.Fence(res.Revision)
}

// complete completes a node, and ends the run with the last one.
func (s *scene) complete(t *testing.T, node int, fence grapnel.Fence) {
	t.Helper()
	h, err := s.runs.Update(t.Context(), s.head, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
		c := snapshot.Change{Ops: []store.Op{store.Delete(s.keys.Claim("r", snapshot.NodeKey(node)))}}
		if _, err := h.Advance(workflow.NodeCompleted{Node: node, Fence: fence, Now: 1000, Output: []byte("1")}); err != nil {
			return c, err
		}
		if h.State.Finished() {
			_, err := h.Advance(workflow.RunEnded{Now: 1000})
			return c, err
		}
		return c, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.head = h
}

// until waits until the view looks as wanted.
func (s *scene) until(t *testing.T, want func(sight) bool) {
	t.Helper()
	for {
		now := s.view.look()
		if want(now) {
			return
		}
		select {
		case <-now.changed:
		case <-t.Context().Done():
			t.Fatalf("the view stays at %+v", now)
		}
	}
}

func TestViewFollowsClaimsOwnerAndProgressToTheEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	owner := s.keys.ShardOwner(store.ShardOf("r"))
	s.put(t, owner, &pb.Coordinator{Pid: 11})
	fence := s.put(t, s.keys.Claim("r", "0"), &pb.Claim{Worker: "worker-1.x"})
	done := make(chan error, 1)
	go func() { done <- s.view.follow(t.Context()) }()

	s.until(t, func(now sight) bool {
		return now.owner == 11 && len(now.holders) == 1 && now.holders[0] == "worker-1.x"
	})
	s.complete(t, 0, fence)
	s.put(t, owner, &pb.Coordinator{Pid: 12})
	s.until(t, func(now sight) bool { return now.completed == 1 && now.owner == 12 && now.running == 0 })
	fence = s.put(t, s.keys.Claim("r", "1"), &pb.Claim{Worker: "worker-2.y"})
	s.until(t, func(now sight) bool { return now.running == 1 })
	s.complete(t, 1, fence)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if now := s.view.look(); now.status != grapnel.RunCompleted || now.completed != 2 {
		t.Errorf("the view ends with %+v", now)
	}
}

func TestViewGoesOnOnceTheStoreCanBeReachedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	fence := s.put(t, s.keys.Claim("r", "0"), &pb.Claim{Worker: "worker-1.x"})
	var refused atomic.Int32
	s.st.Fail(func(bool) error {
		if refused.Add(1) <= 3 {
			return grapnel.ErrUnavailable
		}
		return nil
	})
	done := make(chan error, 1)
	go func() { done <- s.view.follow(t.Context()) }()
	s.until(t, func(now sight) bool { return now.running == 1 })
	s.complete(t, 0, fence)
	s.complete(t, 1, fence+1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestViewEndsWithItsContextsCause(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.view.follow(ctx) }()
	cause := errors.New("enough")
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestViewOfADeletedRunEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.put(t, s.keys.ShardOwner(store.ShardOf("r")), &pb.Coordinator{Pid: 11})
	done := make(chan error, 1)
	go func() { done <- s.view.follow(t.Context()) }()
	s.until(t, func(now sight) bool { return now.owner == 11 })
	if err := s.runs.Delete(t.Context(), s.head); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, grapnel.ErrRunGone) {
		t.Errorf("got %v", err)
	}
}
