package wfrun

import "syscall"

// childAttributes makes the kernel kill a child whose parent dies. Strictly, it
// does so when the thread that started the child ends, which no thread of ours
// does before the process. It leaves out etcd, which has a folder to remove when
// its standard input ends.
func childAttributes(r role) *syscall.SysProcAttr {
	if r == roleEtcd {
		return nil
	}
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
