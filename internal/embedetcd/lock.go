package embedetcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"

	"github.com/grapnel-dev/grapnel"
)

const (
	// dataDir is etcd's data directory, in that of the config.
	dataDir = "etcd"
	// lockName is the file whose lock says that one of our servers has the
	// directory.
	lockName = "lock"

	// lockPatience is for how long a locked directory is tried again, each time
	// after lockPause.
	lockPatience = time.Second
	lockPause    = 20 * time.Millisecond
)

// lockDir takes the directory for this server. Etcd itself would wait for
// whoever has it without a word.
func lockDir(ctx context.Context, dir string) (*fileutil.LockedFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockFile(ctx, filepath.Join(dir, lockName))
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("%w: data directory %s is in use by another server", grapnel.ErrInvalid, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := checkDatabase(filepath.Join(dir, dataDir, "member", "snap", "db")); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// lockFile locks a file, if it is not locked or stops being so soon: a process
// that was killed while it was starting another one, such as a command, leaves
// its locks to that one for a moment.
func lockFile(ctx context.Context, name string) (*fileutil.LockedFile, error) {
	for begun := time.Now(); ; {
		lock, err := fileutil.TryLockFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if !errors.Is(err, fileutil.ErrLocked) || time.Since(begun) > lockPatience {
			return lock, err
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// checkDatabase finds out whether a server that knows nothing of our lock, a
// stand-alone etcd, has the database.
func checkDatabase(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 200 * time.Millisecond})
	if errors.Is(err, bbolt.ErrTimeout) { //nolint:staticcheck // what Open returns
		return fmt.Errorf("%w: in use by an etcd", grapnel.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return db.Close()
}
