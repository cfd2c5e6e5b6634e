package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// runBlocks runs blocks one after another in a copy of the tree, up to the
// first that fails.
func runBlocks(ctx context.Context, blocks []block, out io.Writer) error {
	if len(blocks) == 0 {
		return nil
	}
	tree, err := copyTree(ctx)
	if err != nil {
		return fmt.Errorf("copy the tree: %w", err)
	}
	defer os.RemoveAll(tree) //nolint:errcheck // what is left is in the temporary folder
	for _, b := range blocks {
		start := time.Now()
		output, err := runBlock(ctx, b, tree)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", b.at, err, output)
		}
		fmt.Fprintf(out, "%s: ok, %.1fs\n", b.at, time.Since(start).Seconds())
	}
	return nil
}

// runBlock runs one block in its own process group and ends the whole group
// when the block ends or its time is over. It returns what the block printed.
func runBlock(ctx context.Context, b block, dir string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, fmt.Errorf("still running after %v", b.limit))
	defer cancel()
	// A file and not a pipe: a pipe would be waited for as long as anything
	// that the block started holds it.
	output, err := os.CreateTemp("", "docscheck-")
	if err != nil {
		return "", err
	}
	defer func() {
		_ = output.Close()
		_ = os.Remove(output.Name())
	}()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", b.text)
	cmd.Dir = dir
	// As typed by a reader: not as part of the make that runs the check.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return endGroup(cmd.Process) }
	err = cmd.Run()
	if cmd.Process != nil {
		_ = endGroup(cmd.Process)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	text, readErr := os.ReadFile(output.Name())
	return string(text), errors.Join(err, readErr)
}

// endGroup kills the group that a process leads.
func endGroup(leader *os.Process) error {
	err := syscall.Kill(-leader.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// copyTree copies what git would commit from the working tree, and returns
// where to.
func copyTree(ctx context.Context) (string, error) {
	names, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files: %w", err)
	}
	tree, err := os.MkdirTemp("", "docscheck-tree-")
	if err != nil {
		return "", err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		if err := copyFile(name, filepath.Join(tree, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", errors.Join(err, os.RemoveAll(tree))
		}
	}
	return tree, nil
}

// copyFile copies a file with its permissions, and makes the folders above it.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}
