package main

import (
	"cmp"
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

// published is where readers clone the project from.
const published = "https://github.com/grapnel-dev/grapnel"

// place is where the blocks of one file are run.
type place struct {
	dir  string   // temporary, and all else is in it
	env  []string // of the blocks
	work string   // the folder that the next block begins in
}

// newPlace makes a place with a clone of what git would commit, or with an empty
// folder. Cloning the project from where it is published makes such a clone,
// too. A fresh place begins with the build cache that is given, and all have a
// home folder of their own.
func newPlace(ctx context.Context, empty bool, cache string) (_ *place, err error) {
	dir, err := os.MkdirTemp("", "docscheck-")
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, work: filepath.Join(dir, "work")}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	origin := filepath.Join(dir, "origin")
	if err := copyTree(ctx, origin); err != nil {
		return nil, err
	}
	if p.env, err = environment(ctx, dir, origin, cache); err != nil {
		return nil, err
	}
	if empty {
		return p, os.Mkdir(p.work, 0o755)
	}
	return p, git(ctx, dir, "clone", "--quiet", origin, p.work)
}

func (p *place) close() error { return os.RemoveAll(p.dir) }

// environment is what the blocks see: as a reader who types them, who is not
// part of the make that runs the check.
func environment(ctx context.Context, dir, origin, cache string) ([]string, error) {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "MAKE") || strings.HasPrefix(name, "GRAPNEL_") || strings.HasPrefix(name, "GIT_") ||
			slices.Contains([]string{"MFLAGS", "CI", "HOME", "GOPATH", "GOBIN", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"}, name)
	})
	// What go would look up below the reader's home.
	out, err := exec.CommandContext(ctx, "go", "env", "GOENV", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	of := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(of) != 3 {
		return nil, fmt.Errorf("go env: %q are not three lines", out)
	}
	home := filepath.Join(dir, "home")
	return append(env,
		"HOME="+home, "PATH="+os.Getenv("PATH")+string(filepath.ListSeparator)+filepath.Join(home, "go", "bin"),
		"GOENV="+of[0], "GOMODCACHE="+of[1], "GOCACHE="+cmp.Or(cache, of[2]),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+origin+".insteadOf", "GIT_CONFIG_VALUE_0="+published,
	), os.Mkdir(home, 0o755)
}

// runBlocks runs blocks one after another, as one reader types them, up to the
// first that fails or prints something else than the document says.
func runBlocks(ctx context.Context, blocks []block, cache string, out io.Writer) (err error) {
	if len(blocks) == 0 {
		return nil
	}
	p, err := newPlace(ctx, blocks[0].empty, cache)
	if err != nil {
		return fmt.Errorf("make a place to run blocks in: %w", err)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var output string
	for _, b := range blocks {
		if b.mark == markOutput {
			if err := compare(b, output); err != nil {
				return fmt.Errorf("%w\nprinted was:\n%s", err, output)
			}
			fmt.Fprintf(out, "%s: as printed\n", b.at)
			continue
		}
		start := time.Now()
		if output, err = p.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w\n%s", b.at, err, output)
		}
		fmt.Fprintf(out, "%s: ok, %.1fs\n", b.at, time.Since(start).Seconds())
	}
	return nil
}

// run runs one block in its own process group and ends the whole group when the
// block ends or its time is over. It returns what the block printed.
func (p *place) run(ctx context.Context, b block) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, fmt.Errorf("still running after %v", b.limit))
	defer cancel()
	// A file and not a pipe: a pipe would be waited for as long as anything
	// that the block started holds it.
	output, err := os.Create(filepath.Join(p.dir, "output"))
	if err != nil {
		return "", err
	}
	defer output.Close()
	// The next block begins in the folder in which this one ends.
	ended := filepath.Join(p.dir, "ended")
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", b.text+"\npwd >'"+ended+"'\n")
	cmd.Dir, cmd.Env = p.work, p.env
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
	if err := errors.Join(err, readErr); err != nil {
		return string(text), err
	}
	work, err := os.ReadFile(ended)
	if err == nil {
		p.work = strings.TrimSpace(string(work))
	}
	return string(text), err
}

// endGroup kills the group that a process leads.
func endGroup(leader *os.Process) error {
	err := syscall.Kill(-leader.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// copyTree copies what git would commit from the working tree to a repository
// that it makes, as one commit.
func copyTree(ctx context.Context, to string) error {
	names, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		if err := copyFile(name, filepath.Join(to, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return errors.Join(
		git(ctx, to, "init", "--quiet"),
		git(ctx, to, "add", "--all", "--force"),
		git(ctx, to, "-c", "user.name=docscheck", "-c", "user.email=docscheck@localhost", "-c", "commit.gpgsign=false",
			"commit", "--quiet", "--no-verify", "--message", "What is in the tree"),
	)
}

// git runs git in a folder.
func git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
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
