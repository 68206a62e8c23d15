package guest

import (
	"context"
	"os"
	"os/exec"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// Needed reports whether this machine's kernel lacks ip_vs, after an attempt to
// load it. It is false inside the guest.
func Needed(ctx context.Context) bool {
	if present() {
		return false
	}
	if modprobe, err := exec.LookPath("modprobe"); err == nil {
		// Whether it worked is seen below.
		_ = exec.CommandContext(ctx, modprobe, "-q", "ip_vs").Run()
	}
	return !present()
}

func present() bool {
	_, err := os.Stat("/proc/net/ip_vs")
	return err == nil
}

// Inside returns the release of the guest's kernel, and whether this process
// runs in a guest.
func Inside() (release string, inside bool) {
	release = os.Getenv(wire.MarkVariable)
	return release, release != ""
}
