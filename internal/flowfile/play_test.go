package flowfile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/celexpr"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/httptask"
	"github.com/grapnel-dev/grapnel/workflow"
)

// commands runs the commands of tasks, as far as the files of these tests need
// it. The task's own implementation is in another package.
type commands struct {
	mu    sync.Mutex
	tried map[string]int // guarded by mu; by item
	ran   []string       // guarded by mu
}

// commandInput is what the tests use of a command's input.
type commandInput struct {
	Argv   []string          `json:"argv"`
	Shell  string            `json:"shell"`
	Env    map[string]string `json:"env"`
	Stdout string            `json:"stdout"`
}

// run runs a command. With FLAKY=n in its environment it fails n times first.
func (c *commands) run(ctx context.Context, input []byte) ([]byte, error) {
	var in commandInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	flaky, _ := strconv.Atoi(in.Env["FLAKY"])
	c.mu.Lock()
	c.ran = append(c.ran, fmt.Sprint(in.Argv, in.Shell))
	c.tried[in.Env["ITEM"]]++
	fail := c.tried[in.Env["ITEM"]] <= flaky
	c.mu.Unlock()
	if fail {
		return nil, errors.New("not yet")
	}
	argv := in.Argv
	if in.Shell != "" {
		argv = []string{"/bin/sh", "-euc", in.Shell}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/bin:/usr/bin"}
	for name, value := range in.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	output := map[string]any{"exit_code": 0, "stdout": string(out)}
	if in.Stdout == "json" {
		output["stdout"] = json.RawMessage(out)
	}
	return json.Marshal(output)
}

// player plays a definition on the state machine alone, one event after another
// in some order.
type player struct {
	t       *testing.T
	def     *workflow.Definition
	s       *workflow.State
	input   []byte
	outputs map[int][]byte // by slot
	now     workflow.Moment
	fence   grapnel.Fence
	eval    *celexpr.Evaluator
	run     workflow.Handler
	most    map[string]int // by node, how many instances were ready at a time
}

func (p *player) RunID() grapnel.RunID { return "run-1" }

func (p *player) Input() ([]byte, error) { return p.input, nil }

func (p *player) Output(slot int) ([]byte, error) { return p.outputs[slot], nil }

// play plays a run to its end.
func play(t *testing.T, def *workflow.Definition, input []byte, run workflow.Handler, random *rand.Rand) *player {
	t.Helper()
	eval, err := celexpr.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, def: def, s: workflow.NewState(def, 1), input: input, outputs: map[int][]byte{}, now: 1, eval: eval, run: run, most: map[string]int{}}
	for !p.s.Finished() {
		var ready []int
		count := map[string]int{}
		for slot := range p.s.Slots() {
			if p.s.Ready(slot) {
				ready = append(ready, slot)
				count[p.s.Node(slot).Name]++
			}
		}
		if len(ready) == 0 {
			t.Fatalf("nothing is ready, and the run is not finished: %v", p.s.Cause)
		}
		for name, n := range count {
			p.most[name] = max(p.most[name], n)
		}
		p.step(ready[random.IntN(len(ready))])
	}
	p.apply(workflow.RunEnded{Now: p.now})
	return p
}

func (p *player) apply(ev workflow.Event) {
	p.t.Helper()
	if c, err := workflow.Advance(p.def, p.s, ev); err != nil || c.Verdict == workflow.Discarded {
		p.t.Fatalf("%#v: %v, %v", ev, c.Verdict, err)
	}
}

// step executes the node at a slot.
func (p *player) step(slot int) {
	p.t.Helper()
	p.now++
	p.fence++
	node := p.s.Node(slot)
	input, err := node.Input.Eval(workflow.NewValues(p.s, p).At(slot))
	if err != nil {
		p.t.Fatalf("input of %s: %v", p.s.Name(slot), err)
	}
	switch node.Kind {
	case workflow.KindSwitch:
		p.apply(workflow.SwitchDecided{Node: slot, Fence: p.fence, Now: p.now, Key: input})
	case workflow.KindMap:
		items, err := workflow.CountItems(input)
		if err != nil {
			p.t.Fatal(err)
		}
		p.apply(workflow.MapExpanded{Node: slot, Fence: p.fence, Now: p.now, Items: items})
	case workflow.KindExpr:
		out, err := p.eval.Evaluate(node.Expr, input)
		p.settle(slot, out, err, true)
	case workflow.KindTask:
		checkInput(p.t, node.Task, input)
		out, err := p.run(p.t.Context(), input)
		p.settle(slot, out, err, false)
	default:
		p.t.Fatalf("node %s is of kind %v", node.Name, node.Kind)
	}
}

// checkInput checks an input as the task itself does.
func checkInput(t *testing.T, task string, input []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(input))
	dec.DisallowUnknownFields()
	var in interface{ Check() error } = &commandtask.Input{}
	if task == httptask.TaskName {
		in = &httptask.Input{}
	}
	if err := errors.Join(dec.Decode(in), in.Check()); err != nil {
		t.Errorf("input of %s: %v: %s", task, err, input)
	}
}

func (p *player) settle(slot int, out []byte, err error, permanent bool) {
	p.t.Helper()
	if err != nil {
		p.apply(workflow.AttemptFailed{
			Node: slot, Fence: p.fence, Attempt: p.s.Nodes[slot].Attempt(), Now: p.now, RetryAt: p.now,
			Failure: workflow.Failure{Kind: workflow.KindBadExpression, Message: err.Error(), Node: slot, Permanent: permanent},
		})
		return
	}
	p.outputs[slot] = out
	p.apply(workflow.NodeCompleted{Node: slot, Fence: p.fence, Now: p.now, Output: out})
}

func (p *player) output() string {
	p.t.Helper()
	out, err := p.def.Output.Eval(workflow.NewValues(p.s, p).Run())
	if err != nil {
		p.t.Fatal(err)
	}
	return string(out)
}

// shopOutput is what shop.yaml comes to, but for the run's id.
const shopOutput = `{"by":"shop of RUN","express":null,` +
	`"packed":[{"exit_code":0,"stdout":{"at":0,"name":"apple"}},{"exit_code":0,"stdout":{"at":1,"name":"book"}},null,{"exit_code":0,"stdout":{"at":3,"name":"pear"}}],` +
	`"receipt":"Ann O'Hara|[\"apple\",\"book\",\"pear\"]|standard|8",` +
	`"two":["1-0","Ann O'Hara-1"]}`

func TestACompiledFileRunsInAnyOrderOfItsTasks(t *testing.T) {
	t.Parallel()
	f, def := load(t, "testdata/run/shop.yaml")
	input, err := f.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(10) {
		c := &commands{tried: map[string]int{}}
		p := play(t, def, input, c.run, rand.New(rand.NewPCG(seed, 1)))
		if p.s.Status != grapnel.RunCompleted {
			t.Fatalf("seed %d: the run is %v: %v", seed, p.s.Status, p.s.Cause)
		}
		if got := strings.Replace(p.output(), string(p.RunID()), "RUN", 1); got != shopOutput {
			t.Errorf("seed %d:\n got %s\nwant %s", seed, got, shopOutput)
		}
		want := map[string]int{"": len(c.ran) - 5, "apple": 1, "book": 3, "pear": 1}
		if !maps.Equal(c.tried, want) {
			t.Errorf("seed %d: commands were tried %v; want %v", seed, c.tried, want)
		}
		if n := p.most["pack"]; n > 2 {
			t.Errorf("seed %d: %d items were under way at a time, and parallel is 2", seed, n)
		}
		for _, command := range c.ran {
			if bytes.Contains([]byte(command), []byte("never reached")) {
				t.Errorf("seed %d: the skipped task ran", seed)
			}
		}
	}
}

func TestAnExpressionThatCannotBeEvaluatedFailsTheRun(t *testing.T) {
	t.Parallel()
	def := func() *workflow.Definition {
		f := parse(t, "workflow: w\ntasks:\n  maybe: {if: false, run: x}\n  a: {run: \"echo ${{ tasks.maybe.stdout }}\"}\n")
		def, err := f.Definition()
		if err != nil {
			t.Fatal(err)
		}
		return def
	}()
	c := &commands{tried: map[string]int{}}
	p := play(t, def, []byte("{}"), c.run, rand.New(rand.NewPCG(1, 1)))
	if p.s.Status != grapnel.RunFailed || p.s.Cause == nil || p.s.Name(p.s.Cause.Node) != "a.input" || len(c.ran) > 0 {
		t.Errorf("the run is %v, %v, and ran %v", p.s.Status, p.s.Cause, c.ran)
	}
}

func TestTasksGetInputsThatTheyTake(t *testing.T) {
	t.Parallel()
	const output = `{"exit_code":0,"stdout":"one\ntwo","files":{"summary":{"n":1},"log":"x"},"status":200,"headers":{},"body":{}}`
	seen := map[string]int{}
	for path, input := range map[string]string{
		"testdata/good/everything.yaml": `{"text":"it's"}`, "testdata/good/thumbnails.yaml": "", "testdata/good/smallest.yaml": "",
	} {
		f, def := load(t, path)
		in, err := f.CheckInput([]byte(input))
		if err != nil {
			t.Fatal(err)
		}
		p := play(t, def, in, func(context.Context, []byte) ([]byte, error) { return []byte(output), nil }, rand.New(rand.NewPCG(1, 2)))
		if p.s.Status != grapnel.RunCompleted {
			t.Errorf("%s: the run is %v: %v", path, p.s.Status, p.s.Cause)
		}
		for slot := range p.s.Slots() {
			if p.s.Nodes[slot].Status == grapnel.NodeCompleted {
				seen[p.s.Node(slot).Task]++
			}
		}
	}
	if seen[commandtask.TaskName] < 5 || seen[httptask.TaskName] < 2 {
		t.Errorf("ran %v", seen)
	}
}
