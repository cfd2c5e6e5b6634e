package commandtask

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupAttributes gives a command a process group of its own, and makes the
// kernel kill it when the worker dies. Strictly, the kernel does so when the
// thread that started it ends, which no thread of ours does before the process.
func groupAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// ending waits for a command's end.
type ending struct{ cmd *exec.Cmd }

// await waits for the end and leaves the process to be waited for, so that its
// number goes on meaning it and its group, and nobody else.
func (e *ending) await() {
	for {
		err := unix.Waitid(unix.P_PID, e.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return // there is no other error for a child of ours
		}
	}
}

// reap returns what the command ended with.
func (e *ending) reap() error { return e.cmd.Wait() }
