package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockName is the file in a run directory whose lock says that a node uses it.
const lockName = "lock"

// Lock takes an existing run directory for one node, until it is closed or the
// process ends, however that happens. The error wraps ErrLocked if the folder
// is taken.
func Lock(dir string) (io.Closer, error) { return LockAs(dir, lockName) }

// LockAs is Lock for a part of a node that has a lock of its own, a file of that
// name in the directory.
func LockAs(dir, name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the run directory: %w", err)
	}
	// A lock of the open file: it ends with it, and others can ask for it.
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking the run directory %s: %w", dir, err)
	}
	return f, nil
}

// Locked reports whether LockAs has been called with these arguments and the lock
// is still held. Asking takes nothing from anybody.
func Locked(dir, name string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether the run directory is in use: %w", err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false, fmt.Errorf("looking whether the run directory %s is in use: %w", dir, err)
	}
	return lock.Type != unix.F_UNLCK, nil
}
