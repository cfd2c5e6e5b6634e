package snapshot_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

var update = flag.Bool("update", false, "rewrite the golden files; only together with a new format")

// golden is a persisted value as it is in testdata/golden: its bytes in hex, and
// beside them what they mean, for people.
type golden struct {
	make   func(t *testing.T) []byte               // encodes a value made by this test
	reread func(t *testing.T, old []byte) []byte   // decodes stored bytes and encodes what it got
	text   func(t *testing.T, value []byte) []byte // what the bytes mean
}

var goldens = map[string]golden{
	"head-v1": {
		make: func(t *testing.T) []byte { return encodeHead(t, fullHead()) },
		reread: func(t *testing.T, old []byte) []byte {
			h, err := snapshot.DecodeHead(store.KV{Value: old})
			if err != nil {
				t.Fatal(err)
			}
			// What the summary says beyond the state follows from the definition.
			if err := h.Bind(fullDefinition(t)); err != nil {
				t.Fatal(err)
			}
			return encodeHead(t, h)
		},
		text: func(t *testing.T, value []byte) []byte {
			s, err := snapshot.DecodeSummary(value)
			if err != nil {
				t.Fatal(err)
			}
			summary, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			return append(append(summary, '\n'), messageText(t, value[16:], &pb.Head{})...)
		},
	},
	"head-scopes": {
		make: func(t *testing.T) []byte { return encodeHead(t, scopedHead(t)) },
		reread: func(t *testing.T, old []byte) []byte {
			h, err := snapshot.DecodeHead(store.KV{Value: old})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Bind(scopedDefinition(t)); err != nil {
				t.Fatal(err)
			}
			return encodeHead(t, h)
		},
		text: func(t *testing.T, value []byte) []byte { return messageText(t, value[16:], &pb.Head{}) },
	},
	"definition-v1": {
		make: func(t *testing.T) []byte { return encodeDefinition(t, fullDefinition(t)) },
		reread: func(t *testing.T, old []byte) []byte {
			d, err := snapshot.DecodeDefinition(old)
			if err != nil {
				t.Fatal(err)
			}
			if d.Hash() != fullDefinition(t).Hash() {
				t.Errorf("stored definition has hash %s now, its runs name %s", d.Hash(), fullDefinition(t).Hash())
			}
			return encodeDefinition(t, d)
		},
		text: func(t *testing.T, value []byte) []byte { return messageText(t, value, &pb.Definition{}) },
	},
	"definition-v2": {
		make: func(t *testing.T) []byte { return encodeDefinition(t, scopedDefinition(t)) },
		reread: func(t *testing.T, old []byte) []byte {
			d, err := snapshot.DecodeDefinition(old)
			if err != nil {
				t.Fatal(err)
			}
			if d.Hash() != scopedDefinition(t).Hash() {
				t.Errorf("stored definition has hash %s now, its runs name %s", d.Hash(), scopedDefinition(t).Hash())
			}
			return encodeDefinition(t, d)
		},
		text: func(t *testing.T, value []byte) []byte { return messageText(t, value, &pb.Definition{}) },
	},
	"worker": {
		make: func(t *testing.T) []byte { return marshal(t, fullProfile().Message()) },
		reread: func(t *testing.T, old []byte) []byte {
			p, err := snapshot.DecodeProfile(store.KV{Value: old})
			if err != nil {
				t.Fatal(err)
			}
			return marshal(t, p.Message())
		},
		text: func(t *testing.T, value []byte) []byte { return messageText(t, value, &pb.Worker{}) },
	},
	"claim": message(&pb.Claim{
		Worker: "w.1", Lease: 0x694d, Operation: "op", Attempt: 2, Started: int64(start), Progress: []byte(`{"done":3}`), Instance: 41,
	}),
	"message": message(&pb.Message{
		Clock:  int64(start),
		Offers: []*pb.Offer{{Run: "r/1", Instance: 41, Node: 7, Definition: "abc", CoverFence: 50, CoverNode: 6, Attempt: 3}, {Run: "s"}},
		Stops:  []*pb.Stop{{Run: "r/1", Node: 7, Fence: 51, Kind: workflow.KindCancelled, Reason: "asked to"}},
	}),
	"message-keys": message(&pb.Message{
		Clock:  int64(start),
		Offers: []*pb.Offer{{Run: "r/1", Instance: 41, Node: 7, Key: "7.3", Definition: "abc", CoverFence: 50, CoverNode: 6, CoverKey: "6.3", Attempt: 1}},
		Stops:  []*pb.Stop{{Run: "r/1", Key: "7.3", Fence: 51, Kind: workflow.KindCancelled}},
	}),
	"worker-languages": {
		make: func(t *testing.T) []byte {
			p := fullProfile()
			p.Languages = []string{"cel"}
			return marshal(t, p.Message())
		},
		reread: func(t *testing.T, old []byte) []byte {
			p, err := snapshot.DecodeProfile(store.KV{Value: old})
			if err != nil {
				t.Fatal(err)
			}
			return marshal(t, p.Message())
		},
		text: func(t *testing.T, value []byte) []byte { return messageText(t, value, &pb.Worker{}) },
	},
	"event":       message(&pb.RunEvent{Kind: snapshot.EventCancel, Reason: "no longer wanted", Instance: 41}),
	"tombstone":   message(&pb.Tombstone{StartOperation: "op", Instance: 41}),
	"coordinator": message(&pb.Coordinator{Id: "c.1", Host: "host", Pid: 7, Started: int64(start)}),
	"processed":   message(&pb.Processed{Revision: 1234567}),
	"corrupt":     message(&pb.Corrupt{Key: "/grapnel/test/run/00/r/head", Reason: "corrupt: 3 bytes", Revision: 99}),
}

// message is the golden file of a value that is nothing but a message.
func message(m proto.Message) golden {
	return golden{
		make: func(t *testing.T) []byte { return marshal(t, m) },
		reread: func(t *testing.T, old []byte) []byte {
			got := m.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(old, got); err != nil {
				t.Fatal(err)
			}
			return marshal(t, got)
		},
		text: func(t *testing.T, value []byte) []byte {
			return messageText(t, value, m.ProtoReflect().New().Interface())
		},
	}
}

// Bytes in a store outlive the program that wrote them: these are never
// rewritten, unless a format's number changes with them.
func TestStoredBytesKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", "golden", name)
			if *update {
				value := g.make(t)
				write(t, path+".hex", []byte(hexLines(value)))
				write(t, path+".txt", g.text(t, value))
			}
			old, err := hex.DecodeString(strings.ReplaceAll(string(read(t, path+".hex")), "\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := g.make(t); !bytes.Equal(got, old) {
				t.Errorf("what is written now differs from what was:\n%s", cmp.Diff(string(g.text(t, old)), string(g.text(t, got))))
			}
			if got := g.reread(t, old); !bytes.Equal(got, old) {
				t.Errorf("what was written changes when it is read and written:\n%s", cmp.Diff(string(g.text(t, old)), string(g.text(t, got))))
			}
			if diff := cmp.Diff(string(read(t, path+".txt")), string(g.text(t, old))); diff != "" {
				t.Errorf("the bytes mean something else now (-then +now):\n%s", diff)
			}
		})
	}
}

func TestUnknownFieldsSurviveARewrite(t *testing.T) {
	t.Parallel()
	unknown := func(number protowire.Number, text string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), text)
	}
	h := fullHead()
	m := &pb.Head{}
	value := encodeHead(t, h)
	if err := proto.Unmarshal(value[16:], m); err != nil {
		t.Fatal(err)
	}
	m.ProtoReflect().SetUnknown(unknown(1000, "of the head"))
	m.Nodes = append(m.Nodes, &pb.Node{Index: 5}) // otherwise untouched
	m.Nodes[5].ProtoReflect().SetUnknown(unknown(1001, "of a node"))
	m.Cause.ProtoReflect().SetUnknown(unknown(1002, "of the cause"))
	m.Nodes[2].Last.ProtoReflect().SetUnknown(unknown(1003, "of a failure"))
	newer := append(bytes.Clone(value[:16]), marshal(t, m)...)

	got, err := snapshot.DecodeHead(store.KV{Value: newer})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Bind(fullDefinition(t)); err != nil {
		t.Fatal(err)
	}
	again := encodeHead(t, got.Clone())
	if !bytes.Equal(again, newer) {
		t.Errorf("fields of a newer version changed:\n%s", cmp.Diff(string(messageText(t, newer[16:], &pb.Head{})), string(messageText(t, again[16:], &pb.Head{}))))
	}
	for _, text := range []string{"of the head", "of a node", "of the cause", "of a failure"} {
		if !bytes.Contains(again, []byte(text)) {
			t.Errorf("the field %s is gone", text)
		}
	}
}

func TestBytesThatDoNotDecodeAreCorrupt(t *testing.T) {
	t.Parallel()
	good := encodeHead(t, fullHead())
	head := func(change func(m *pb.Head)) []byte {
		m := &pb.Head{}
		if err := proto.Unmarshal(good[16:], m); err != nil {
			t.Fatal(err)
		}
		change(m)
		return append(bytes.Clone(good[:16]), marshal(t, m)...)
	}
	summary := func(i int, b byte) []byte {
		value := bytes.Clone(good)
		value[i] = b
		return value
	}
	for name, c := range map[string]struct {
		value []byte
		want  error
	}{
		"nothing":                      {nil, grapnel.ErrCorrupt},
		"half a summary":               {good[:9], grapnel.ErrCorrupt},
		"format 0":                     {summary(0, 0), grapnel.ErrCorrupt},
		"format 2":                     {summary(0, 2), snapshot.ErrNewerFormat},
		"format 2 and no more":         {[]byte{2}, snapshot.ErrNewerFormat},
		"status 0":                     {summary(1, 0), grapnel.ErrCorrupt},
		"status 7":                     {summary(1, 7), grapnel.ErrCorrupt},
		"a message cut short":          {good[:len(good)-1], grapnel.ErrCorrupt},
		"no message":                   {append(bytes.Clone(good[:16]), 0xff), grapnel.ErrCorrupt},
		"more nodes than can be":       {head(func(m *pb.Head) { m.NodeCount = workflow.MaxSlots + 1 }), grapnel.ErrCorrupt},
		"fewer nodes than it has":      {head(func(m *pb.Head) { m.NodeCount = 1 }), grapnel.ErrCorrupt},
		"half an expansion":            {head(func(m *pb.Head) { m.Expansions = []uint32{1} }), grapnel.ErrCorrupt},
		"nodes out of order":           {head(func(m *pb.Head) { m.Nodes[0], m.Nodes[1] = m.Nodes[1], m.Nodes[0] }), grapnel.ErrCorrupt},
		"a node twice":                 {head(func(m *pb.Head) { m.Nodes[1].Index = m.Nodes[0].Index }), grapnel.ErrCorrupt},
		"a status of more than a byte": {head(func(m *pb.Head) { m.Nodes[0].Status = 256 }), grapnel.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := snapshot.DecodeHead(store.KV{Value: c.value})
			wantErr(t, err, c.want)
		})
	}
	t.Run("of a definition", func(t *testing.T) {
		t.Parallel()
		newer := &pb.Definition{Format: 3}
		_, err := snapshot.DecodeDefinition(marshal(t, newer))
		wantErr(t, err, snapshot.ErrNewerFormat)
		for _, value := range [][]byte{
			nil, {0xff}, marshal(t, &pb.Definition{Format: 1}), // without a name
			marshal(t, &pb.Definition{Format: 1, Name: "x", Nodes: []*pb.DefinitionNode{{Kind: 1, Name: "n", Task: "t", Needs: []uint32{0}}}}),
		} {
			_, err := snapshot.DecodeDefinition(value)
			wantErr(t, err, grapnel.ErrCorrupt)
		}
	})
	t.Run("of the rest", func(t *testing.T) {
		t.Parallel()
		for _, value := range [][]byte{nil, append(bytes.Clone(good), 0x08), append(bytes.Clone(good), 0x80)} {
			_, _, err := snapshot.DecodeTimes(value)
			wantErr(t, err, grapnel.ErrCorrupt)
		}
		_, err := snapshot.DecodeProfile(store.KV{Value: []byte{0xff}})
		wantErr(t, err, grapnel.ErrCorrupt)
		_, err = snapshot.DecodeEvent(store.KV{Value: []byte{0xff}}, "e")
		wantErr(t, err, grapnel.ErrCorrupt)
	})
}

func TestHeadsSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHead(t)
		value, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := snapshot.DecodeHead(store.KV{Value: value, Create: 5, Mod: 6})
		if err != nil {
			t.Fatal(err)
		}
		if got.Instance != 5 || got.Mod != 6 {
			t.Fatalf("instance %d and revision %d, want 5 and 6", got.Instance, got.Mod)
		}
		h.Instance, h.Mod = 5, 6
		if diff := cmp.Diff(h, got, cmpopts.IgnoreUnexported(snapshot.Head{}, workflow.State{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-encoded +decoded):\n%s", diff)
		}
		s, err := snapshot.DecodeSummary(value)
		if err != nil || s != h.Summary() {
			t.Fatalf("summary %+v, %v, want %+v", s, err, h.Summary())
		}
		clock, end, err := snapshot.DecodeTimes(value)
		if err != nil || clock != h.State.Clock || end != h.State.Ended {
			t.Fatalf("clock %d and end %d, %v, want %d and %d", clock, end, err, h.State.Clock, h.State.Ended)
		}
	})
}

func TestNodeKeysAreTheirIndex(t *testing.T) {
	t.Parallel()
	for _, i := range []int{0, 7, 10_000} {
		if got, ok := snapshot.NodeIndex(snapshot.NodeKey(i)); !ok || got != i {
			t.Errorf("node %d has key %s, which is node %d", i, snapshot.NodeKey(i), got)
		}
	}
	for _, key := range []grapnel.NodeKey{"", "x", "-1", "+1", "01", "1.0", "99999999999999999999"} {
		if i, ok := snapshot.NodeIndex(key); ok {
			t.Errorf("key %q is node %d", key, i)
		}
	}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func encodeHead(t testing.TB, h *snapshot.Head) []byte {
	t.Helper()
	value, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func encodeDefinition(t testing.TB, d *workflow.Definition) []byte {
	t.Helper()
	value, err := snapshot.EncodeDefinition(d)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// messageText is what a message says, in JSON with sorted names.
func messageText(t testing.TB, value []byte, m proto.Message) []byte {
	t.Helper()
	if err := proto.Unmarshal(value, m); err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if text, err = json.MarshalIndent(v, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func hexLines(value []byte) string {
	var b strings.Builder
	for ; len(value) > 32; value = value[32:] {
		b.WriteString(hex.EncodeToString(value[:32]) + "\n")
	}
	return b.String() + hex.EncodeToString(value) + "\n"
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fullDefinition uses every field that a definition has.
func fullDefinition(t testing.TB) *workflow.Definition {
	t.Helper()
	return graph(t, [][]int{nil, {0}, {0}, {1, 2}, {3}, {4}}, func(d *workflow.Definition) {
		d.Name, d.Version, d.InType, d.OutType = "full", "v7", "int", "[]string"
		d.Policy = workflow.RunPolicy{Queue: "q", Timeout: time.Hour, Priority: 2}
		d.Nodes[0].InType, d.Nodes[0].OutType = "int", "string"
		d.Nodes[0].Input = workflow.Source{Kind: workflow.SourceInput}
		d.Nodes[0].Policy = workflow.Policy{
			Retry: workflow.RetryPolicy{
				Attempts: -1, Backoff: time.Second, Factor: 1.5, MaxBackoff: time.Minute, Jitter: 0.25, NonRetryable: []string{"bad", "worse"},
			},
			ScheduleToStart: time.Minute, StartToClose: 2 * time.Minute, ScheduleToClose: 3 * time.Minute, Heartbeat: time.Second,
			Priority: 1, Queue: "other", Tags: []string{"gpu", "eu"}, Version: "2", MaxLosses: 9,
		}
		d.Nodes[1].Kind = workflow.KindInline
		d.Nodes[1].Input = workflow.Source{Kind: workflow.SourceField, Path: []string{"a", "b"}, Of: []workflow.Source{{Kind: workflow.SourceNode, Node: 0}}}
		d.Nodes[2].Input = workflow.Source{
			Kind: workflow.SourceStruct, Const: []byte(`{"k":1}`), Paths: [][]string{{"x"}, {"y", "z"}},
			Of: []workflow.Source{{Kind: workflow.SourceNode, Node: 0}, {Kind: workflow.SourceNone}},
		}
		d.Output = workflow.Source{Kind: workflow.SourceGather, Of: []workflow.Source{
			{Kind: workflow.SourceNode, Node: 4}, {Kind: workflow.SourceConst, Const: []byte(`"c"`)},
		}}
	})
}

// scopedDefinition has a map over a list, whose body is a task and a switch
// between another task and an expression. The map is node 1.
func scopedDefinition(t testing.TB) *workflow.Definition {
	t.Helper()
	node := func(i int) workflow.Source { return workflow.Source{Kind: workflow.SourceNode, Node: i} }
	item := workflow.Source{Kind: workflow.SourceItem, Node: 1}
	d := &workflow.Definition{
		Name: "scoped", InType: "int", OutType: "[]int",
		Nodes: []workflow.Node{
			{Kind: workflow.KindTask, Name: "list", Task: "list", InType: "none", OutType: "[]int"},
			{Kind: workflow.KindMap, Name: "each", Needs: []int{0}, Input: node(0), InType: "[]int", OutType: "[]int",
				Branches: []workflow.Branch{{Result: node(3)}}, Policy: workflow.Policy{Parallel: 2}},
			{Kind: workflow.KindTask, Name: "each.work", Task: "work", Scope: 2, Input: item, InType: "int", OutType: "int"},
			{Kind: workflow.KindSwitch, Name: "each.big", Scope: 2, Needs: []int{2}, Input: node(2), Exhaustive: true,
				Branches: []workflow.Branch{
					{Name: "big", Keys: [][]byte{[]byte(`"big"`), []byte("1000")}, Result: node(4)},
					{Name: "small", Keys: [][]byte{[]byte("1")}, Result: node(5)},
				}},
			{Kind: workflow.KindTask, Name: "each.big.cut", Task: "cut", Scope: 4, Input: workflow.Source{Kind: workflow.SourceIndex, Node: 1}},
			{Kind: workflow.KindExpr, Name: "each.big.keep", Task: "cel", Expr: "x + 1", Scope: 4, Branch: 1, Input: workflow.Source{
				Kind: workflow.SourceStruct, Const: []byte("{}"), Paths: [][]string{{"x"}}, Of: []workflow.Source{item}}},
			{Kind: workflow.KindTask, Name: "last", Task: "join", Needs: []int{1}, Input: node(1)},
		},
		Output: node(6),
	}
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	return d
}

// fullHead uses every field that a head has. Its last node is untouched.
func fullHead() *snapshot.Head {
	failure := &workflow.Failure{Kind: "oops", Message: "it broke", Stack: "main.main()", Node: 3, Attempt: 2, Permanent: true}
	return &snapshot.Head{
		Run: "order/7 ü", Workflow: "full", Version: "v7", Definition: "53f6e4e3c4a6970d22a451f0bb49d901", StartOperation: "op",
		Labels: map[string]string{"team": "ops", "customer": "7"}, Queue: "q", Priority: 2, Input: []byte(`{"id":7}`),
		State: &workflow.State{
			Status: grapnel.RunFailed, Generation: 3, Clock: start + 99, Started: start, Deadline: start + 3_600_000, Ended: start + 98, Cause: failure,
			Nodes: []workflow.NodeState{
				{Status: grapnel.NodeCompleted, Output: []byte(`"out"`), Fence: 51, Started: start + 1, Finished: start + 2},
				{Status: grapnel.NodeCompleted, Recorded: true, Fence: 52, Started: start + 3, Finished: start + 4},
				{Status: grapnel.NodePending, Fence: 53, Available: start + 50, Since: start + 2, Started: start + 5,
					Cover: workflow.Cover{Node: 1, Fence: 54},
					Trouble: &workflow.Trouble{Failures: 1, Losses: 2, LossFence: 49, LostBy: []string{"w.1", "w.2"},
						Last: &workflow.Failure{Kind: workflow.KindError, Message: "try again", Node: -1, Attempt: 1}}},
				{Status: grapnel.NodeFailed, Fence: 55, Started: start + 6, Finished: start + 7, Trouble: &workflow.Trouble{Failures: 2, Last: failure}},
				{Status: grapnel.NodeCancelled, Finished: start + 98},
				{},
			},
		},
	}
}

// scopedHead is a run of scopedDefinition with two items: the first has taken a
// branch and ended, the second is under way.
func scopedHead(t testing.TB) *snapshot.Head {
	t.Helper()
	def := scopedDefinition(t)
	h := &snapshot.Head{
		Run: "r", Workflow: "scoped", Definition: def.Hash(), StartOperation: "op", Queue: "default", Priority: 3, Input: []byte("null"),
		State: workflow.NewState(def, start),
	}
	if err := h.Bind(def); err != nil {
		t.Fatal(err)
	}
	for _, ev := range []workflow.Event{
		workflow.NodeCompleted{Node: 0, Fence: 51, Started: start + 1, Now: start + 2, Output: []byte("[1,2]")},
		workflow.MapExpanded{Node: 1, Fence: 51, Started: start + 2, Now: start + 2, Items: 2},
		workflow.NodeCompleted{Node: 7, Fence: 52, Started: start + 3, Now: start + 4, Output: []byte(`"big"`)},
		workflow.SwitchDecided{Node: 8, Fence: 52, Started: start + 4, Now: start + 4, Key: []byte(`"big"`)},
		workflow.NodeCovered{Node: 9, By: 7, Fence: 52, Now: start + 4},
		workflow.NodeCompleted{Node: 9, Fence: 52, Started: start + 4, Now: start + 5, Output: []byte("3")},
		workflow.NodeCompleted{Node: 11, Fence: 53, Started: start + 3, Now: start + 6, Recorded: true},
	} {
		if c, err := h.Advance(ev); err != nil || c.Verdict != workflow.Applied {
			t.Fatalf("%#v: %v, %v", ev, c.Verdict, err)
		}
	}
	return h
}

// A node of an item is named by its key wherever the head is not at hand.
func TestKeysOfInstancesInMessages(t *testing.T) {
	t.Parallel()
	h := scopedHead(t)
	for slot, want := range map[int]grapnel.NodeKey{0: "0", 6: "6", 7: "2.0", 9: "4.0", 12: "3.1"} {
		node, key := h.KeyForMessage(slot)
		if got := snapshot.MessageKey(node, key); got != want {
			t.Errorf("slot %d has key %s, want %s", slot, got, want)
		}
		if got, ok := h.State.Slot(want); !ok || got != slot {
			t.Errorf("key %s is slot %d, %v; want %d", want, got, ok, slot)
		}
	}
	claims := snapshot.Claims{"3.1": 60}
	if got := h.Available(start+100, nil); len(got) != 1 || got[0] != 12 {
		t.Errorf("available are %v, want the second switch, whose key is in a record", got)
	}
	if got := h.Available(start+100, claims); len(got) != 0 {
		t.Errorf("with a claim on the second switch, available are %v", got)
	}
}

func fullProfile() *snapshot.Profile {
	return &snapshot.Profile{
		Worker: "w.1", Host: "host", PID: 7, Started: start, Queues: []string{"q", "default"}, Tags: []string{"gpu"}, Slots: 16,
		Tasks:       map[string][]string{"charge": {"1", "2"}, "mail": {""}},
		Definitions: []string{"abc"}, Draining: true,
	}
}

// drawHead draws a head of any content.
func drawHead(t *rapid.T) *snapshot.Head {
	moment := rapid.Custom(func(t *rapid.T) workflow.Moment {
		return rapid.SampledFrom([]workflow.Moment{0, start, start + workflow.Moment(rapid.Int64Range(0, 1<<40).Draw(t, "ms"))}).Draw(t, "moment")
	})
	fence := rapid.Map(rapid.Int64Range(0, 1<<50), func(f int64) grapnel.Fence { return grapnel.Fence(f) })
	failure := rapid.Custom(func(t *rapid.T) *workflow.Failure {
		return &workflow.Failure{
			Kind: rapid.String().Draw(t, "kind"), Message: rapid.String().Draw(t, "message"), Stack: rapid.String().Draw(t, "stack"),
			Node: rapid.IntRange(-1, 100).Draw(t, "node"), Attempt: rapid.IntRange(0, 100).Draw(t, "attempt"), Permanent: rapid.Bool().Draw(t, "permanent"),
		}
	})
	maybe := rapid.OneOf(rapid.Just((*workflow.Failure)(nil)), failure)
	expansion := rapid.Custom(func(t *rapid.T) workflow.Expansion {
		return workflow.Expansion{Holder: rapid.IntRange(0, 100).Draw(t, "holder"), Items: rapid.IntRange(0, 256).Draw(t, "items")}
	})
	node := rapid.Custom(func(t *rapid.T) workflow.NodeState {
		n := workflow.NodeState{
			Status: grapnel.NodeStatus(rapid.IntRange(0, 4).Draw(t, "status")), Choice: rapid.IntRange(0, 300).Draw(t, "choice"), Recorded: rapid.Bool().Draw(t, "recorded"),
			Output: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "output"), Fence: fence.Draw(t, "fence"),
			Available: moment.Draw(t, "available"), Since: start, Started: moment.Draw(t, "started"), Finished: moment.Draw(t, "finished"),
			Cover: workflow.Cover{Node: rapid.IntRange(0, 5).Draw(t, "cover"), Fence: fence.Draw(t, "cover fence")},
		}
		if rapid.Bool().Draw(t, "trouble") {
			n.Trouble = &workflow.Trouble{
				Failures: rapid.IntRange(1, 9).Draw(t, "failures"), Losses: rapid.IntRange(0, 9).Draw(t, "losses"), LossFence: fence.Draw(t, "loss fence"),
				LostBy: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "lost by"), Last: maybe.Draw(t, "last"),
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "touched") == 0 {
			return workflow.NodeState{}
		}
		return n
	})
	return &snapshot.Head{
		Run: grapnel.RunID(rapid.String().Draw(t, "run")), Workflow: rapid.String().Draw(t, "workflow"), Version: rapid.String().Draw(t, "version"),
		Definition: rapid.String().Draw(t, "definition"), StartOperation: grapnel.OperationID(rapid.String().Draw(t, "operation")),
		Labels: rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "labels"), Queue: rapid.String().Draw(t, "queue"),
		Priority: rapid.IntRange(1, 5).Draw(t, "priority"), Input: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "input"),
		State: &workflow.State{
			Status: grapnel.RunStatus(rapid.IntRange(1, 6).Draw(t, "status")), Generation: rapid.IntRange(0, 9).Draw(t, "generation"),
			Clock: moment.Draw(t, "clock"), Started: start, Deadline: moment.Draw(t, "deadline"), Ended: moment.Draw(t, "ended"),
			Cause: maybe.Draw(t, "cause"), Nodes: rapid.SliceOfN(node, 0, 6).Draw(t, "nodes"),
			Expansions: rapid.SliceOfN(expansion, 0, 3).Draw(t, "expansions"),
		},
	}
}
