package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/render"
)

// at is a time on the day of the tests.
func at(second int) time.Time { return time.Date(2026, 5, 4, 12, 0, second, 0, time.Local) }

// oneNode is a run of one node.
func oneNode(s grapnel.RunStatus, n client.NodeInfo) *client.RunInfo {
	n.Name = "n"
	return &client.RunInfo{RunSummary: client.RunSummary{ID: "r", Status: s}, Nodes: []client.NodeInfo{n}}
}

func TestEachChangeOfANodeIsALine(t *testing.T) {
	t.Parallel()
	no := &client.FailureInfo{Kind: "error", Message: "no\nink", Attempt: 1}
	ended := oneNode(grapnel.RunFailed, client.NodeInfo{State: client.NodeFailed, Attempt: 3, Failures: 2, Losses: 1, LostBy: []string{"w2"}, Finished: at(9), LastFailure: no})
	ended.Ended, ended.Cause = at(10), no
	states := []*client.RunInfo{
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodePending, Attempt: 1}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeAvailable, Attempt: 1, Available: at(1)}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeRunning, Attempt: 1, Worker: "w1", Fence: 5, Started: at(2)}),
		// Progress alone is no line.
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeRunning, Attempt: 1, Worker: "w1", Fence: 5, Started: at(2), Progress: []byte("1")}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeWaiting, Attempt: 2, Failures: 1, LastFailure: no, Available: at(4)}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeAvailable, Attempt: 2, Failures: 1, LastFailure: no, Available: at(4)}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeRunning, Attempt: 2, Failures: 1, LastFailure: no, Worker: "w2", Fence: 6, Started: at(5)}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeAvailable, Attempt: 3, Failures: 1, Losses: 1, LostBy: []string{"w2"}, LastFailure: no, Available: at(7)}),
		oneNode(grapnel.RunRunning, client.NodeInfo{State: client.NodeRunning, Attempt: 3, Failures: 1, Losses: 1, LostBy: []string{"w2"}, LastFailure: no, Worker: "w3", Fence: 7, Started: at(8)}),
		ended,
	}
	want := `12:00:30.000  run r  running
12:00:01.000  n      available  attempt 1
12:00:02.000  n      running    attempt 1  on w1
12:00:30.000  n      retrying   attempt 1  on w1  error: no ink
12:00:04.000  n      available  attempt 2
12:00:05.000  n      running    attempt 2  on w2
12:00:30.000  n      lost       attempt 2  on w2
12:00:08.000  n      running    attempt 3  on w3
12:00:09.000  n      failed     attempt 3  on w3  error: no ink
12:00:10.000  run r  failed     error: no ink
`
	var out bytes.Buffer
	var before *client.RunInfo
	for _, after := range states {
		for _, ch := range changes(before, after, at(30)) {
			if err := writeChangeLine(&out, nodeWidth(after), &ch); err != nil {
				t.Fatal(err)
			}
		}
		before = after
	}
	if out.String() != want {
		t.Errorf("the lines are\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAFirstLookTellsWhereThingsAre(t *testing.T) {
	t.Parallel()
	ended := oneNode(grapnel.RunCompleted, client.NodeInfo{State: client.NodeCompleted, Attempt: 1, Started: at(1), Finished: at(2)})
	ended.Ended = at(3)
	var states []string
	for _, ch := range changes(nil, ended, at(30)) {
		states = append(states, ch.Node+" "+ch.State+" "+ch.Time.Format("05"))
	}
	if got := strings.Join(states, ", "); got != "n completed 02,  completed 03" {
		t.Errorf("the changes are %q", got)
	}
}

func TestNodesThatComeInBetweenAreNotTakenForOthers(t *testing.T) {
	t.Parallel()
	named := func(names ...string) *client.RunInfo {
		info := &client.RunInfo{RunSummary: client.RunSummary{ID: "r", Status: grapnel.RunRunning}}
		for _, name := range names {
			info.Nodes = append(info.Nodes, client.NodeInfo{Name: name, State: client.NodeCompleted, Attempt: 1})
		}
		return info
	}
	found := changes(named("each", "join"), named("each", "each[0]", "join"), at(30))
	if len(found) != 1 || found[0].Node != "each[0]" {
		t.Errorf("the changes are %+v", found)
	}
}

func TestAGraphShowsTheItemsOfAMapAsAGroup(t *testing.T) {
	t.Parallel()
	g := render.Graph{Title: "w", Nodes: []render.Node{{Name: "list"}, {Name: "resize.each"}, {Name: "resize", Detail: "resize"}}}
	info := oneNode(grapnel.RunRunning, client.NodeInfo{})
	info.Nodes = []client.NodeInfo{
		{Name: "list", Key: "0", State: client.NodeCompleted, Attempt: 2},
		{Name: "resize.each", Key: "1", State: client.NodeOpen},
		{Name: "resize.each[0]", Key: "2.0", State: client.NodeCompleted},
		{Name: "resize.each[1]", Key: "2.1", State: client.NodeRunning},
		{Name: "resize.each[2]", Key: "2.2", State: client.NodeRunning},
	}
	withStates(&g, info)
	if n := g.Nodes[0]; n.State != render.Completed || n.Detail != "attempt 2" {
		t.Errorf("list is %+v", n)
	}
	if n := g.Nodes[1]; n.State != render.Open || n.Count != 0 {
		t.Errorf("resize.each is %+v", n)
	}
	if n := g.Nodes[2]; n.State != render.Running || n.Count != 3 || n.States[render.Running] != 2 {
		t.Errorf("resize is %+v", n)
	}
}

func TestAFailureToWriteEndsTheWatch(t *testing.T) {
	t.Parallel()
	if err := writeChangeLine(broken{}, 5, &change{Run: "r"}); err == nil {
		t.Error("no error although nothing could be written")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
