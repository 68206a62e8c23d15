package realserver

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where the undo cannot be written down, nothing is changed.
func TestAFullDiskForTheUndoRecordStopsApplyOnTheKernel(t *testing.T) {
	segment(t)
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	if err := unix.Mount("tmpfs", r.StateDir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(r.StateDir, 0); err != nil {
			t.Error(err)
		}
	})
	full := filepath.Join(r.StateDir, "full")
	if err := os.WriteFile(full, make([]byte, 16<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	before, sysctls := addresses(t), confSysctls(t)
	err := r.Apply(t.Context(), state)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "remedy: make room in "+r.StateDir) {
		t.Errorf("error = %v, want that the disk is full, and the remedy", err)
	}
	if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
		t.Errorf("addresses (-before +after):\n%s", d)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls (-before +after):\n%s", d)
	}
	if left, err := os.ReadDir(r.StateDir); err != nil || len(left) != 1 {
		t.Errorf("in the state directory: %v, %v; want what filled it alone", left, err)
	}
	// With room it works.
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Apply(t.Context(), state), r.Remove(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// Two machines with one address are found by asking the segment.
func TestVerifyFindsAnotherHolderOfAnAddressOnTheKernel(t *testing.T) {
	far := segment(t)
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	expectAllOK(t, r, state)
	var mac string
	far.Do(t, func() {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			mac = link.Attrs().HardwareAddr.String()
			err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: serverAddr.AsSlice(), Mask: net.CIDRMask(24, 32)}})
		}
		if err != nil {
			t.Error(err)
		}
	})
	findings, err := r.Verify(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, f := range findings {
		if !f.OK {
			found += f.Item + ": " + f.Got
		}
	}
	if want := "holders of 192.0.2.11 on eth0: this host and " + mac; found != want {
		t.Errorf("found %q, want %q", found, want)
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
}
