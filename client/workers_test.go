package client_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
)

// enlist writes a worker's session key.
func (w *world) enlist(p snapshot.Profile) {
	w.t.Helper()
	value, err := proto.Marshal(p.Message())
	if err != nil {
		w.t.Fatal(err)
	}
	w.put(w.keys.Worker(p.Worker), value)
}

func TestWorkersAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enlist(snapshot.Profile{Worker: "w2", Slots: 2})
	w.enlist(snapshot.Profile{Worker: "w1", Queues: []string{"default"}})
	w.put(w.keys.Worker("w3"), []byte("\xffgarbage"))
	workers, err := w.c.Workers(t.Context())
	if err != nil || len(workers) != 2 || workers[0].Worker != "w1" || workers[1].Slots != 2 {
		t.Errorf("Workers returned %+v, %v", workers, err)
	}
}

func TestAvailableNodesSayWhyNobodyRunsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	stuck := func() string {
		t.Helper()
		nodes, err := w.c.Available(t.Context(), 10)
		if err != nil || len(nodes) != 1 {
			t.Fatalf("Available returned %+v, %v", nodes, err)
		}
		n := nodes[0]
		if n.Run != "r" || n.Node != "first" || n.Task != "twice" || n.Queue != "default" || n.Attempt != 1 || n.Since.IsZero() {
			t.Errorf("the available node is %+v", n)
		}
		if info := w.nodes("r"); info[0].Stuck != n.Stuck || info[1].Stuck != "" {
			t.Errorf("Get says %q of the available node and %q of the one behind it; want %q of the first", info[0].Stuck, info[1].Stuck, n.Stuck)
		}
		return n.Stuck
	}
	want := func(parts ...string) {
		t.Helper()
		got := stuck()
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("the reason is %q; want %q in it", got, part)
			}
		}
	}
	twice := map[string][]string{"twice": {""}}
	want("no worker is alive")
	w.enlist(snapshot.Profile{Worker: "w1", Queues: []string{"gpu"}})
	want("each of 1 does not serve queue default")
	w.enlist(snapshot.Profile{Worker: "w2", Queues: []string{"default"}})
	w.enlist(snapshot.Profile{Worker: "w3", Queues: []string{"gpu"}})
	w.enlist(snapshot.Profile{Worker: "w4", Queues: []string{"default"}, Tasks: twice, Draining: true})
	want("none of 4 workers can run it: 2× does not serve queue default", "1× does not have task twice", "1× is draining")
	w.enlist(snapshot.Profile{Worker: "w5", Queues: []string{"default"}, Tasks: twice})
	if got := stuck(); got != "" {
		t.Errorf("the reason is %q although w5 can run the node", got)
	}

	if nodes, err := w.c.AvailableFor(t.Context(), "w5", 10); err != nil || len(nodes) != 1 || nodes[0].Stuck != "" {
		t.Errorf("AvailableFor(w5) returned %+v, %v", nodes, err)
	}
	if nodes, err := w.c.AvailableFor(t.Context(), "w1", 10); err != nil || len(nodes) != 0 {
		t.Errorf("AvailableFor(w1) returned %+v, %v", nodes, err)
	}
	_, err := w.c.AvailableFor(t.Context(), "none", 10)
	wantIs(t, err, grapnel.ErrNotFound)
	_, err = w.c.Available(t.Context(), 0)
	wantIs(t, err, grapnel.ErrInvalid)
}
