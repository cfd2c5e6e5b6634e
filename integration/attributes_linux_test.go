package integration_test

import "syscall"

// childAttributes makes the kernel kill a child whose parent dies, also one that
// is stopped and cannot see its standard input end.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
