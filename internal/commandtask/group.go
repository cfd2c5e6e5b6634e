//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// pipeDelay is for how long a command that has ended is waited for to close its
// output, which a process that got away may hold open.
const pipeDelay = time.Second

const (
	sigTerm = syscall.SIGTERM
	sigKill = syscall.SIGKILL
	sigCont = syscall.SIGCONT
)

// signalGroup sends a signal to all of a process group.
func signalGroup(group int, sig syscall.Signal) {
	_ = syscall.Kill(-group, sig) // fails only if all are gone
}

// signalName returns the name of the signal that ended a process, or "".
func signalName(state *os.ProcessState) string {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return ""
	}
	if name := unix.SignalName(status.Signal()); name != "" {
		return name
	}
	return fmt.Sprint(int(status.Signal()))
}

// startFailure says why a command could not be started.
func startFailure(cmd *exec.Cmd, err error) error {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return task.Fail(workflow.KindBadInput, errors.New("arguments and environment of the command are longer than the system allows"))
	case errors.Is(err, syscall.ENOENT):
		return notStarted("command %s: the interpreter that it names is not there: %w", cmd.Path, err)
	case errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return notStarted("command %s: %w", cmd.Path, err)
	}
	return fmt.Errorf("start the command: %w", err)
}
