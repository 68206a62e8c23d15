package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// unitCapabilities are what a systemd unit leaves to its processes, as setpriv
// names them.
func unitCapabilities(t *testing.T, path string) string {
	t.Helper()
	unit, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	set := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindSubmatch(unit)
	if set == nil {
		t.Fatalf("%s has no CapabilityBoundingSet", path)
	}
	names := []string{"-all"}
	for _, name := range strings.Fields(string(set[1])) {
		names = append(names, "+"+strings.ToLower(strings.TrimPrefix(name, "CAP_")))
	}
	return strings.Join(names, ",")
}

// TestTheUnitsCapabilitiesSuffice runs a director with what its unit leaves it: it
// becomes master, and runs a program as another user.
func TestTheUnitsCapabilitiesSuffice(t *testing.T) {
	testenv.Root(t)
	m := newMachine(t)
	// A folder that nobody may write to; the program is the system's own.
	folder, err := os.MkdirTemp("", "haldir-unit-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	touched := filepath.Join(folder, "touched")
	m.append("[vrrp.notify]\nmaster = [\"/usr/bin/touch\", \"" + touched + "\"]\n")
	args := append([]string{"--bounding-set=" + unitCapabilities(t, "../../etc/systemd/haldir.service"), "--", "/proc/self/exe"}, m.runArgs(m.config)...)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args[2] = self
	cmd := exec.Command("setpriv", args...)
	cmd.Env = append(os.Environ(), actVariable+"=1")
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	m.ns.Do(t, func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m.master(whatever)
	m.until("the notification", func() bool { _, err := os.Stat(touched); return err == nil })
	info, err := os.Stat(touched)
	if err != nil {
		t.Fatal(err)
	}
	if uid := ownerOf(info); uid != 65534 {
		t.Errorf("the program ran as user %d, want nobody's 65534", uid)
	}
}

func ownerOf(info os.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }
