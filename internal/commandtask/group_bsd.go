//go:build darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"os/exec"
	"syscall"
)

// groupAttributes gives a command a process group of its own. When the worker
// dies, it is for the guard to kill it.
func groupAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ending waits for a command's end.
type ending struct {
	cmd *exec.Cmd
	err error
}

// await waits for the end. Unlike on Linux, the process is no more then, and its
// number might be given to another one before its group is signalled.
func (e *ending) await() { e.err = e.cmd.Wait() }

// reap returns what the command ended with.
func (e *ending) reap() error { return e.err }
