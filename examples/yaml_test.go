package examples_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds a command of the tree.
func build(t *testing.T, at string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(at))
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, at).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// outcome is what is looked at of what grapnel run -o json prints.
type outcome struct {
	Status   string
	Output   json.RawMessage
	Failures []struct{ Task, Kind, Message string }
	Tasks    []struct {
		Task, State string
		Attempts    int
	}
}

// run runs a flow with the command, and returns its outcome, whatever it was.
func run(t *testing.T, env []string, args ...string) (outcome, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], append([]string{"run", "-o", "json"}, args[1:]...)...)
	cmd.Env = append(os.Environ(), append(env, "XDG_STATE_HOME="+t.TempDir(), "GRAPNEL_ENDPOINTS=")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var o outcome
	if jsonErr := json.Unmarshal(out, &o); jsonErr != nil {
		t.Fatalf("%v: %v, %v\n%s\n%s", args, err, jsonErr, out, &stderr)
	}
	return o, string(out) + stderr.String()
}

// folder copies an example, because runs write beside their files.
func folder(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(name)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	grapnel, dir := build(t, "../cmd/grapnel"), folder(t, "accesslog")
	o, said := run(t, nil, grapnel, filepath.Join(dir, "flow.yaml"))
	var out struct {
		Logs   int
		Report string
	}
	if err := json.Unmarshal(o.Output, &out); err != nil || o.Status != "completed" {
		t.Fatalf("%v\n%s", err, said)
	}
	want := read(t, "accesslog/expected.txt")
	if out.Logs != 6 || out.Report != want || read(t, filepath.Join(dir, "out", "report.txt")) != want {
		t.Errorf("of %d logs the report is\n%s\nwant\n%s", out.Logs, out.Report, want)
	}
	for _, task := range o.Tasks {
		if skipped := task.Task == "alarm"; (task.State == "skipped") != skipped || (task.State == "completed") == skipped {
			t.Errorf("task %s is %s", task.Task, task.State)
		}
	}
	if logs, err := filepath.Glob(filepath.Join(dir, "out", "access-*.log")); err != nil || len(logs) != 6 {
		t.Errorf("the logs are %v, %v", logs, err)
	}

	o, said = run(t, nil, grapnel, filepath.Join(dir, "flow.yaml"), "--input", `{"requests": 5}`)
	if o.Status != "completed" || !strings.Contains(string(o.Output), "too many errors") {
		t.Errorf("with few requests, of which many fail:\n%s", said)
	}
}

func TestShop(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-test"
	grapnel, shop := build(t, "../cmd/grapnel"), build(t, "./shop")
	env := []string{"SHOP_TOKEN=" + token}
	server := exec.CommandContext(t.Context(), shop, "-listen", "127.0.0.1:0")
	server.Env = append(os.Environ(), env...)
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSpace(url)
	input := `{"shop": "` + url + `"}`
	rule := strings.TrimPrefix(url, "http://")

	o, said := run(t, env, grapnel, "shop/flow.yaml", "--input", input, "--allow-http", rule)
	var got bytes.Buffer
	if err := json.Compact(&got, o.Output); err != nil || o.Status != "completed" {
		t.Fatalf("%v\n%s", err, said)
	}
	if want := `{"items":4,"ordered":{"buoy":17,"compass":5}}`; got.String() != want {
		t.Errorf("the output is %s, want %s", &got, want)
	}
	for _, task := range o.Tasks {
		want := 1
		if strings.HasPrefix(task.Task, "stock[") {
			want = 2 // the first answer is 503
		}
		if task.Attempts != want {
			t.Errorf("%s took %d attempts, want %d", task.Task, task.Attempts, want)
		}
	}
	if strings.Contains(said, token) {
		t.Errorf("the token was told:\n%s", said)
	}

	// To another port of the same address requests must not go.
	o, said = run(t, env, grapnel, "shop/flow.yaml", "--input", input, "--allow-http", "127.0.0.1:1")
	if o.Status != "failed" || len(o.Failures) != 1 || o.Failures[0].Kind != "http-egress" || o.Failures[0].Task != "items" {
		t.Errorf("the run ended otherwise than refused:\n%s", said)
	}
}
