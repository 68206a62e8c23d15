//go:build !linux

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func socketPair(string) (*os.File, *os.File, error) {
	return nil, nil, fmt.Errorf("socket pairs between processes: %w", errors.ErrUnsupported)
}

func startScheduled(*exec.Cmd, bool) (refused, err error) { return nil, errors.ErrUnsupported }

func scheduling(int) string { return "unknown" }

// Lock is there on Linux only.
func Lock(dir string) (io.Closer, error) { return LockAs(dir, "") }

// Locked is there on Linux only.
func Locked(dir, _ string) (bool, error) {
	return false, fmt.Errorf("asking for the lock of %s: %w", dir, errors.ErrUnsupported)
}

// LockAs is there on Linux only.
func LockAs(dir, _ string) (io.Closer, error) {
	return nil, fmt.Errorf("locking the run directory %s: %w", dir, errors.ErrUnsupported)
}
