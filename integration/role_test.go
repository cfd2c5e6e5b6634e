package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

// roleVariable makes the test binary a coordinator or a worker. Its value is a
// roleSettings in JSON.
const roleVariable = "GRAPNEL_TEST_ROLE"

// roleSettings is what a child process is told.
type roleSettings struct {
	Coordinator bool // or else a worker
	Name        string
	Endpoints   []string
	Namespace   string
	TTL         time.Duration
	Sweep       time.Duration // of a coordinator; zero is its default
	Debug       bool          // write more
}

// marginOf is how long before its expiry a role no longer trusts its lease. The
// embedded etcd's election time-out is 200 ms.
func marginOf(ttl time.Duration) time.Duration { return ttl * 3 / 10 }

// playRole is a child process. It ends well when it gets SIGTERM.
func playRole(settings string) error {
	var s roleSettings
	if err := json.Unmarshal([]byte(settings), &s); err != nil {
		return fmt.Errorf("settings of a role: %w", err)
	}
	// The other end of standard input is the test's: without it there is
	// nothing to do here. The goroutine lasts as long as the process.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	level := hclog.Info
	if s.Debug {
		level = hclog.Debug
	}
	log := hclog.New(&hclog.LoggerOptions{Name: s.Name, Level: level, Output: os.Stderr})
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: s.Endpoints, Logger: log})
	if err != nil {
		return err
	}
	if s.Coordinator {
		err = s.coordinate(ctx, st, log)
	} else {
		err = s.work(ctx, st, log)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, st.Close())
}

func (s *roleSettings) coordinate(ctx context.Context, st store.Store, log hclog.Logger) error {
	c, err := coordinator.New(coordinator.Config{
		Store: st, Namespace: s.Namespace, Name: s.Name, TTL: s.TTL, Margin: marginOf(s.TTL), Sweep: s.Sweep,
		Retention: -1, Logger: log,
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

func (s *roleSettings) work(ctx context.Context, st store.Store, log hclog.Logger) error {
	w, err := worker.New(worker.Config{
		Store: st, Namespace: s.Namespace, Name: s.Name, TTL: s.TTL, Margin: marginOf(s.TTL),
		Grace:  -1, // tasks here wait for a test: patience would not help
		Logger: log,
	})
	if err != nil {
		return err
	}
	signs := &signs{st: st, namespace: s.Namespace}
	worker.Handle(w, taskAdd, func(_ context.Context, n int) (int, error) { return n + 1, nil })
	worker.Handle(w, taskWait, func(ctx context.Context, n int) (int, error) { return n + 1, signs.beginAndWait(ctx) })
	worker.Handle(w, taskStubborn, func(ctx context.Context, n int) (int, error) {
		return n + 1, signs.beginAndWait(taskInfoOnly(ctx))
	})
	worker.Handle(w, taskFlaky, func(ctx context.Context, n int) (int, error) {
		if task.InfoFrom(ctx).Attempt == 1 {
			return 0, errors.New("the first attempt fails")
		}
		return n + 1, nil
	})
	worker.Handle(w, taskWhere, func(context.Context, int) (string, error) { return s.Namespace, nil })
	w.Serve(flowWait, flowChain, flowStubborn, flowFlaky, flowWhere, flowShort, flowNobody, flowTwice, flowFan, flowItems)
	return w.Run(ctx)
}

// taskInfoOnly is a context that tells who a task is and never ends.
func taskInfoOnly(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// Tasks that the workers here have.
var (
	taskAdd = workflow.NewTask[int, int]("add-one")
	// taskWait puts a sign that it has begun and waits for the test's.
	taskWait = workflow.NewTask[int, int]("wait")
	// taskStubborn is taskWait, but does not heed its context.
	taskStubborn = workflow.NewTask[int, int]("stubborn")
	// taskFlaky fails once.
	taskFlaky = workflow.NewTask[int, int]("flaky", workflow.Retry(workflow.RetryPolicy{Attempts: 2, Backoff: retryBackoff, Factor: 1}))
	// taskWhere tells the namespace of its worker.
	taskWhere = workflow.NewTask[int, string]("where")
)

// Time-outs that the scenarios with deadlines wait for.
const (
	retryBackoff    = 4 * time.Second
	runTimeout      = 5 * time.Second
	scheduleToStart = 4 * time.Second
)

// Workflows of these tasks.
var (
	flowWait  = oneTask("waits", taskWait)
	flowChain = workflow.New("waits-twice", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, taskAdd, workflow.Do(g, taskWait, v))
	})
	flowStubborn = oneTask("waits-stubbornly", taskStubborn)
	flowFlaky    = oneTask("fails-once", taskFlaky)
	flowWhere    = oneTask("tells-where", taskWhere)
	flowShort    = workflow.New("times-out", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, taskWait, v)
	}, workflow.RunTimeout(runTimeout))
	flowNobody = workflow.New("nobody-takes", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, taskAdd, v, workflow.Queue("nobody"), workflow.ScheduleToStart(scheduleToStart))
	})
	flowTwice = workflow.New("lost-twice", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		return workflow.Do(g, taskWait, v, workflow.MaxLosses(2))
	})
	// flowFan has a part that only an owner can go on with: a node is freed that
	// no claim covers.
	flowFan = workflow.New("fans-out", func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[int] {
		first := workflow.Do(g, taskWait, v, workflow.ID("first"))
		var branches []workflow.Value[int]
		for i := range 4 {
			branches = append(branches, workflow.Do(g, taskAdd, first, workflow.ID(fmt.Sprintf("branch-%d", i))))
		}
		sum := workflow.Inline(g, "sum", total, workflow.Gather(g, "all", branches...))
		return workflow.Do(g, taskAdd, sum, workflow.ID("last"))
	})
)

// flowItems is a map whose bodies are a step, a switch and, in one branch, two
// steps of which the first waits.
var flowItems = workflow.New("items", func(g *workflow.Graph, n workflow.Value[int]) workflow.Value[int] {
	list := workflow.Inline(g, "list", func(int) []int {
		items := make([]int, items)
		for i := range items {
			items[i] = i
		}
		return items
	}, n)
	each := workflow.Map(g, "each", list, func(g *workflow.Graph, item workflow.Value[int]) workflow.Value[int] {
		first := workflow.Do(g, taskAdd, item, workflow.MaxLosses(20))
		tenth := workflow.Inline(g, "tenth", func(n int) bool { return n%10 == 0 }, first)
		return workflow.If(g, "which", tenth,
			func(g *workflow.Graph) workflow.Value[int] {
				waited := workflow.Do(g, taskWait, first, workflow.MaxLosses(20))
				return workflow.Do(g, taskAdd, waited, workflow.MaxLosses(20))
			},
			func(g *workflow.Graph) workflow.Value[int] {
				return workflow.Do(g, taskAdd, first, workflow.MaxLosses(20))
			})
	}, workflow.Parallel(25))
	return workflow.Inline(g, "sum", total, each)
})

// items is how many items flowItems has, and itemsTotal what they come to: each
// is two more than its index, those that wait three.
const (
	items      = 100
	itemsTotal = items*(items-1)/2 + 2*items + items/10
)

func total(ns []int) int {
	sum := 0
	for _, n := range ns {
		sum += n
	}
	return sum
}

func oneTask[Out any](name string, t workflow.Task[int, Out]) *workflow.Workflow[int, Out] {
	return workflow.New(name, func(g *workflow.Graph, v workflow.Value[int]) workflow.Value[Out] {
		return workflow.Do(g, t, v)
	})
}

// signs are keys by which tasks and tests tell each other how far they are. They
// are outside of what Grapnel keeps.
type signs struct {
	st        store.Store
	namespace string
}

// begun is what the keys begin with that tasks of a run put when they begin. The
// value is a worker's id.
func (s *signs) begun(run grapnel.RunID) string {
	return "/signs/" + s.namespace + "/begun/" + store.Escape(string(run)) + "/"
}

// open is the key that the waiting tasks of a run wait for.
func (s *signs) open(run grapnel.RunID) string {
	return "/signs/" + s.namespace + "/open/" + store.Escape(string(run))
}

func (s *signs) beginAndWait(ctx context.Context) error {
	info := task.InfoFrom(ctx)
	key := fmt.Sprintf("%s%s.%d", s.begun(info.Run), info.Node, info.Fence)
	if err := patiently(ctx, func() error {
		_, err := s.st.Commit(ctx, store.Txn{Then: []store.Op{store.Put(key, []byte(info.Worker), 0)}})
		return err
	}); err != nil {
		return err
	}
	return watchUntil(ctx, s.st, s.open(info.Run), func(kvs map[string]store.KV) bool { return len(kvs) > 0 })
}

// patiently repeats what is harmless to repeat until the store does it.
func patiently(ctx context.Context, do func() error) error {
	for pause := (store.Pause{}); ; {
		err := do()
		if !errors.Is(err, grapnel.ErrUnavailable) && !errors.Is(err, grapnel.ErrUnknown) {
			return err
		}
		if waitErr := pause.Wait(ctx); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// watchUntil follows the keys under a prefix until they are as wanted. It
// survives what happens to the store meanwhile.
func watchUntil(ctx context.Context, st store.Store, prefix string, wanted func(map[string]store.KV) bool) error {
	return patiently(ctx, func() error { return watchOnce(ctx, st, prefix, wanted) })
}

func watchOnce(ctx context.Context, st store.Store, prefix string, wanted func(map[string]store.KV) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	page, err := st.List(ctx, store.ListRequest{Prefix: prefix, Limit: 10_000})
	if err != nil {
		return err
	}
	kvs := map[string]store.KV{}
	for _, kv := range page.KVs {
		kvs[kv.Key] = kv
	}
	if wanted(kvs) {
		return nil
	}
	for batch := range st.Watch(ctx, store.WatchRequest{Prefix: prefix, From: page.Revision + 1}) {
		if batch.Err != nil {
			return batch.Err
		}
		for _, ev := range batch.Events {
			if ev.Deleted {
				delete(kvs, ev.KV.Key)
			} else {
				kvs[ev.KV.Key] = ev.KV
			}
			if wanted(kvs) {
				return nil
			}
		}
	}
	return context.Cause(ctx)
}
