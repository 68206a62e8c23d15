package netif

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockDirectory waits until no other process works on the records in dir. The
// lock ends with unlock or with the process.
func lockDirectory(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("locking the record's directory: %w", err)
	}
	for {
		if err = unix.Flock(int(d.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("locking the record's directory %s: %w", dir, err)
	}
	return func() { _ = d.Close() }, nil
}
