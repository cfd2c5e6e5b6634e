package execution_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/execution"
)

func record(run grapnel.RunID) execution.Record {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	return execution.Record{
		Run: run, Instance: 7, Workflow: "flow", Definition: "ab", Status: "failed", Labels: map[string]string{"a": "b"},
		Started: at, Ended: at.Add(time.Second), Input: []byte(`{"n":1}`),
		Cause: &execution.Failure{Kind: "error", Message: "a\nb", Node: "0"},
		Nodes: []execution.Node{{Name: "n", Key: "0", Status: "failed", Attempts: 2, Losses: 1, Started: at, Finished: at}},
	}
}

func readAll(t *testing.T, path string) (records []execution.Record, corrupt int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range execution.Read(bytes.NewReader(data)) {
		switch {
		case errors.Is(err, grapnel.ErrCorrupt):
			corrupt++
		case err != nil:
			t.Fatal(err)
		default:
			records = append(records, r)
		}
	}
	return records, corrupt
}

func open(t *testing.T, path string) *execution.FileSink {
	t.Helper()
	s, err := execution.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	want := []execution.Record{record("r"), record("s\u2028/ü")}
	for _, r := range want {
		s := open(t, path) // again each time
		if err := s.Write(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	got, corrupt := readAll(t, path)
	if diff := cmp.Diff(want, got); diff != "" || corrupt != 0 {
		t.Fatalf("%d corrupt lines; records differ:\n%s", corrupt, diff)
	}
}

func TestALineCutShortSpoilsNoOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	if err := open(t, path).Write(t.Context(), record("first")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, data[:20]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Write(t.Context(), record("second")); err != nil {
		t.Fatal(err)
	}
	got, corrupt := readAll(t, path)
	if len(got) != 2 || got[1].Run != "second" || corrupt != 1 {
		t.Fatalf("%d records and %d corrupt lines, want 2 and 1", len(got), corrupt)
	}
}

func TestConcurrentWritersDoNotMixTheirLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	var wg sync.WaitGroup
	for i := range 4 {
		s := open(t, path)
		wg.Go(func() {
			for j := range 10 {
				r := record(grapnel.RunID(fmt.Sprintf("%d-%d", i, j)))
				r.Input = []byte(`"` + strings.Repeat("x", 10_000) + `"`)
				if err := s.Write(t.Context(), r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, corrupt := readAll(t, path)
	if len(got) != 40 || corrupt != 0 {
		t.Fatalf("%d records and %d corrupt lines, want 40 and none", len(got), corrupt)
	}
}

func TestARecordThatIsNotJSONIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	r := record("r")
	r.Output = []byte("{")
	if err := open(t, path).Write(t.Context(), r); !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("Write returned %v, want %v", err, grapnel.ErrInvalid)
	}
}

func TestKeysTellGenerationsApart(t *testing.T) {
	t.Parallel()
	a, b := record("r"), record("r")
	b.Generation = 1
	if a.Key() == b.Key() {
		t.Fatalf("two generations have the key %s", a.Key())
	}
	if c := record("r"); a.Key() != c.Key() {
		t.Fatalf("one generation has the keys %s and %s", a.Key(), c.Key())
	}
}
