package wfrun

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// process is a child: this binary in a role.
type process struct {
	name  string // unique among the children of a run, such as "worker-3"
	role  role
	cmd   *exec.Cmd
	stdin io.Closer
	tail  *tail
	log   io.Closer // nil without a log file

	ended chan struct{} // closed once the child has been waited for
	err   error         // what it ended with; valid once ended is closed

	mu       sync.Mutex
	expected bool // guarded by mu; somebody here made it end
}

// start starts a child and tells it its settings. Its standard output is read
// from the returned pipe, if wanted.
func start(cfg *Config, r role, s settings, wantOut bool) (*process, io.ReadCloser, error) {
	exe, name := cfg.Exe, s.Name
	if exe == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, nil, fmt.Errorf("start %s: %w", name, err)
		}
		exe = self
	}
	p := &process{name: name, role: r, tail: &tail{}, ended: make(chan struct{})}
	p.cmd = exec.Command(exe, append(slices.Clone(cfg.RoleArgs), string(r))...)
	p.cmd.SysProcAttr = childAttributes(r)
	// What holds a pipe open after the child's death, such as a debugger, must
	// not hold us up.
	p.cmd.WaitDelay = time.Second
	var errOut io.Writer = p.tail
	if cfg.Logs != "" {
		f, err := os.Create(filepath.Join(cfg.Logs, name+".log"))
		if err != nil {
			return nil, nil, fmt.Errorf("start %s: %w", name, err)
		}
		p.log, errOut = f, io.MultiWriter(f, p.tail)
	}
	p.cmd.Stderr = errOut
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", name, err), p.closeLog())
	}
	p.stdin = stdin
	var out *io.PipeReader
	var outEnd *io.PipeWriter
	if wantOut {
		out, outEnd = io.Pipe()
		p.cmd.Stdout = outEnd
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", name, err), stdin.Close(), p.closeLog())
	}
	// Joined by whoever waits for p.ended, which each child's owner does.
	go func() {
		p.err = errors.Join(p.cmd.Wait(), p.closeLog())
		if outEnd != nil {
			_ = outEnd.Close() // never fails
		}
		close(p.ended)
	}()
	if err := json.NewEncoder(stdin).Encode(s); err != nil {
		if !p.kill() {
			return nil, nil, p.ending()
		}
		return nil, nil, fmt.Errorf("start %s: %w", name, err)
	}
	if out == nil {
		return p, nil, nil
	}
	return p, out, nil
}

func (p *process) closeLog() error {
	if p.log == nil {
		return nil
	}
	return p.log.Close()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// expect takes note that the child's end will be of our making. It returns false
// if it has ended already.
func (p *process) expect() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hasEnded() {
		return false
	}
	p.expected = true
	return true
}

// surprise returns what a child that has ended, and that nobody here made end,
// ended with; otherwise nil.
func (p *process) surprise() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expected || !p.hasEnded() {
		return nil
	}
	return p.ending()
}

func (p *process) ending() error {
	text := "it exited"
	if p.err != nil {
		text = p.err.Error()
	}
	return fmt.Errorf("%s ended by itself: %s%s", p.name, text, p.tail.quote())
}

// kill sends SIGKILL and waits for the end. It returns false if the child had
// ended before.
func (p *process) kill() bool {
	if !p.expect() {
		return false
	}
	_ = p.cmd.Process.Kill() // fails only if the child is gone
	<-p.ended
	return true
}

// stop asks the child to stop and waits for it, and kills it if that takes
// longer than grace. The error says that it did not stop well.
func (p *process) stop(grace time.Duration) error {
	if !p.expect() {
		return p.surprise()
	}
	_ = p.stdin.Close() // fails only if the child is gone
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill() // fails only if the child is gone
		<-p.ended
		return fmt.Errorf("%s did not stop within %v and was killed%s", p.name, grace, p.tail.quote())
	}
	if p.err != nil {
		return fmt.Errorf("%s did not stop well: %w%s", p.name, p.err, p.tail.quote())
	}
	return nil
}

// tail keeps the last few kilobytes that were written to it.
type tail struct {
	mu   sync.Mutex
	data []byte // guarded by mu
}

const tailSize = 4 << 10

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, b...)
	if over := len(t.data) - tailSize; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(b), nil
}

// quote returns what was written last, for the end of an error's text.
func (t *tail) quote() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.data))
	if text == "" {
		return ""
	}
	return "; the last it wrote:\n" + text
}
