package snapshot_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// honest fails the test unless err says why bytes do not decode.
func honest(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, grapnel.ErrCorrupt) && !errors.Is(err, snapshot.ErrNewerFormat) {
		t.Errorf("error %v says neither corrupt nor newer", err)
	}
}

// Whatever decodes is what its own encoding decodes to.
func FuzzDecodeHead(f *testing.F) {
	value := encodeHead(f, fullHead())
	for _, seed := range [][]byte{nil, {1}, {2, 0}, value, value[:16], value[:len(value)/2], bytes.ToUpper(value)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		h, err := snapshot.DecodeHead(store.KV{Value: value})
		if err != nil {
			honest(t, err)
			return
		}
		again, err := h.Encode()
		if err != nil {
			return // text that is not UTF-8 is refused in writing
		}
		if h, err = snapshot.DecodeHead(store.KV{Value: again}); err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if third := encodeHead(t, h); !bytes.Equal(third, again) {
			t.Errorf("encodings differ:\n%x\n%x", again, third)
		}
	})
}

func FuzzDecodeDefinition(f *testing.F) {
	value := encodeDefinition(f, fullDefinition(f))
	for _, seed := range [][]byte{nil, value, value[:len(value)/2], value[1:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := snapshot.DecodeDefinition(value)
		if err != nil {
			honest(t, err)
			return
		}
		again, err := snapshot.DecodeDefinition(encodeDefinition(t, d))
		if err != nil || again.Hash() != d.Hash() {
			t.Fatalf("what was encoded is another definition: %v", err)
		}
		_ = workflow.NewState(d, start)
	})
}

func FuzzDecodeSummary(f *testing.F) {
	for _, seed := range [][]byte{nil, {1}, {9}, encodeHead(f, fullHead())[:16]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := snapshot.DecodeSummary(value)
		if err != nil {
			honest(t, err)
			return
		}
		if s.Status < grapnel.RunRunning || s.Status > grapnel.RunTimedOut {
			t.Errorf("status %d", s.Status)
		}
	})
}

// wideHead is the head of a run of 2,000 nodes, half of them done.
func wideHead(b *testing.B) (*snapshot.Head, *workflow.Definition) {
	def := graph(b, make([][]int, 2000), nil)
	h := &snapshot.Head{Run: "r", Workflow: def.Name, Definition: def.Hash(), StartOperation: "op", Queue: "default", Priority: 3, State: workflow.NewState(def, start)}
	if err := h.Bind(def); err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		ev := workflow.NodeCompleted{Node: i, Fence: grapnel.Fence(1000 + i), Started: start + 1, Now: start + 100, Recorded: true}
		if _, err := h.Advance(ev); err != nil {
			b.Fatal(err)
		}
	}
	return h, def
}

func BenchmarkEncodeHead(b *testing.B) {
	h, _ := wideHead(b)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(encodeHead(b, h))))
	}
}

func BenchmarkDecodeHead(b *testing.B) {
	h, def := wideHead(b)
	value := encodeHead(b, h)
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		h, err := snapshot.DecodeHead(store.KV{Value: value})
		if err == nil {
			err = h.Bind(def)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
