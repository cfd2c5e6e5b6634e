//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
)

const (
	prefix     = "w-"   // of the workers' folders in the root
	lockFile   = "lock" // in a worker's folder
	socketFile = "hb"
	// maxSocket is how long the path of a socket may be on all systems.
	maxSocket = 100
)

// place is the folder of a worker, in which its attempts have theirs. It is the
// worker's for as long as the lock in it is held, which the system sees to, and
// which the guard inherits.
type place struct {
	dir  string
	lock *os.File
}

// openPlace makes a folder in root and removes those of dead workers.
func openPlace(root string, log hclog.Logger) (*place, error) {
	root, err := openRoot(root)
	if err != nil {
		return nil, err
	}
	sweep(root, log)
	dir, err := os.MkdirTemp(root, prefix)
	if err != nil {
		return nil, fmt.Errorf("%w: folder for attempts: %w", grapnel.ErrInvalid, err)
	}
	p := &place{dir: dir}
	if n := len(p.socket()); n > maxSocket {
		err = fmt.Errorf("%w: folder for attempts %s: it is %d bytes too long for a socket in it; choose another one (--work-dir)", grapnel.ErrInvalid, root, n-maxSocket)
		return nil, errors.Join(err, os.Remove(dir))
	}
	// Only a lock that is held is ever seen under its name.
	fresh := filepath.Join(dir, lockFile+".new")
	p.lock, err = os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = flock(p.lock)
	}
	if err == nil {
		err = os.Rename(fresh, filepath.Join(dir, lockFile))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder for attempts: %w", err), p.close())
	}
	return p, nil
}

// openRoot makes the root, and returns its absolute path. That of the default
// root can be foreseen by others on the machine, so it has to be the user's.
func openRoot(root string) (string, error) {
	isDefault := root == ""
	if isDefault {
		root = filepath.Join(os.TempDir(), "grapnel-"+strconv.Itoa(os.Getuid()))
	}
	root, err := filepath.Abs(root)
	if err == nil {
		err = os.MkdirAll(root, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("%w: folder for attempts: %w", grapnel.ErrInvalid, err)
	}
	if !isDefault {
		return root, nil
	}
	info, err := os.Lstat(root)
	if err != nil {
		return "", fmt.Errorf("%w: folder for attempts: %w", grapnel.ErrInvalid, err)
	}
	if !info.IsDir() || !isMine(info) || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%w: folder for attempts %s: it is not a folder that only this user may write to; choose another one (--work-dir)", grapnel.ErrInvalid, root)
	}
	return root, nil
}

func (p *place) socket() string { return filepath.Join(p.dir, socketFile) }

// close removes the folder, and only then lets go of the lock.
func (p *place) close() error {
	err := removeAll(p.dir)
	if p.lock != nil {
		err = errors.Join(err, p.lock.Close())
	}
	return err
}

// sweep removes the folders of dead workers: those whose lock is there, is the
// user's and can be had.
func sweep(root string, log hclog.Logger) {
	dirs, err := filepath.Glob(filepath.Join(root, prefix+"*"))
	if err != nil {
		return // the pattern is fine, unless the root's name is odd
	}
	for _, dir := range dirs {
		file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && isMine(info) && flock(file) == nil {
			err := removeAll(dir)
			log.Info("removed what a dead worker left behind", "folder", dir, "error", err)
		}
		_ = file.Close() // lets go of the lock
	}
}

// flock locks a file if nobody else has; the lock lasts until it is closed, here
// and in whatever inherited it.
func flock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func isMine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// removeAll removes a folder with all in it, also what is write-protected, and
// what killed processes are still writing in their last moments.
func removeAll(dir string) error {
	const tries = 5
	for i := 1; ; i++ {
		err := os.RemoveAll(dir)
		if err == nil || i == tries {
			return err
		}
		unprotect(dir)
		time.Sleep(time.Duration(i) * 10 * time.Millisecond)
	}
}

// unprotect makes folders writable. It does not follow symbolic links; what goes
// wrong shows when the folder is removed.
func unprotect(dir string) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return
	}
	if info.Mode().Perm()&0o700 != 0o700 {
		_ = os.Chmod(dir, 0o700) // see above
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			unprotect(filepath.Join(dir, e.Name()))
		}
	}
}
