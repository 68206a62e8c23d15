package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// leaseRoot has one folder for each lab of this machine.
	leaseRoot = "/run/haldir-lab"
	// netnsRoot is where named network namespaces are mounted, as ip-netns(8) has it.
	netnsRoot = "/run/netns"
	// namePrefix begins the name of every namespace of every lab.
	namePrefix = "haldir-"
	lockName   = "lock"
)

// lease is the folder of one lab and the lock that shows that its owner lives.
// The kernel drops the lock with the process, so whoever gets it knows that the
// rest is a leftover.
type lease struct {
	id   string
	dir  string
	lock *os.File
}

// takeLease makes a new lab's folder.
func takeLease() (*lease, error) {
	for serial := 1; ; serial++ {
		id := fmt.Sprintf("%d-%d", os.Getpid(), serial)
		l := &lease{id: id, dir: filepath.Join(leaseRoot, id)}
		if err := os.MkdirAll(leaseRoot, 0o755); err != nil {
			return nil, fmt.Errorf("making the folder of the labs: %w", err)
		}
		err := os.Mkdir(l.dir, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("making the folder of the lab: %w", err)
		}
		if l.lock, err = lockFile(filepath.Join(l.dir, lockName), os.O_CREATE); err != nil {
			return nil, fmt.Errorf("locking the folder of the lab: %w", err)
		}
		return l, nil
	}
}

func lockFile(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, os.NewSyscallError("flock", err)
	}
	return f, nil
}

// namespace returns the full name of a node's network namespace.
func (l *lease) namespace(node string) string { return namePrefix + l.id + "-" + node }

// release removes the lab's namespaces and folder.
func (l *lease) release() error {
	return errors.Join(removeTraces(l.id), l.lock.Close())
}

// Sweep removes what labs left behind whose process was killed. It returns
// their identifiers.
func Sweep() ([]string, error) {
	entries, err := os.ReadDir(leaseRoot)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the labs: %w", err)
	}
	var swept []string
	var errs []error
	for _, entry := range entries {
		lock, err := lockFile(filepath.Join(leaseRoot, entry.Name(), lockName), 0)
		if err != nil {
			continue // it lives, or is being made or removed
		}
		if err := removeTraces(entry.Name()); err != nil {
			errs = append(errs, err)
		} else {
			swept = append(swept, entry.Name())
		}
		_ = lock.Close()
	}
	return swept, errors.Join(errs...)
}

// removeTraces removes the namespaces and, if that worked, the folder of a lab.
func removeTraces(id string) error {
	mounts, err := os.ReadDir(netnsRoot)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listing network namespaces: %w", err)
	}
	var errs []error
	for _, m := range mounts {
		if !strings.HasPrefix(m.Name(), namePrefix+id+"-") {
			continue
		}
		path := filepath.Join(netnsRoot, m.Name())
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", path, err))
		}
		if err := os.Remove(path); err != nil {
			errs = append(errs, fmt.Errorf("removing a network namespace: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(leaseRoot, id)); err != nil {
		return fmt.Errorf("removing the folder of a lab: %w", err)
	}
	return nil
}
