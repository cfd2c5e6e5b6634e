package snapshot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// inShard returns a run id that begins with name and is in shard 0.
func inShard(name string) grapnel.RunID {
	for i := 0; ; i++ {
		if id := grapnel.RunID(fmt.Sprint(name, "-", i)); store.ShardOf(id) == 0 {
			return id
		}
	}
}

// available lists what is available in shard 0, as "run:node".
func (w *world) available(worker *snapshot.Profile, now workflow.Moment, limit int) string {
	w.Helper()
	list, err := w.runs.FindAvailable(w.Context(), []store.Shard{0}, worker, now, limit)
	if err != nil {
		w.Fatal(err)
	}
	var s []string
	for _, c := range list {
		name, _, _ := strings.Cut(string(c.Head.Run), "-")
		s = append(s, fmt.Sprintf("%s:%d", name, c.Node))
	}
	return strings.Join(s, " ")
}

func (w *world) startIn(name string, priority int, now workflow.Moment, def *workflow.Definition) *snapshot.Head {
	w.Helper()
	req := w.request(inShard(name), def, grapnel.OperationID(name))
	req.Priority, req.Now = priority, now
	h, _, err := w.runs.Create(w.Context(), req)
	if err != nil {
		w.Fatal(err)
	}
	return h
}

// The limit is applied last: a search that stopped at the first nodes it finds
// would starve the urgent ones.
func TestWhatIsFoundIsTheMostUrgentOfAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := graph(t, [][]int{nil, {0}}, nil)
	w.startIn("a", 3, start+5, def)
	w.startIn("b", 3, start, def)
	w.startIn("c", 5, start, def)
	w.startIn("d", 1, start+9, def)
	for limit, want := range map[int]string{-1: "", 0: "", 1: "d:0", 2: "d:0 b:0", 3: "d:0 b:0 a:0", 9: "d:0 b:0 a:0 c:0"} {
		if got := w.available(nil, start+10, limit); got != want {
			t.Errorf("limit %d: found %q, want %q", limit, got, want)
		}
	}
}

func TestWhatCannotBeClaimedIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.startIn("a", 3, start, graph(t, [][]int{nil, nil, {0}, {1}}, func(d *workflow.Definition) {
		d.Nodes[1].Policy.Retry.Attempts = 2
	}))
	want := func(now workflow.Moment, want string) {
		t.Helper()
		if got := w.available(nil, now, 9); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	want(start, "a:0 a:1")
	fence := w.claim(h, 0)
	want(start, "a:1")
	// Node 0 completes, and its claim goes on to cover node 2.
	h = w.update(h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
		for _, ev := range []workflow.Event{
			workflow.NodeCompleted{Node: 0, Fence: fence, Now: start}, workflow.NodeCovered{Node: 2, By: 0, Fence: fence, Now: start},
		} {
			if _, err := h.Advance(ev); err != nil {
				return snapshot.Change{}, err
			}
		}
		return snapshot.Change{}, nil
	})
	want(start, "a:1")
	w.commit(store.Txn{Then: []store.Op{store.Delete(w.keys.Claim(h.Run, "0"))}})
	want(start, "a:1 a:2")
	w.claim(h, 0) // another claim of the covering node covers nothing
	want(start, "a:1 a:2")
	// Node 1 fails, and is to be tried again later.
	fence = w.claim(h, 1)
	h = w.update(h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
		_, err := h.Advance(workflow.AttemptFailed{Node: 1, Fence: fence, Attempt: 1, Now: start, RetryAt: start + 50})
		return snapshot.Change{Ops: []store.Op{store.Delete(w.keys.Claim(h.Run, "1"))}}, err
	})
	want(start+49, "a:2")
	want(start+50, "a:2 a:1")
	h = w.update(h, func(h *snapshot.Head, _ snapshot.Reads) (snapshot.Change, error) {
		_, err := h.Advance(workflow.RunCancelled{Now: start})
		return snapshot.Change{}, err
	})
	want(start+50, "")
	if s := h.Summary(); s.Ready || !s.Finished {
		t.Errorf("summary is %+v", s)
	}
}

func TestAWorkerFindsWhatItCanRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := graph(t, [][]int{nil, nil, nil, nil, nil, nil}, func(d *workflow.Definition) {
		d.Nodes[1].Policy.Queue = "gpu"
		d.Nodes[2].Policy.Tags = []string{"eu", "big"}
		d.Nodes[3].Policy.Version = "2"
		d.Nodes[4].Task = "other"
		d.Nodes[5].Kind = workflow.KindInline
	})
	w.startIn("a", 0, start, def)
	profile := func(change func(p *snapshot.Profile)) *snapshot.Profile {
		p := &snapshot.Profile{Queues: []string{"default"}, Tasks: map[string][]string{"task": {""}}}
		change(p)
		return p
	}
	for want, worker := range map[string]*snapshot.Profile{
		"a:0 a:1 a:2 a:3 a:4 a:5": nil,
		"":                        {},
		"a:0":                     profile(func(*snapshot.Profile) {}),
		"a:1":                     profile(func(p *snapshot.Profile) { p.Queues = []string{"gpu"} }),
		"a:0 a:2":                 profile(func(p *snapshot.Profile) { p.Tags = []string{"big", "eu", "x"} }),
		"a:0 a:3":                 profile(func(p *snapshot.Profile) { p.Tasks["task"] = []string{"1", "2"} }),
		"a:4":                     profile(func(p *snapshot.Profile) { p.Tasks = map[string][]string{"other": nil} }),
		"a:0 a:5":                 profile(func(p *snapshot.Profile) { p.Definitions = []string{def.Hash()} }),
	} {
		if got := w.available(worker, start, 9); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	for i, want := range []string{"", "queue gpu", "tag eu", "version 2", "task other", "inline code"} {
		if got := profile(func(*snapshot.Profile) {}).Lacks(def, i); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("node %d: the worker %s", i, got)
		}
	}
}

// Heads and their claims are on different pages of the listing.
func TestTheSearchReadsPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	def := graph(t, make([][]int, 700), nil)
	h := w.startIn("a", 0, start, def)
	w.startIn("b", 0, start, def)
	for i := range 699 {
		w.claim(h, i)
	}
	other := w.load(inShard("b"))
	for i := 1; i < 700; i++ {
		w.claim(other, i)
	}
	if got := w.available(nil, start, 9); got != "a:699 b:0" {
		t.Errorf("found %q", got)
	}
}

// One run that cannot be read must not hide the others.
func TestRunsThatDoNotDecodeHideNoOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.startIn("b", 0, start, pair(t))
	for name, value := range map[string]string{"a": "", "c": "\x01\x01\x01\x01garbage that is long enough", "d": "\x09newer"} {
		w.commit(store.Txn{Then: []store.Op{store.Put(w.keys.Head(inShard(name)), []byte(value), 0)}})
	}
	if got := w.available(nil, start, 9); got != "b:0" {
		t.Errorf("found %q", got)
	}
	var runs, broken int
	if _, err := w.runs.List(t.Context(), 0, func(l snapshot.Listed) bool {
		if runs++; l.Err != nil {
			broken++
		}
		return true
	}); err != nil || runs != 4 || broken != 3 {
		t.Errorf("listed %d runs, %d of them broken, %v", runs, broken, err)
	}
	if kv, found := w.found(w.keys.Head(inShard("c"))); !found || len(kv.Value) < 20 {
		t.Error("a corrupt run was not kept")
	}
}
