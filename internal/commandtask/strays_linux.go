package commandtask

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// killStrays kills processes that belong to a dead worker and are in no group
// that the guard knows of: those of a command that had just been started, and
// those that left their group. Their environment tells by the worker's socket,
// which is a path that no other worker ever had. It reports whether it found any.
func killStrays(dir string) bool {
	mark := []byte("@" + filepath.Join(dir, socketFile) + "\x00")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	found := false
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// Found before its environment is looked at, it stays the process that the
		// environment is of.
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && bytes.Contains(env, mark) && p.Kill() == nil {
			found = true
		}
		_ = p.Release() // never fails
	}
	return found
}
