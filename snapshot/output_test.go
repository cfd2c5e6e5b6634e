package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// fanIn is a definition of n tasks and one that gathers their outputs.
func fanIn(t testing.TB, n int) *workflow.Definition {
	needs := make([][]int, n+1)
	for i := range n {
		needs[n] = append(needs[n], i)
	}
	return graph(t, needs, nil)
}

// finish completes nodes without claims, a hundred per commit.
func (w *world) finish(h *snapshot.Head, outputs map[int]string) *snapshot.Head {
	w.Helper()
	for nodes := range slices.Chunk(slices.Sorted(maps.Keys(outputs)), 100) {
		h = w.finishAll(h, nodes, outputs)
	}
	return h
}

func (w *world) finishAll(h *snapshot.Head, nodes []int, outputs map[int]string) *snapshot.Head {
	w.Helper()
	return w.update(h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
		var c snapshot.Change
		for _, i := range nodes {
			ev := workflow.NodeCompleted{Node: i, Fence: 1, Now: start}
			c.Ops = append(c.Ops, w.runs.PutOutput(h, i, []byte(outputs[i]), &ev)...)
			if _, err := h.Advance(ev); err != nil {
				return c, err
			}
		}
		return c, nil
	})
}

func TestOutputsAreReadBackFromHeadAndRecords(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 4, 5, 30, 250} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			h := w.create("r", fanIn(t, n), "op")
			want := map[int]string{}
			for i := range n {
				want[i] = fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", 1000))
			}
			h = w.finish(h, want)
			h = w.load(h.Run)
			if value := encodeHead(t, h.Clone()); n > 8 && len(value) > 9<<10+n*30 {
				t.Errorf("the head has %d bytes", len(value))
			}
			recorded := 0
			for i := range n {
				if h.State.Nodes[i].Recorded {
					recorded++
				}
			}
			if (recorded > 0) != (n > 7) {
				t.Errorf("%d of %d outputs are in records", recorded, n)
			}
			before := w.st.Calls()
			v, err := w.runs.Values(t.Context(), h, h.Def().Nodes[n].Input)
			if err != nil {
				t.Fatal(err)
			}
			if calls := w.st.Calls() - before; calls > max(4, 1+n/100) {
				t.Errorf("%d outputs took %d calls", n, calls)
			}
			for i := range n {
				if out, err := v.Output(i); err != nil || string(out) != want[i] {
					t.Errorf("output %d has %d bytes, %v", i, len(out), err)
				}
			}
			if in, err := v.Input(); err != nil || string(in) != "1" {
				t.Errorf("input is %s, %v", in, err)
			}
			if _, err := v.Output(n); err == nil {
				t.Error("a node that has not completed has an output")
			}
		})
	}
}

// Recorded graphs have joins of more than a thousand: freeing one takes a commit
// of as many operations as any other.
func TestAWideJoinTakesNoOperationPerEdge(t *testing.T) {
	t.Parallel()
	const width = 1100
	w := newWorld(t, nil)
	h := w.create("r", fanIn(t, width), "op")
	most := map[int]string{}
	for i := range width - 1 {
		most[i] = `1`
	}
	h = w.finish(h, most)
	fence := w.claim(h, width-1)
	calls := w.st.Calls()
	h = w.complete(h, width-1, fence, `1`)
	if !h.State.Ready(width) {
		t.Error("the join is not ready")
	}
	if made := w.st.Calls() - calls; made != 1 {
		t.Errorf("the commit took %d calls", made)
	}
	kv, _ := w.found(w.keys.Head("r"))
	if page, err := w.mem.List(t.Context(), store.ListRequest{Prefix: w.keys.Run("r"), KeysOnly: true}); err != nil || len(page.KVs) != 1 {
		t.Errorf("the run has %d keys", len(page.KVs))
	}
	if len(kv.Value) > 40*width {
		t.Errorf("the head has %d bytes", len(kv.Value))
	}
	calls = w.st.Calls()
	if _, err := w.runs.Values(t.Context(), h, h.Def().Nodes[width].Input); err != nil || w.st.Calls() > calls+1+width/100 {
		t.Errorf("the join's input took %d calls, %v", w.st.Calls()-calls, err)
	}
}

// A process that was stopped for long asks for the outputs of a run whose id has
// been used again: it must not get the other run's.
func TestOutputsOfALaterRunAreNotMistakenForOnesOwn(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			def := fanIn(t, n)
			outputs := func(x string) map[int]string {
				out := map[int]string{}
				for i := range n {
					out[i] = `"` + strings.Repeat(x, 9000) + `"`
				}
				return out
			}
			first := w.finish(w.create("r", def, "first"), outputs("a"))
			in := def.Nodes[n].Input
			if _, err := w.runs.Values(t.Context(), first, in); err != nil {
				t.Fatal(err)
			}
			if err := w.runs.Delete(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			_, err := w.runs.Values(t.Context(), first, in)
			wantErr(t, err, grapnel.ErrRunGone)
			w.finish(w.create("r", def, "second"), outputs("b"))
			_, err = w.runs.Values(t.Context(), first, in)
			wantErr(t, err, grapnel.ErrRunGone)
		})
	}
}

func TestInHeadSaysWhatIsInARecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.finish(w.create("r", fanIn(t, 2), "op"), map[int]string{0: `1`, 1: `"` + strings.Repeat("x", 9000) + `"`})
	v := snapshot.InHead(h)
	if out, err := v.Output(0); err != nil || string(out) != `1` {
		t.Errorf("output 0 is %s, %v", out, err)
	}
	_, err := v.Output(1)
	wantErr(t, err, snapshot.ErrNotInHead)
	if errors.Is(err, grapnel.ErrRunGone) {
		t.Error("an output in a record is taken for one that is gone")
	}
}

func TestDefinitionsAreStoredOnceAndFoundByHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := fullDefinition(t)
	mine, theirs := w.another().Definitions(), w.another().Definitions()
	_, err := theirs.Get(t.Context(), def.Hash())
	wantErr(t, err, grapnel.ErrWrongDefinition)
	for range 2 {
		if err := mine.Ensure(t.Context(), def); err != nil {
			t.Fatal(err)
		}
	}
	old, _ := w.found(w.keys.Definition(def.Hash()))
	got, err := theirs.Get(t.Context(), def.Hash())
	if err != nil || !bytes.Equal(encodeDefinition(t, got), encodeDefinition(t, def)) || old.Mod != old.Create {
		t.Errorf("got %+v of revision %d, %v", got, old.Mod, err)
	}
	// Other policies under the same hash replace the ones before, and an answer
	// that comes late does not bring those back.
	changed := fullDefinition(t)
	changed.Nodes[0].Policy.MaxLosses = 99
	if err := w.another().Definitions().Ensure(t.Context(), changed); err != nil || changed.Hash() != def.Hash() {
		t.Fatalf("hash %s, %v", changed.Hash(), err)
	}
	now, _ := w.found(w.keys.Definition(def.Hash()))
	for _, kv := range []store.KV{now, old} {
		if err := theirs.Learn(kv); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = theirs.Get(t.Context(), def.Hash()); err != nil || got.Nodes[0].Policy.MaxLosses != 99 {
		t.Errorf("at most %d losses, %v", got.Nodes[0].Policy.MaxLosses, err)
	}
	wantErr(t, theirs.Learn(store.KV{Key: "/elsewhere", Value: now.Value}), grapnel.ErrInvalid)
	wantErr(t, theirs.Learn(store.KV{Key: w.keys.Definition("abc"), Value: now.Value}), grapnel.ErrCorrupt)
	large := graph(t, [][]int{nil}, func(d *workflow.Definition) {
		d.Nodes[0].Policy.Tags = slices.Repeat([]string{strings.Repeat("x", 100)}, 11_000)
	})
	wantErr(t, mine.Ensure(t.Context(), large), grapnel.ErrTooLarge)
}
