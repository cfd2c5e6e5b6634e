package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/execution"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// shelf is a sink that fails as often as it is told to.
type shelf struct {
	mu      sync.Mutex
	fail    int
	records []execution.Record
}

func (s *shelf) Write(_ context.Context, r execution.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("the shelf is full")
	}
	s.records = append(s.records, r)
	return nil
}

func (s *shelf) kept() []execution.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

func (e *env) finish(id grapnel.RunID) {
	e.t.Helper()
	w := e.join("for-"+string(id), 1, nil)
	e.start(id, e.define([][]int{{}}, func(d *workflow.Definition) { d.Output = workflow.Source{Kind: workflow.SourceInput} }), nil)
	w.complete(w.claim(id, 0))
	e.wantStatus(id, grapnel.RunCompleted)
}

func TestAFinishedRunIsArchivedAfterItsRetention(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		sink := &shelf{fail: 2}
		e.coordinate(func(c *coordinator.Config) { c.Sink, c.Retention = sink, time.Hour })
		e.finish("r")
		instance := e.load("r").Instance
		e.wait(time.Hour - time.Second)
		equal(t, "records before", len(sink.kept()), 0)
		e.wait(2 * time.Second)
		equal(t, "records while the sink fails", len(sink.kept()), 0)
		e.wantStatus("r", grapnel.RunCompleted)
		e.wait(time.Minute)
		equal(t, "records", len(sink.kept()), 1)
		r := sink.kept()[0]
		equal(t, "run", r.Run, "r")
		equal(t, "instance", r.Instance, instance)
		equal(t, "status", r.Status, "completed")
		equal(t, "input", string(r.Input), `{"n":1}`)
		equal(t, "output", string(r.Output), `{"n":1}`)
		equal(t, "nodes", len(r.Nodes), 1)
		equal(t, "status of the node", r.Nodes[0].Status, "completed")
		if _, err := e.runs.Load(t.Context(), "r"); !errors.Is(err, grapnel.ErrNotFound) {
			t.Fatalf("the archived run: %v, want %v", err, grapnel.ErrNotFound)
		}
		equal(t, "keys left", len(e.list(e.keys.Run("r"))), 0)
	})
}

func TestTheNextOwnerArchivesWhatIsDue(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.finish("r")
		e.wait(2 * time.Hour)
		sink := &shelf{}
		e.coordinate(func(c *coordinator.Config) { c.Sink, c.Retention = sink, time.Hour })
		e.wait(0)
		equal(t, "records", len(sink.kept()), 1)
	})
}

func TestRunsAreKeptForEverWithoutRetention(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		e.coordinate(func(c *coordinator.Config) { c.Retention, c.Sweep = -1, 6*time.Hour })
		e.finish("r")
		e.wait(30 * time.Hour)
		e.wantStatus("r", grapnel.RunCompleted)
	})
}

func TestARunThatIsRetriedBeforeItsArchivingStays(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		sink := &shelf{}
		e.coordinate(func(c *coordinator.Config) { c.Sink, c.Retention = sink, time.Hour })
		e.start("r", e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.ScheduleToStart = time.Minute }), nil)
		e.wait(time.Minute)
		h := e.wantStatus("r", grapnel.RunFailed)
		e.wait(59 * time.Minute)
		_, err := e.runs.Retry(t.Context(), h, workflow.MomentOf(time.Now()))
		e.must(err)
		w := e.join("w", 1, nil)
		equal(t, "offers of the new generation", w.offers(), "r/0")
		w.claim("r", 0)
		e.wait(2 * time.Hour)
		equal(t, "records", len(sink.kept()), 0)
		e.wantStatus("r", grapnel.RunRunning)
	})
}

func TestCorruptRunsAreReportedAndLeftAsTheyAre(t *testing.T) {
	simulate(t, func(t *testing.T, e *env) {
		put := func(key, value string) {
			_, err := e.st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put(key, []byte(value), 0)}})
			e.must(err)
		}
		e.coordinate(nil)
		e.coordinate(nil)
		w := e.join("w", 10, nil)
		def := e.define([][]int{{}}, nil)
		e.start("mail", def, nil)
		put(e.keys.Event("mail", "x"), "\xff")
		put(e.keys.Head("head"), "\x01nonsense")
		put(e.keys.Head("newer"), "\x7fwho knows")
		e.start("sound", def, nil)
		e.wait(time.Second)
		equal(t, "reports", len(e.list(e.keys.Corrupts())), 2)
		e.st.ExpireLease(e.members()[0])
		e.wait(time.Minute)
		equal(t, "times a report was written", len(e.history(e.keys.Corrupts())), 2)
		for _, kv := range e.list(e.keys.Runs()) {
			if (kv.Key == e.keys.Head("head") || kv.Key == e.keys.Head("newer")) && kv.Mod != kv.Create {
				t.Errorf("%s was written", kv.Key)
			}
		}
		if got := w.offers(); got == "" {
			t.Fatal("the sound run is not offered")
		}
	})
}
