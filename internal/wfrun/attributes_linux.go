package wfrun

import "syscall"

// childAttributes makes the kernel kill a child whose parent dies. Strictly, it
// does so when the thread that started the child ends, which no thread of ours
// does before the process.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
