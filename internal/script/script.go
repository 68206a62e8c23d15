// Package script runs programs that others wrote: with a bound on their time and
// output, as an unprivileged user, and without leaving any of their process group
// behind. It does not interpret what they say.
package script

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// OutputLimit bounds what is kept of a program's output, in bytes. The program
// may write more; it goes nowhere.
const OutputLimit = 4 << 10

// Command is a program to run. It runs in the folder "/" with nothing to read.
type Command struct {
	// Args has the absolute path of the program and then its arguments.
	Args []string
	// Env is its whole environment besides PATH, as "NAME=value".
	Env []string
	// User is the name of the user to run as, without supplementary groups.
	User string
}

// Result is how a program ended.
type Result struct {
	// Exit is its exit status, 0 to 255, or -1 where a signal ended it.
	Exit int
	// Signal is the name of that signal, such as "killed".
	Signal string
	// Output is the beginning of what it wrote to its standard output and error.
	Output []byte
}

// ErrNotStarted marks errors of programs that did not run at all.
var ErrNotStarted = errors.New("the program was not started")

// path is where programs look for others.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ids returns the numbers of a user and its group.
func ids(name string) (uid, gid uint32, err error) {
	account, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("looking up the user: %w", err)
	}
	u, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("looking up the user %s: %w", name, err)
	}
	g, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("looking up the group of the user %s: %w", name, err)
	}
	return uint32(u), uint32(g), nil
}

// head keeps the first bytes written to it.
type head struct{ kept []byte }

// Write implements io.Writer. It takes everything.
func (h *head) Write(b []byte) (int, error) {
	if room := OutputLimit - len(h.kept); room > 0 {
		h.kept = append(h.kept, b[:min(room, len(b))]...)
	}
	return len(b), nil
}
