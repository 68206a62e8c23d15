package guest

import (
	"os"
	"path/filepath"

	"github.com/haldir-lb/haldir/lab/guest/internal/pid1"
	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// Dispatch plays the part of the guest's init or modprobe, if this process was
// started as one of them, and then returns its exit status and true. Every
// executable that calls Run must call it first thing in main or TestMain:
//
//	if status, ok := guest.Dispatch(); ok {
//		os.Exit(status)
//	}
func Dispatch() (status int, ok bool) {
	switch {
	case os.Getpid() == 1 && os.Args[0] == initPath && planned():
		pid1.Run() // the end of process 1 is that of the guest
		return 1, true
	case filepath.Base(os.Args[0]) == "modprobe" && planned():
		return pid1.Modprobe(os.Args[1:], os.Stderr), true
	}
	return 0, false
}

// planned reports whether this is a guest: no other machine has a plan.
func planned() bool {
	_, err := os.Stat(wire.PlanPath)
	return err == nil
}
