package client_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestNodesOfItemsAndBranchesAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type V = workflow.Value[int]
	twice := workflow.NewTask[int, int]("twice")
	flow := workflow.New("scopes", func(g *workflow.Graph, in workflow.Value[[]int]) workflow.Value[[]int] {
		sizes := workflow.Map(g, "size", in, func(g *workflow.Graph, item V) V { return workflow.Do(g, twice, item) })
		return workflow.Map(g, "each", sizes, func(g *workflow.Graph, item V) V {
			first := workflow.Do(g, twice, item)
			return workflow.Switch(g, "big", first, nil, workflow.Case(1, func(g *workflow.Graph) V { return workflow.Do(g, twice, first) }))
		})
	})
	if _, err := client.Start(t.Context(), w.c, flow, []int{7, 8}, client.WithID("r")); err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		var lines []string
		for _, n := range w.nodes("r", client.WithNodeOutputs()) {
			line := fmt.Sprintf("%s %s %s %v %s%s", n.Key, n.Name, n.Kind, n.State, n.Branch, n.Output)
			if n.Items != nil {
				line += fmt.Sprintf(" %d items", *n.Items)
			}
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	if got, want := shown(), "0 size map available\n2 each map pending"; got != want {
		t.Errorf("at the start:\n%s\nwant:\n%s", got, want)
	}
	event := func(ev func(fence grapnel.Fence) workflow.Event) {
		w.fence++
		w.apply("r", ev(w.fence))
	}
	event(func(f grapnel.Fence) workflow.Event { return workflow.MapExpanded{Node: 0, Fence: f, Items: 2} })
	claimed := w.claimKey("r", "1.1")
	w.complete("r", 6, "14") // size[0]
	if got, want := shown(), strings.Join([]string{
		"0 size map open 2 items", "1.0 size[0] task completed 14", "1.1 size[1] task running", "2 each map pending",
	}, "\n"); got != want {
		t.Errorf("with one item done:\n%s\nwant:\n%s", got, want)
	}
	w.fence = claimed
	w.apply("r", workflow.NodeCompleted{Node: 7, Fence: claimed, Output: []byte("16")})
	event(func(f grapnel.Fence) workflow.Event { return workflow.MapExpanded{Node: 2, Fence: f, Items: 2} })
	w.complete("r", 8, "1")
	event(func(f grapnel.Fence) workflow.Event {
		return workflow.SwitchDecided{Node: 9, Fence: f, Key: []byte("1")}
	})
	w.complete("r", 10, "5")
	w.complete("r", 11, "2")
	event(func(f grapnel.Fence) workflow.Event {
		return workflow.SwitchDecided{Node: 12, Fence: f, Key: []byte("2")}
	})
	if got, want := shown(), strings.Join([]string{
		"0 size map completed [14,16] 2 items", "1.0 size[0] task completed 14", "1.1 size[1] task completed 16",
		"2 each map completed [5,null] 2 items",
		"3.0 each[0].twice task completed 1", "4.0 each[0].big switch completed 15", "5.0 each[0].big.1.twice task completed 5",
		"3.1 each[1].twice task completed 2", "4.1 each[1].big switch skipped", "5.1 each[1].big.1.twice task skipped",
	}, "\n"); got != want {
		t.Errorf("at the end:\n%s\nwant:\n%s", got, want)
	}
	info, err := w.c.Get(t.Context(), "r", client.WithOutput())
	if err != nil || info.Status != grapnel.RunCompleted || string(info.Output) != "[5,null]" {
		t.Errorf("the run is %+v, %v", info, err)
	}
}

// claimKey puts a claim on the node of a key.
func (w *world) claimKey(id grapnel.RunID, node grapnel.NodeKey) grapnel.Fence {
	w.t.Helper()
	return grapnel.Fence(w.put(w.keys.Claim(id, node), nil))
}

// A failure in an item says which one, and nodes that wait are named, too.
func TestAFailureInAnItemSaysWhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	twice := workflow.NewTask[int, int]("twice")
	flow := workflow.New("scopes", func(g *workflow.Graph, in workflow.Value[[]int]) workflow.Value[[]int] {
		return workflow.Map(g, "each", in, func(g *workflow.Graph, item workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, twice, workflow.Do(g, twice, item, workflow.ID("first")))
		})
	})
	run, err := client.Start(t.Context(), w.c, flow, []int{7, 8, 9}, client.WithID("r"))
	if err != nil {
		t.Fatal(err)
	}
	w.apply("r", workflow.MapExpanded{Node: 0, Fence: 1, Items: 3})
	waiting, err := w.c.Available(t.Context(), 10)
	if err != nil || len(waiting) != 3 || waiting[2].Node != "each[2].first" || waiting[2].Task != "twice" {
		t.Errorf("available are %+v, %v", waiting, err)
	}
	w.fence = 1
	w.complete("r", 7, "1")
	w.fail("r", 8, "no ink")
	if _, err := run.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "node each[2].twice, task twice (attempt 1): error: no ink") {
		t.Errorf("Wait returned %v", err)
	}
	info, err := w.c.Get(t.Context(), "r")
	if err != nil || info.Cause == nil || info.Cause.Node != "each[2].twice" {
		t.Errorf("the cause is %+v, %v", info.Cause, err)
	}
}

// Outputs that are in records are read for the items that they are of.
func TestOutputsOfItemsInRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	twice := workflow.NewTask[int, int]("twice")
	flow := workflow.New("scopes", func(g *workflow.Graph, in workflow.Value[[]int]) workflow.Value[[]int] {
		return workflow.Map(g, "each", in, func(g *workflow.Graph, item workflow.Value[int]) workflow.Value[int] {
			return workflow.Do(g, twice, item)
		})
	})
	run, err := client.Start(t.Context(), w.c, flow, slices.Repeat([]int{1}, 7), client.WithID("r"))
	if err != nil {
		t.Fatal(err)
	}
	w.apply("r", workflow.MapExpanded{Node: 0, Fence: 1, Items: 7})
	for i := range 7 {
		if _, err := w.st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put(w.keys.Record("r", grapnel.NodeKey(fmt.Sprintf("1.%d", i)), 0), []byte(fmt.Sprint(i)), 0)}}); err != nil {
			t.Fatal(err)
		}
		w.apply("r", workflow.NodeCompleted{Node: 2 + i, Fence: grapnel.Fence(2 + i), Recorded: true})
	}
	got, err := run.Wait(t.Context())
	if err != nil || fmt.Sprint(got) != "[0 1 2 3 4 5 6]" {
		t.Errorf("output is %v, %v", got, err)
	}
}
