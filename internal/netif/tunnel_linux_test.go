package netif

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// One of the next two tests runs, depending on the kernel.

func TestKernelWithoutTunnelsIsNamed(t *testing.T) {
	testenv.Root(t)
	if hasIPIP(t) {
		t.Skip("this kernel has ipip")
	}
	err := EnsureTunnel(t.Context(), "tunl0")
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "modprobe ipip") {
		t.Errorf("error %v, want an UnsupportedError with the remedy", err)
	}
	before, err := ReadTunnel(t.Context(), "tunl0")
	if err != nil || before != (Tunnel{Name: "tunl0"}) {
		t.Errorf("tunnel %+v, %v, want none", before, err)
	}
	must(t, RestoreTunnel(t.Context(), before))
}

func TestKernelTunnelIsSetUpAndBack(t *testing.T) {
	testenv.Root(t)
	if !hasIPIP(t) {
		if testenv.Required("ipvs") {
			t.Fatal("a kernel with ip_vs is required here, and it has no ipip")
		}
		t.Skip("this kernel has no ipip")
	}
	before, err := ReadTunnel(t.Context(), "tunl0")
	must(t, err)
	if before.Up {
		t.Fatal("tunl0 of a new namespace is up")
	}
	for range 2 {
		must(t, EnsureTunnel(t.Context(), "tunl0"))
		link, err := netlink.LinkByName("tunl0")
		must(t, err)
		const want = unix.IFF_UP | unix.IFF_NOARP
		if flags := link.Attrs().RawFlags; flags&want != want || link.Type() != "ipip" {
			t.Errorf("type %s, flags %#x, want ipip, up, noarp", link.Type(), flags)
		}
	}
	vip := Address{"tunl0", netip.MustParsePrefix("192.0.2.9/32")}
	must(t, apply(t, vip).Err())
	link, err := netlink.LinkByName("tunl0")
	must(t, err)
	if got := kernelAddresses(t, link)["192.0.2.9/32"]; got.Scope != unix.RT_SCOPE_HOST {
		t.Errorf("scope %d on a tunnel, want %d", got.Scope, unix.RT_SCOPE_HOST)
	}
	must(t, apply(t).Err())
	must(t, RestoreTunnel(t.Context(), before))
	after, err := ReadTunnel(t.Context(), "tunl0")
	if err != nil || after.Up {
		t.Errorf("tunnel %+v, %v, want it down", after, err)
	}
}

func TestKernelDeviceOfAnotherTypeIsNoTunnel(t *testing.T) {
	link, _ := newVeth(t, "tunl7", "tunl7p")
	err := EnsureTunnel(t.Context(), "tunl7")
	if err == nil || !strings.Contains(err.Error(), `setting up tunnel device tunl7: its type is "veth", not "ipip"`) {
		t.Errorf("error %v, want the type named", err)
	}
	must(t, RestoreTunnel(t.Context(), Tunnel{Name: "tunl7"}))
	if _, err := netlink.LinkByIndex(link.Attrs().Index); err != nil {
		t.Errorf("a device that is no tunnel was removed: %v", err)
	}
}

func hasIPIP(t *testing.T) bool {
	t.Helper()
	probe := &netlink.Iptun{LinkAttrs: netlink.LinkAttrs{Name: "tunl0"}}
	err := netlink.LinkAdd(probe)
	return err == nil || errors.Is(err, unix.EEXIST)
}
