package client_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/workflow"
)

func (w *world) overview(window time.Duration) *client.Overview {
	w.t.Helper()
	o, err := w.c.Overview(w.t.Context(), window)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func TestTheOverviewOfAnEmptyNamespaceHasEmptyLists(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(newWorld(t).overview(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"queues":[]`, `"workers":[]`, `"running":[]`, `"runs":{}`, `"window_seconds":10`} {
		if !strings.Contains(string(data), part) {
			t.Errorf("%s lacks %s", data, part)
		}
	}
}

func TestTheOverviewCountsNodesByQueueAndWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enlist(snapshot.Profile{Worker: "w1", Host: "h", Queues: []string{"default", "gpu"}, Slots: 2})
	w.enlist(snapshot.Profile{Worker: "w2", Queues: []string{"gpu"}, Slots: 8, Draining: true})
	for _, id := range []grapnel.RunID{"waiting", "running", "chained", "failed"} {
		w.start(id)
	}
	w.claim("running", 0, "w1")
	fence := w.claim("chained", 0, "w1")
	w.apply("chained", workflow.NodeCompleted{Node: 0, Fence: fence, Output: []byte("2")},
		workflow.NodeCovered{Node: 1, By: 0, Fence: fence, Now: workflow.MomentOf(time.Now())})
	w.fence = fence
	w.fail("failed", 0, "no ink")
	w.put(w.keys.Head("garbage"), []byte("\xff"))

	o := w.overview(time.Hour)
	if o.Runs[grapnel.RunRunning] != 3 || len(o.Runs) != 1 || o.Unreadable != 1 {
		t.Errorf("runs are %v, %d of them unreadable", o.Runs, o.Unreadable)
	}
	if len(o.Queues) != 2 {
		t.Fatalf("queues are %+v", o.Queues)
	}
	if q := o.Queues[0]; q.Queue != "default" || q.Waiting != 1 || q.Running != 2 || q.Workers != 1 || q.Slots != 2 || q.Oldest.IsZero() {
		t.Errorf("queue default is %+v", q)
	}
	if q := o.Queues[1]; q.Queue != "gpu" || q.Waiting != 0 || q.Running != 0 || q.Workers != 1 || q.Slots != 2 {
		t.Errorf("queue gpu is %+v", q)
	}
	if len(o.Workers) != 2 || o.Workers[0].Running != 2 || o.Workers[0].Slots != 2 || o.Workers[1].Running != 0 || !o.Workers[1].Draining {
		t.Errorf("workers are %+v", o.Workers)
	}
	if len(o.Running) != 2 || o.Running[0].Run != "running" || o.Running[0].Worker != "w1" || o.Running[1].Node != "second" {
		t.Errorf("running are %+v", o.Running)
	}
	if r := o.Rates; r.RunsStarted*3600 != 4 || r.RunsEnded*3600 != 1 || r.Failed*3600 != 1 {
		t.Errorf("rates are %+v", r)
	}
}

func TestTheOverviewForgetsWhatHappenedBeforeItsWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	w.fail("r", 0, "no ink")
	later, err := client.New(client.Config{Store: w.st, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	w.c = later
	if r := w.overview(time.Minute).Rates; r.RunsStarted != 0 || r.RunsEnded != 0 || r.Failed != 0 {
		t.Errorf("after an hour the rates are %+v", r)
	}
	_, err = later.Overview(t.Context(), -1)
	wantIs(t, err, grapnel.ErrInvalid)
}
