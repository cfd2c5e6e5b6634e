package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/audit"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
)

// judge compares what the command says of the run's end with what was executed.
func (k *killTest) judge(p *process) {
	k.Helper()
	k.wait(p)
	k.compare()
	var r flowReport
	if err := json.Unmarshal([]byte(p.stdout.String()), &r); err != nil {
		k.Fatalf("%v\n%s", err, p.stdout.String())
	}
	if r.Status != "completed" || string(r.Output) != killOutput {
		k.Errorf("the run is %s with output %s, want %s", r.Status, r.Output, killOutput)
	}
	executed := map[string]int{}
	for _, name := range k.begun() {
		executed[name]++
	}
	k.result.Status, k.result.Tasks = r.Status, len(r.Tasks)
	for _, task := range r.Tasks {
		k.result.Lost += task.Losses
		if n := executed[task.Task]; n < 1 || n > 1+task.Losses {
			k.Errorf("%s was executed %d times and lost %d times", task.Task, n, task.Losses)
		}
		delete(executed, task.Task)
	}
	if len(executed) > 0 {
		k.Errorf("executed, but no tasks of the run: %v", executed)
	}
	if len(k.result.Repeated) > 0 {
		k.Errorf("executed again although they had been told as completed: %v", k.result.Repeated)
	}
}

// audit reads what etcd holds of the whole time.
func (k *killTest) audit() {
	k.Helper()
	e, err := embedetcd.Start(k.Context(), embedetcd.Config{Dir: filepath.Join(k.dir, "data")})
	if err != nil {
		k.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			k.Error(err)
		}
	}()
	st, err := etcdstore.Open(k.Context(), etcdstore.Config{Endpoints: e.Endpoints()})
	if err != nil {
		k.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			k.Error(err)
		}
	}()
	keys, err := store.NewKeys(client.DefaultNamespace)
	if err != nil {
		k.Fatal(err)
	}
	report, err := audit.Read(k.Context(), st, keys)
	if err != nil {
		k.Fatal(err)
	}
	for _, v := range report.Violations {
		k.result.Violations = append(k.result.Violations, v.String())
	}
	k.result.Complete = report.Complete
	if !report.Complete || len(report.Violations) > 0 || report.Runs != 1 || report.Ended != 1 {
		report.Violations = nil
		k.Errorf("the audit found %+v and %d violations, first of all %q", report, len(k.result.Violations), k.result.Violations[:min(3, len(k.result.Violations))])
	}
}

// save adds the run's line to the results, if they are wanted.
func (k *killTest) save() {
	k.Logf("killed %d times, %d executions of %d tasks, %d lost", len(k.result.Moments), k.result.Begun, k.result.Tasks, k.result.Lost)
	name := os.Getenv(resultsVariable)
	if name == "" {
		return
	}
	line, err := json.Marshal(k.result)
	if err != nil {
		k.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		k.Fatal(err)
	}
	if _, err = f.Write(append(line, '\n')); err != nil {
		k.Error(err)
	}
	if err := f.Close(); err != nil {
		k.Error(err)
	}
}
