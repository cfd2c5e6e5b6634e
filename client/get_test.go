package client_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

// claim puts a claim, as a worker would, and returns its fence.
func (w *world) claim(id grapnel.RunID, node int, worker string) grapnel.Fence {
	w.t.Helper()
	value, err := proto.Marshal(&pb.Claim{Worker: worker, Attempt: 1, Started: 1000, Progress: []byte(`{"at":3}`)})
	if err != nil {
		w.t.Fatal(err)
	}
	return grapnel.Fence(w.put(w.keys.Claim(id, snapshot.NodeKey(node)), value))
}

func (w *world) nodes(id grapnel.RunID, o ...client.GetOption) []client.NodeInfo {
	w.t.Helper()
	info, err := w.c.Get(w.t.Context(), id, o...)
	if err != nil {
		w.t.Fatal(err)
	}
	return info.Nodes
}

func TestNodeStatesAreDerivedFromStateAndClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	states := func() [2]client.NodeState {
		n := w.nodes("r")
		return [2]client.NodeState{n[0].State, n[1].State}
	}
	want := func(when string, first, second client.NodeState) {
		t.Helper()
		if got := states(); got != [2]client.NodeState{first, second} {
			t.Errorf("%s the states are %v; want %v and %v", when, got, first, second)
		}
	}
	want("at the start", client.NodeAvailable, client.NodePending)

	fence := w.claim("r", 0, "w1")
	want("under a claim", client.NodeRunning, client.NodePending)
	if n := w.nodes("r")[0]; n.Worker != "w1" || n.Fence != fence || n.Attempt != 1 || string(n.Progress) != `{"at":3}` || n.Started.UnixMilli() != 1000 {
		t.Errorf("the running node is %+v", n)
	}

	w.apply("r", workflow.NodeCompleted{Node: 0, Fence: fence, Output: []byte("2")},
		workflow.NodeCovered{Node: 1, By: 0, Fence: fence, Now: 2000})
	want("in a chain", client.NodeCompleted, client.NodeRunning)
	if n := w.nodes("r")[1]; n.Worker != "w1" || n.Fence != fence {
		t.Errorf("the chained node is %+v", n)
	}

	if _, err := w.st.Commit(t.Context(), deleteKey(w.keys.Claim("r", "0"))); err != nil {
		t.Fatal(err)
	}
	want("without the claim that covered it", client.NodeCompleted, client.NodeAvailable)

	w.fence = fence
	w.fail("r", 1, "no ink")
	want("at the end", client.NodeCompleted, client.NodeFailed)
	if n := w.nodes("r")[1]; n.Failures != 1 || n.LastFailure == nil || n.LastFailure.Message != "no ink" {
		t.Errorf("the failed node is %+v", n)
	}
}

func TestANodeThatWasCutShortShowsWhenItBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	began := workflow.MomentOf(time.Now()) + 1000
	w.apply("r", workflow.RunCancelled{Now: began + 2000}, workflow.RunEnded{Now: began + 2000, Started: map[int]workflow.Moment{0: began}})
	n := w.nodes("r")
	if n[0].State != client.NodeCancelled || workflow.MomentOf(n[0].Started) != began || !n[1].Started.IsZero() {
		t.Errorf("the node that was cut short is %+v, the one behind it %+v", n[0], n[1])
	}
}

func TestANodeWaitsForItsNextAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retried := workflow.NewTask[int, int]("retried", workflow.Retry(workflow.RetryPolicy{Attempts: 3}))
	flow := workflow.New("retry", func(g *workflow.Graph, in workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, retried, in)
	})
	if _, err := client.Start(t.Context(), w.c, flow, 1, client.WithID("r")); err != nil {
		t.Fatal(err)
	}
	w.apply("r", workflow.AttemptFailed{Fence: 1, Attempt: 1, RetryAt: 1 << 50})
	if n := w.nodes("r")[0]; n.State != client.NodeWaiting || n.Attempt != 2 || n.Failures != 1 {
		t.Errorf("the node is %+v", n)
	}
}

func TestOutputsComeOnRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	w.complete("r", 0, "2")
	w.complete("r", 1, "4")
	info, err := w.c.Get(t.Context(), "r")
	if err != nil || info.Output != nil || info.Nodes[0].Output != nil || string(info.Input) != "1" {
		t.Errorf("Get returned %+v, %v", info, err)
	}
	info, err = w.c.Get(t.Context(), "r", client.WithOutput(), client.WithNodeOutputs())
	if err != nil || string(info.Output) != "4" || string(info.Nodes[0].Output) != "2" {
		t.Errorf("Get returned %+v, %v", info, err)
	}
}

func TestRunsAreWrittenAsJSONThatPeopleCanRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r", client.WithLabels(map[string]string{"team": "a"}))
	info, err := w.c.Get(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id":"r"`, `"status":"running"`, `"labels":{"team":"a"}`, `"state":"available"`, `"input":1`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%s is not in %s", want, data)
		}
	}
	for _, not := range []string{`"ended"`, `"deadline"`, `"problem"`} {
		if bytes.Contains(data, []byte(not)) {
			t.Errorf("%s is in %s", not, data)
		}
	}
	var back client.RunInfo
	if err := json.Unmarshal(data, &back); err != nil || back.Status != grapnel.RunRunning {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestACorruptRunIsReportedAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(w.keys.Head("bad"), []byte("\x01garbage"))
	_, err := w.c.Get(t.Context(), "bad")
	wantIs(t, err, grapnel.ErrCorrupt)
	wantIs(t, w.c.Delete(t.Context(), "bad"), grapnel.ErrCorrupt)
	if kv, err := w.st.Get(t.Context(), w.keys.Head("bad")); err != nil || string(kv.Value) != "\x01garbage" {
		t.Errorf("the head is %q, %v", kv.Value, err)
	}
	page, err := w.c.List(t.Context(), client.Filter{Workflow: "other"}, "", 10)
	if err != nil || len(page.Runs) != 1 {
		t.Fatalf("List returned %+v, %v", page, err)
	}
	if run := page.Runs[0]; run.ID != "bad" || !strings.Contains(run.Problem, "corrupt") {
		t.Errorf("List has %+v", run)
	}
	wantIs(t, page.Runs[0].Err, grapnel.ErrCorrupt)
}
