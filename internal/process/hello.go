package process

import (
	"os"
	"strconv"
	"time"
)

// diedVariable tells a restarted process when its predecessor died, in
// nanoseconds since 1970.
const diedVariable = "HALDIR_PREDECESSOR_DIED"

// maxDown is the longest time without a process that is believed; more is a
// clock that was set.
const maxDown = time.Hour

// NewHello returns the hello of this process, sent now.
func NewHello() Hello { return hello(os.Getpid(), os.Getenv(diedVariable), time.Now()) }

// Restarted reports whether this process follows one that died.
func Restarted() bool { return os.Getenv(diedVariable) != "" }

func hello(pid int, died string, now time.Time) Hello {
	h := Hello{PID: pid}
	if ns, err := strconv.ParseInt(died, 10, 64); err == nil {
		if down := now.Sub(time.Unix(0, ns)); down > 0 && down < maxDown {
			h.Down = down
		}
	}
	return h
}

// DiedEnvironment returns the environment variable from which the successor of
// a process that died at that time makes its hello.
func DiedEnvironment(at time.Time) string {
	return diedVariable + "=" + strconv.FormatInt(at.UnixNano(), 10)
}
