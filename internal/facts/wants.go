package facts

import (
	"errors"
	"io/fs"
	"net/netip"
)

// Wants says what is to be read besides what is read always.
type Wants struct {
	WaysTo []netip.Addr // the way to each is looked up
	// Files is the root of the file system, for the files of programs that manage
	// the network; nil is the host's own.
	Files fs.FS
}

// isAbsent reports whether the kernel does not have something.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
