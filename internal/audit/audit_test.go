package audit_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
)

const run = grapnel.RunID("r")

// history writes a history by hand, with no regard for any protocol. Its run is
// of two tasks, the second after the first.
type history struct {
	t     *testing.T
	mem   *memstore.Store
	keys  store.Keys
	head  *pb.Head
	lease store.LeaseID
}

func newHistory(t *testing.T) *history {
	keys, err := store.NewKeys("test")
	if err != nil {
		t.Fatal(err)
	}
	h := &history{t: t, mem: memstore.New(), keys: keys}
	t.Cleanup(h.mem.Close)
	lease, err := h.mem.Grant(t.Context(), 3600e9)
	if err != nil {
		t.Fatal(err)
	}
	h.lease = lease.ID
	def := &pb.Definition{Format: 1, Name: "flow", Nodes: []*pb.DefinitionNode{{Kind: 1, Name: "a", Task: "t"}, {Kind: 1, Name: "b", Task: "t", Needs: []uint32{0}}}}
	h.commit(store.Put(keys.Definition("def"), h.encode(def), 0))
	h.commit(store.Put(keys.ShardOwner(store.ShardOf(run)), nil, h.lease))
	h.head = &pb.Head{Run: string(run), Definition: "def", StartOperation: "op", NodeCount: 2, Started: 1000, Clock: 1000, Nodes: []*pb.Node{{Available: 1, Since: 1}}}
	h.commit(h.write(grapnel.RunRunning))
	return h
}

func (h *history) encode(m proto.Message) []byte {
	value, err := proto.Marshal(m)
	if err != nil {
		h.t.Fatal(err)
	}
	return value
}

func (h *history) commit(ops ...store.Op) int64 {
	h.t.Helper()
	res, err := h.mem.Commit(h.t.Context(), store.Txn{Then: ops})
	if err != nil {
		h.t.Fatal(err)
	}
	return int64(res.Revision)
}

// write puts the head as it is now.
func (h *history) write(status grapnel.RunStatus) store.Op {
	summary := make([]byte, 16)
	summary[0], summary[1] = 1, byte(status)
	return store.Put(h.keys.Head(run), append(summary, h.encode(h.head)...), 0)
}

func (h *history) claimKey(node int) string {
	return h.keys.Claim(run, grapnel.NodeKey(strconv.Itoa(node)))
}

func (h *history) instance() int64 {
	kv, err := h.mem.Get(h.t.Context(), h.keys.Head(run))
	if err != nil {
		h.t.Fatal(err)
	}
	return int64(kv.Create)
}

func (h *history) claim(node int, started int64) int64 {
	h.t.Helper()
	return h.commit(store.Put(h.claimKey(node), h.encode(&pb.Claim{Worker: "w", Started: started, Instance: h.instance()}), h.lease))
}

// lose makes a claim on a node and has it vanish.
func (h *history) lose(node int) int64 {
	h.t.Helper()
	fence := h.claim(node, 1000)
	h.commit(store.Delete(h.claimKey(node)))
	return fence
}

// offer puts an offer by an owner that knows history up to a revision.
func (h *history) offer(node int, asOf grapnel.Revision) {
	h.t.Helper()
	m := &pb.Message{Offers: []*pb.Offer{{Run: string(run), Instance: h.instance(), Node: uint32(node), AsOf: int64(asOf)}}}
	h.commit(store.Put(h.keys.Inbox("w")+"1", h.encode(m), h.lease))
}

func (h *history) node(i int) *pb.Node {
	for len(h.head.Nodes) <= i {
		h.head.Nodes = append(h.head.Nodes, &pb.Node{Index: uint32(len(h.head.Nodes))})
	}
	return h.head.Nodes[i]
}

// done marks node i as completed.
func (h *history) done(i int, fence int64) {
	n := h.node(i)
	n.Status, n.Fence, n.Output = uint32(grapnel.NodeCompleted), fence, []byte("1")
}

// complete completes node i under a claim of it.
func (h *history) complete(i int, status grapnel.RunStatus) {
	h.t.Helper()
	h.done(i, h.claim(i, 1000))
	h.commit(h.write(status), store.Delete(h.claimKey(i)))
}

// cancelled ends the run.
func (h *history) cancelled() {
	h.t.Helper()
	h.head.Cause = &pb.Failure{Kind: "cancelled", Node: -1}
	h.commit(h.write(grapnel.RunCancelled), store.DeletePrefix(h.keys.Claims(run)))
}

func (h *history) read() audit.Report {
	h.t.Helper()
	r, err := audit.Read(context.WithoutCancel(h.t.Context()), h.mem, h.keys)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestACleanHistoryKeepsAllPromises(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.claim(0, 1000)
	h.commit(store.Delete(h.claimKey(0)), h.write(grapnel.RunRunning)) // a release
	lost := h.claim(0, 1000)
	h.commit(store.Delete(h.claimKey(0))) // a loss
	h.node(0).Losses, h.node(0).LossFence, h.node(0).LostBy = 1, lost, []string{"w"}
	h.commit(h.write(grapnel.RunRunning))
	fence := h.claim(0, 1000)
	h.done(0, fence)
	h.node(1).CoverFence = fence
	h.commit(h.write(grapnel.RunRunning)) // the chain goes on under the same claim
	h.commit(store.Put(h.keys.Event(run, "e"), nil, 0))
	h.commit(h.write(grapnel.RunRunning), store.Delete(h.keys.Event(run, "e")), store.Put(h.keys.Folded(run, "e"), nil, 0))
	h.done(1, fence)
	h.node(1).CoverFence, h.node(1).Recorded = 0, true
	h.commit(h.write(grapnel.RunCompleted), store.DeletePrefix(h.keys.Claims(run)), store.Put(h.keys.Record(run, "1", 0), []byte("1"), 0))
	h.commit(store.Put(h.keys.Event(run, "late"), nil, 0))
	h.commit(store.Delete(h.keys.Event(run, "late")), store.Put(h.keys.Folded(run, "late"), []byte("refused"), 0))
	r := h.read()
	if len(r.Violations) > 0 || !r.Complete {
		t.Errorf("complete %v, violations %v", r.Complete, r.Violations)
	}
	if r.Runs != 1 || r.Ended != 1 || r.Nodes != 2 || r.Completed != 2 || r.Losses != 1 || r.Releases != 1 || r.Executions != 3 || r.Last != h.mem.Revision() {
		t.Errorf("report %+v", r)
	}
}

func TestALossThatFailsItsNodeIsCountedAllTheSame(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	lost := h.claim(0, 1000)
	h.commit(store.Delete(h.claimKey(0))) // a loss
	n := h.node(0)
	n.Losses, n.LossFence, n.Status = 1, lost, uint32(grapnel.NodeFailed)
	h.head.Cause = &pb.Failure{Kind: "lost"}
	h.commit(h.write(grapnel.RunFailed))
	if r := h.read(); len(r.Violations) > 0 || r.Losses != 1 {
		t.Errorf("%d losses, violations %v", r.Losses, r.Violations)
	}
}

func TestALossThatIsCountedLateIsCountedAllTheSame(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(h *history, fence int64){
		"while the node is claimed again": func(*history, int64) {},
		"after it failed once": func(h *history, fence int64) {
			h.node(0).Fence, h.node(0).Failures = fence, 1
			h.commit(h.write(grapnel.RunRunning), store.Delete(h.claimKey(0)))
		},
		"after it completed": func(h *history, fence int64) {
			h.done(0, fence)
			h.commit(h.write(grapnel.RunRunning), store.Delete(h.claimKey(0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			lost := h.claim(0, 1000)
			before := h.mem.Revision()
			h.commit(store.Delete(h.claimKey(0)))
			h.offer(0, before) // by an owner that does not know yet
			after(h, h.claim(0, 1000))
			h.node(0).Losses, h.node(0).LossFence = 1, lost
			h.commit(h.write(grapnel.RunRunning))
			if r := h.read(); len(r.Violations) > 0 || r.Losses != 1 {
				t.Errorf("%d losses, violations %v", r.Losses, r.Violations)
			}
		})
	}
}

func TestAnAttemptUnderAClaimThatWasLongUnknownBeginsInTime(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.node(0).Available = 51
	h.commit(h.write(grapnel.RunRunning))
	h.done(0, h.claim(0, 1010)) // too early, but nothing was executed yet
	h.node(0).Started = 61
	h.commit(h.write(grapnel.RunRunning), store.Delete(h.claimKey(0)))
	if r := h.read(); len(r.Violations) > 0 {
		t.Errorf("violations %v", r.Violations)
	}
}

func TestAClaimOnACoveredNodeIsNoLoss(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	fence := h.claim(0, 1000)
	h.done(0, fence)
	h.node(1).CoverFence = fence
	h.commit(h.write(grapnel.RunRunning))
	h.claim(1, 1000) // by an old offer
	h.commit(store.Delete(h.claimKey(1)))
	h.commit(store.Delete(h.claimKey(0)))
	h.node(1).CoverFence, h.node(1).Losses, h.node(1).LossFence = 0, 1, fence
	h.commit(h.write(grapnel.RunRunning))
	if r := h.read(); len(r.Violations) > 0 || r.Losses != 1 {
		t.Errorf("%d losses, violations %v; only the chain's counts", r.Losses, r.Violations)
	}
}

func TestEachBrokenPromiseIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		promise string
		violate func(h *history)
	}{
		"outcome under no claim":  {"one outcome", func(h *history) { h.done(0, 99); h.commit(h.write(grapnel.RunRunning)) }},
		"outcome without a fence": {"one outcome", func(h *history) { h.node(0).Status = 1; h.commit(h.write(grapnel.RunRunning)) }},
		"fence that falls": {"one outcome", func(h *history) {
			h.node(0).Fence = h.claim(0, 1000)
			h.commit(h.write(grapnel.RunRunning))
			h.node(0).Fence = 1
			h.commit(h.write(grapnel.RunRunning))
		}},
		"cover without a claim": {"one outcome", func(h *history) {
			h.complete(0, grapnel.RunRunning)
			h.node(1).CoverFence = 99
			h.commit(h.write(grapnel.RunRunning))
		}},
		"join before its need": {"order", func(h *history) { h.complete(1, grapnel.RunRunning) }},
		"attempt older than its need": {"order", func(h *history) {
			fence := h.claim(1, 1000)
			h.complete(0, grapnel.RunRunning)
			h.done(1, fence)
			h.commit(h.write(grapnel.RunCompleted), store.Delete(h.claimKey(1)))
		}},
		"output that changes": {"write-once", func(h *history) {
			h.complete(0, grapnel.RunRunning)
			h.node(0).Output = []byte("2")
			h.commit(h.write(grapnel.RunRunning))
		}},
		"record put twice": {"write-once", func(h *history) {
			h.commit(store.Put(h.keys.Record(run, "0", 0), nil, 0))
			h.commit(store.Put(h.keys.Record(run, "0", 0), nil, 0))
		}},
		"record deleted": {"write-once", func(h *history) {
			h.commit(store.Put(h.keys.Record(run, "0", 0), nil, 0))
			h.commit(store.Delete(h.keys.Record(run, "0", 0)))
		}},
		"run that changes after its end": {"write-once", func(h *history) {
			h.cancelled()
			h.head.Clock++
			h.commit(h.write(grapnel.RunCancelled))
		}},
		"retry of a completed run": {"write-once", func(h *history) {
			h.complete(0, grapnel.RunRunning)
			h.complete(1, grapnel.RunCompleted)
			h.head.Generation++
			h.commit(h.write(grapnel.RunRunning))
		}},
		"start that makes two runs": {"nothing lost", func(h *history) {
			h.commit(store.Delete(h.keys.Head(run)))
			h.commit(h.write(grapnel.RunRunning))
		}},
		"completed with a node open": {"nothing lost", func(h *history) { h.complete(0, grapnel.RunCompleted) }},
		"recorded output without its record": {"nothing lost", func(h *history) {
			h.node(0).Recorded = true
			h.complete(0, grapnel.RunRunning)
		}},
		"completion after a cancel": {"cancel holds", func(h *history) {
			fence := h.claim(0, 1000)
			h.commit(h.write(grapnel.RunCancelling))
			h.done(0, fence)
			h.commit(h.write(grapnel.RunCancelling), store.Delete(h.claimKey(0)))
		}},
		"cancel that is undone": {"cancel holds", func(h *history) {
			h.commit(h.write(grapnel.RunCancelling))
			h.commit(h.write(grapnel.RunRunning))
		}},
		"loss that did not happen": {"honest count", func(h *history) {
			fence := h.claim(0, 1000)
			h.commit(store.Delete(h.claimKey(0)), h.write(grapnel.RunRunning))
			h.node(0).Losses, h.node(0).LossFence = 1, fence
			h.commit(h.write(grapnel.RunRunning))
		}},
		"loss left out": {"honest count", func(h *history) {
			h.lose(0)
			h.node(0).Losses, h.node(0).LossFence = 1, h.lose(0)
			h.commit(h.write(grapnel.RunRunning))
		}},
		"loss counted twice": {"honest count", func(h *history) {
			h.node(0).Losses, h.node(0).LossFence = 1, h.lose(0)
			h.commit(h.write(grapnel.RunRunning))
			h.node(0).Losses = 2
			h.commit(h.write(grapnel.RunRunning))
		}},
		"lost node offered before its loss is counted": {"honest count", func(h *history) {
			h.lose(0)
			h.offer(0, h.mem.Revision())
		}},
		"loss counted without an owner": {"no stale leader", func(h *history) {
			fence := h.claim(0, 1000)
			h.commit(store.Delete(h.claimKey(0)))
			h.commit(store.Delete(h.keys.ShardOwner(store.ShardOf(run))))
			h.node(0).Losses, h.node(0).LossFence = 1, fence
			h.commit(h.write(grapnel.RunRunning))
		}},
		"event that vanishes": {"exactly-once folding", func(h *history) {
			h.commit(store.Put(h.keys.Event(run, "e"), nil, 0))
			h.commit(store.Delete(h.keys.Event(run, "e")), h.write(grapnel.RunRunning))
		}},
		"event folded without the head": {"exactly-once folding", func(h *history) {
			h.commit(store.Put(h.keys.Event(run, "e"), nil, 0))
			h.commit(store.Delete(h.keys.Event(run, "e")), store.Put(h.keys.Folded(run, "e"), nil, 0))
		}},
		"event that comes again": {"exactly-once folding", func(h *history) {
			h.commit(store.Put(h.keys.Folded(run, "e"), nil, 0), h.write(grapnel.RunRunning))
			h.commit(store.Put(h.keys.Event(run, "e"), nil, 0))
		}},
		"event refused by a running run": {"exactly-once folding", func(h *history) {
			h.commit(store.Put(h.keys.Folded(run, "e"), []byte("refused"), 0))
		}},
		"end over an event": {"exactly-once folding", func(h *history) {
			h.commit(store.Put(h.keys.Event(run, "e"), nil, 0))
			h.cancelled()
		}},
		"claim without a lease": {"leased", func(h *history) {
			h.commit(store.Put(h.claimKey(0), h.encode(&pb.Claim{Instance: h.instance()}), 0))
		}},
		"attempt before its time": {"timers", func(h *history) {
			h.node(0).Available = 51
			h.commit(h.write(grapnel.RunRunning))
			h.done(0, h.claim(0, 1010))
			h.commit(h.write(grapnel.RunRunning), store.Delete(h.claimKey(0)))
		}},
		"clock that goes back": {"timers", func(h *history) { h.head.Clock--; h.commit(h.write(grapnel.RunRunning)) }},
		"claim left on an ended run": {"no ghost", func(h *history) {
			h.claim(0, 1000)
			h.head.Cause = &pb.Failure{Kind: "cancelled"}
			h.commit(h.write(grapnel.RunCancelled))
		}},
		"claim that outlives its run": {"no ghost", func(h *history) {
			h.claim(0, 1000)
			h.commit(store.Delete(h.keys.Head(run)))
		}},
		"claim for another instance": {"no ghost", func(h *history) {
			h.commit(store.Put(h.claimKey(0), h.encode(&pb.Claim{Instance: 1}), h.lease))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			c.violate(h)
			r := h.read()
			if !r.Complete || len(r.Violations) == 0 {
				t.Fatalf("complete %v, violations %v", r.Complete, r.Violations)
			}
			for _, v := range r.Violations {
				if v.Promise != c.promise {
					t.Errorf("reported as %v", v)
				}
				if !strings.Contains(v.String(), strconv.Itoa(int(v.Revision))) || v.Revision == 0 {
					t.Errorf("%v says nothing of its revision", v)
				}
			}
		})
	}
}

func TestHistoryWithAGapIsNotComplete(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.complete(0, grapnel.RunRunning)
	var events []store.Event
	ctx, cancel := context.WithCancel(t.Context())
	for b := range h.mem.Watch(ctx, store.WatchRequest{From: 1}) {
		if events = append(events, b.Events...); b.Revision == h.mem.Revision() {
			break
		}
	}
	cancel()
	for i := range events {
		a := audit.New(h.keys)
		a.Apply(slices.Concat(events[:i], events[i+1:]))
		single := i > 0 && events[i-1].KV.Mod == events[i].KV.Mod || i+1 < len(events) && events[i+1].KV.Mod == events[i].KV.Mod
		last := i == len(events)-1
		if r := a.Report(); r.Complete != (single || last) {
			t.Errorf("without the event of revision %d: complete is %v", events[i].KV.Mod, r.Complete)
		}
	}
	if err := h.mem.Compact(4); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Read(t.Context(), h.mem, h.keys); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a compacted history is read with %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if r, err := audit.Read(stopped, h.mem, h.keys); err == nil {
		t.Errorf("a reading that was stopped reports %+v", r)
	}
}

func TestAnEmptyStoreIsClean(t *testing.T) {
	t.Parallel()
	keys, err := store.NewKeys("test")
	if err != nil {
		t.Fatal(err)
	}
	mem := memstore.New()
	defer mem.Close()
	if r, err := audit.Read(t.Context(), mem, keys); err != nil || !r.Complete || len(r.Violations) > 0 {
		t.Errorf("report %+v, %v", r, err)
	}
}
