//go:build !linux

package wfrun

import "syscall"

// childAttributes has nothing to set here: children stop when their standard
// input ends.
func childAttributes(role) *syscall.SysProcAttr { return nil }
