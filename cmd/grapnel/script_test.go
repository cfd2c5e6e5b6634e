package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/httptask"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/worker"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"grapnel":     main,
		"worker":      func() { os.Exit(cli.Main("worker", cli.NewWorkerBinary().ExecuteContext)) },
		"demo-worker": func() { os.Exit(cli.Main("demo-worker", demoWorker)) },
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(2 * time.Minute),
		Setup: func(env *testscript.Env) error {
			address, err := freeAddress()
			env.Setenv("GRAPNEL_ENDPOINTS", address)
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			long := fmt.Sprintf("%q", strings.Repeat("x", grapnel.MaxPayload))
			wrong, absErr := filepath.Abs(wrongFolder)
			env.Setenv("WRONG", wrong)
			return errors.Join(err, absErr, os.WriteFile(filepath.Join(env.WorkDir, "too-long.json"), []byte(long), 0o600))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":              exits,
			"await-etcd":         awaitEtcd,
			"await-worker":       awaitWorker,
			"await-coordinators": awaitCoordinators,
			"await-file":         awaitFile,
			"await-empty":        awaitEmpty,
			"http-server":        httpServer,
			"stored":             stored,
			"await-running":      awaitRunning,
			"refused":            refusesAll,
		},
	})
}

// freeAddress returns an address at which nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// exits CODE COMMAND ARG... is exec for a command that is to exit with this code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%v exited with %d, want %s", args[1:], code, args[0])
	}
}

// await calls ready until it returns nil.
func await(ts *testscript.TestScript, ready func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for pause := (store.Pause{}); ; {
		err := ready(ctx)
		if err == nil {
			return
		}
		if pause.Wait(ctx) != nil {
			ts.Fatalf("waited in vain: %v", err)
		}
	}
}

// awaitEtcd waits until something listens at the endpoint.
func awaitEtcd(ts *testscript.TestScript, _ bool, _ []string) {
	await(ts, func(context.Context) error {
		conn, err := net.DialTimeout("tcp", ts.Getenv("GRAPNEL_ENDPOINTS"), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// connectStore returns a store that is closed at the script's end.
func connectStore(ts *testscript.TestScript) store.Store {
	st, err := etcdstore.Open(context.Background(), etcdstore.Config{Endpoints: []string{ts.Getenv("GRAPNEL_ENDPOINTS")}})
	ts.Check(err)
	ts.Defer(func() { _ = st.Close() })
	return st
}

// connect is connectStore with a client.
func connect(ts *testscript.TestScript) *client.Client {
	c, err := client.New(client.Config{Store: connectStore(ts)})
	ts.Check(err)
	return c
}

// awaitWorker [TASK] waits until a worker with this task is up or, if none is
// named, any worker that has stored its definitions.
func awaitWorker(ts *testscript.TestScript, _ bool, args []string) {
	c := connect(ts)
	await(ts, func(ctx context.Context) error {
		if _, err := c.FindDefinition(ctx, "double"); len(args) == 0 && err != nil {
			return err
		}
		workers, err := c.Workers(ctx)
		if err != nil {
			return err
		}
		for _, w := range workers {
			if len(args) == 0 || w.Tasks[args[0]] != nil {
				return nil
			}
		}
		return fmt.Errorf("no worker is up: %v", args)
	})
}

// awaitRunning RUN waits until a node of the run is being executed.
func awaitRunning(ts *testscript.TestScript, _ bool, args []string) {
	c := connect(ts)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for info, err := range c.Watch(ctx, grapnel.RunID(args[0])) {
		ts.Check(err)
		for _, n := range info.Nodes {
			if n.State == client.NodeRunning {
				return
			}
		}
	}
	ts.Fatalf("run %s ended before it was seen running", args[0])
}

// awaitCoordinators N waits until so many coordinators are up.
func awaitCoordinators(ts *testscript.TestScript, _ bool, args []string) {
	st := connectStore(ts)
	keys, err := store.NewKeys(cli.DefaultNamespace)
	ts.Check(err)
	await(ts, func(ctx context.Context) error {
		page, err := st.List(ctx, store.ListRequest{Prefix: keys.Coordinators()})
		if err == nil && strconv.Itoa(len(page.KVs)) != args[0] {
			err = fmt.Errorf("%d coordinators are up", len(page.KVs))
		}
		return err
	})
}

// awaitFile FILE waits until a file exists.
func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, func(context.Context) error {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err
	})
}

// awaitEmpty FOLDER waits until nothing is left in a folder.
func awaitEmpty(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, func(context.Context) error {
		left, err := os.ReadDir(ts.MkAbs(args[0]))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left: %v", left)
		}
		return err
	})
}

// stored TEXT looks for a text in all that etcd holds.
func stored(ts *testscript.TestScript, neg bool, args []string) {
	st := connectStore(ts)
	keys, err := store.NewKeys(cli.DefaultNamespace)
	ts.Check(err)
	prefix, _, _ := strings.Cut(keys.Workers(), cli.DefaultNamespace)
	found := ""
	for req := (store.ListRequest{Prefix: prefix}); ; {
		page, err := st.List(context.Background(), req)
		ts.Check(err)
		for _, kv := range page.KVs {
			if strings.Contains(string(kv.Value), args[0]) {
				found = kv.Key
			}
		}
		if !page.More {
			break
		}
		req.Revision, req.After = page.Revision, page.KVs[len(page.KVs)-1].Key
	}
	if neg && found != "" {
		ts.Fatalf("key %s has %q in it", found, args[0])
	}
	if !neg && found == "" {
		ts.Fatalf("nothing has %q in it", args[0])
	}
}

// httpServer starts a server that tells the Authorization and Idempotency-Key it
// gets, and sets the variable SERVER to its address.
func httpServer(ts *testscript.TestScript, _ bool, _ []string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{ // the client notices
			"key": r.Header.Get("Idempotency-Key"), "authorization": r.Header.Get("Authorization"),
		})
	}))
	ts.Defer(s.Close)
	ts.Setenv("SERVER", s.Listener.Addr().String())
}

// demoWorker is a worker as a user would write it, with tasks that succeed, that
// fail until a file exists, and that go on until they are stopped.
func demoWorker(ctx context.Context) error {
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: strings.Split(os.Getenv("GRAPNEL_ENDPOINTS"), ",")})
	if err != nil {
		return err
	}
	w, err := worker.New(worker.Config{Store: st, Name: "demo", Grace: -1})
	if err != nil {
		return err
	}
	double := workflow.TaskFunc("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	open := workflow.TaskFunc("open", func(_ context.Context, file string) (string, error) {
		if _, err := os.Stat(file); err != nil {
			return "", task.Fail("no-file", fmt.Errorf("%s is not there", file))
		}
		return file, nil
	})
	hang := workflow.TaskFunc("hang", func(ctx context.Context, _ workflow.None) (workflow.None, error) {
		<-ctx.Done()
		return workflow.None{}, ctx.Err()
	})
	gpu := workflow.NewTask[workflow.None, workflow.None]("render", workflow.Queue("gpu"))
	beating := workflow.New("beating", func(g *workflow.Graph, in workflow.Value[commandtask.Input]) workflow.Value[commandtask.Output] {
		return workflow.Do(g, commandtask.Task, in, workflow.Heartbeat(3*time.Second))
	})
	// Of the commands and requests this worker has the definitions alone.
	w.Serve(beating, single("command", commandtask.Task), single("http", httptask.Task))
	w.Serve(single("double", double), single("open", open), single("hang", hang), single("render", gpu),
		workflow.New("odd", func(g *workflow.Graph, in workflow.Value[[]int]) workflow.Value[[]int] {
			return workflow.Map(g, "each", in, func(g *workflow.Graph, n workflow.Value[int]) workflow.Value[int] {
				odd := workflow.Inline(g, "is-odd", func(n int) bool { return n%2 == 1 }, n)
				return workflow.If(g, "which", odd,
					func(g *workflow.Graph) workflow.Value[int] { return workflow.Do(g, double, n) },
					func(*workflow.Graph) workflow.Value[int] { return n })
			})
		}),
		workflow.New("timed", func(g *workflow.Graph, in workflow.Value[workflow.None]) workflow.Value[workflow.None] {
			return workflow.Do(g, hang, in)
		}, workflow.RunTimeout(100*time.Millisecond)))
	return errors.Join(w.Run(ctx), st.Close())
}

// single is a workflow of one task.
func single[In, Out any](name string, t workflow.Task[In, Out]) *workflow.Workflow[In, Out] {
	return workflow.New(name, func(g *workflow.Graph, in workflow.Value[In]) workflow.Value[Out] {
		return workflow.Do(g, t, in)
	})
}
