//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
)

// Guard is all that a guard's process does: it reads from its standard input
// which process groups there are, a line "+ NUMBER" for one that has begun and
// "- NUMBER" for one that is gone. When the input ends, because the worker has
// closed it or is dead, it kills those that are left and removes the worker's
// folder dir.
func Guard(in io.Reader, dir string) error {
	// A terminal's Ctrl-C and a shutdown of the machine go to all processes. The
	// guard outlives the worker.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if _, err := os.Lstat(filepath.Join(dir, lockFile)); err != nil {
		return fmt.Errorf("%w: %s is not a worker's folder: %w", grapnel.ErrInvalid, dir, err)
	}
	groups := map[int]struct{}{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var sign string
		var group int
		if _, err := fmt.Sscanf(lines.Text(), "%1s %d", &sign, &group); err != nil || group <= 1 {
			continue // a line that the worker's death cut short
		}
		if sign == "+" {
			groups[group] = struct{}{}
		} else {
			delete(groups, group)
		}
	}
	for group := range groups {
		signalGroup(group, sigKill)
	}
	// What is killed may have begun others just before.
	for i := 0; i < maxStrays && killStrays(dir); i++ {
	}
	return removeAll(dir)
}

// maxStrays is how often strays are looked for.
const maxStrays = 100

// guard is the worker's end of the guard's process.
type guard struct {
	log hclog.Logger
	cmd *exec.Cmd

	mu    sync.Mutex
	input io.WriteCloser // guarded by mu
	gone  bool           // guarded by mu
}

func startGuard(argv []string, p *place, log hclog.Logger) (*guard, error) {
	argv = append(slices.Clone(argv), p.dir)
	g := &guard{log: log, cmd: exec.Command(argv[0], argv[1:]...)}
	g.cmd.Env = []string{} // it needs nothing, and should not show secrets
	g.cmd.Dir = "/"
	// Out of reach of what is sent to the worker's group.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g.cmd.ExtraFiles = []*os.File{p.lock}
	input, err := g.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	g.input = input
	if err := g.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the guard: %w", err), input.Close())
	}
	return g, nil
}

// add tells of a group that has begun. Like all methods it does nothing for nil.
func (g *guard) add(group int) { g.tell("+ %d\n", group) }

// remove tells of a group that is gone.
func (g *guard) remove(group int) { g.tell("- %d\n", group) }

func (g *guard) tell(format string, group int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return
	}
	if _, err := fmt.Fprintf(g.input, format, group); err != nil {
		g.gone = true
		g.log.Error("the guard is gone: if this worker is killed, its commands may outlive it", "error", err)
	}
}

// close ends the guard, which kills what is left.
func (g *guard) close() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	err := g.input.Close()
	g.gone = true
	g.mu.Unlock()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	if waited := g.cmd.Wait(); waited != nil {
		err = errors.Join(err, fmt.Errorf("the guard: %w", waited))
	}
	return err
}
