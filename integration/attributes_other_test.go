//go:build unix && !linux

package integration_test

import "syscall"

// childAttributes has nothing to set here: children end with their standard
// input.
func childAttributes() *syscall.SysProcAttr { return nil }
