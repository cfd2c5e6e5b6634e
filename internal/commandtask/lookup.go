//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/grapnel-dev/grapnel/task"
)

// shell runs a line of shell: it stops at the first command that fails, and at
// variables that are not set.
var shell = []string{"/bin/sh", "-eu", "-c"}

// lookUp returns the file that a program's name means for a command with this
// PATH that starts in dir. Relative folders of the PATH are passed over.
func lookUp(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if err := executable(file); err != nil {
			return "", notStarted("command %q: %w", name, err)
		}
		return file, nil
	}
	var found error
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		file := filepath.Join(folder, name)
		err := executable(file)
		if err == nil {
			return file, nil
		}
		// A folder that cannot be looked into is passed over, too.
		if _, unseen := errors.AsType[*fs.PathError](err); found == nil && !unseen {
			found = err
		}
	}
	if found != nil {
		return "", notStarted("command %q: %w", name, found)
	}
	return "", notStarted("command %q is in no folder of the PATH %s", name, path)
}

// executable returns why a file cannot be executed, or nil.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", file)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", file)
	}
	return nil
}

// checkDir returns why a command cannot start in dir, or nil.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return notStarted("the command's folder: %w", err)
	case !info.IsDir():
		return notStarted("the command's folder: %s is not a folder", dir)
	}
	return nil
}

func notStarted(format string, args ...any) error {
	return task.Fail(KindNotStarted, fmt.Errorf(format, args...))
}
