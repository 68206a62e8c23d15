package netif

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
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
	err := EnsureTunnel(t.Context(), "tunl0", 0)
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
	for device, kind := range map[string]string{"tunl0": "ipip", "sit0": "sit", "ip6tnl0": "ip6tnl", "gre0": "gre", "ip6gre0": "ip6gre"} {
		t.Run(device, func(t *testing.T) {
			// The first time brings the device, if it was not there.
			before, err := ReadTunnel(t.Context(), device)
			must(t, err)
			if before.Up {
				t.Fatal("it is up in a new namespace")
			}
			must(t, EnsureTunnel(t.Context(), device, 0))
			must(t, RestoreTunnel(t.Context(), before))
			before, err = ReadTunnel(t.Context(), device)
			must(t, err)
			if before.Up || !before.Exists || before.MTU < 1280 || (before.Inside != 0) != (device == "ip6tnl0") {
				t.Fatalf("%+v, want a device that is down", before)
			}
			for _, mtu := range []int{1400, 1400, 0} {
				must(t, EnsureTunnel(t.Context(), device, mtu))
				link, err := netlink.LinkByName(device)
				must(t, err)
				const want = unix.IFF_UP | unix.IFF_NOARP
				if flags := link.Attrs().RawFlags; flags&want != want || link.Type() != kind || link.Attrs().MTU != 1400 {
					t.Errorf("type %s, flags %#x, MTU %d, want %s, up, noarp, 1400", link.Type(), flags, link.Attrs().MTU, kind)
				}
				if now, err := ReadTunnel(t.Context(), device); err != nil || now.Inside != 0 {
					t.Errorf("%+v (%v): it does not take out both protocols", now, err)
				}
			}
			vips := map[string]Address{"192.0.2.9/32": {device, netip.MustParsePrefix("192.0.2.9/32")}}
			if device != "tunl0" {
				vips["2001:db8::9/128"] = Address{device, netip.MustParsePrefix("2001:db8::9/128")}
			}
			must(t, WriteSysctl("net/ipv6/conf/"+device+"/disable_ipv6", "0"))
			must(t, apply(t, slices.Collect(maps.Values(vips))...).Err())
			link, err := netlink.LinkByName(device)
			must(t, err)
			held := kernelAddresses(t, link)
			for vip := range vips {
				if got, there := held[vip]; !there || got.Scope != unix.RT_SCOPE_HOST && strings.HasPrefix(vip, "192") {
					t.Errorf("%s: there %v, scope %d on a tunnel, want %d", vip, there, got.Scope, unix.RT_SCOPE_HOST)
				}
			}
			list, err := NewAddresses().Read(t.Context())
			must(t, err)
			for _, p := range list {
				if p.Interface == device && !p.Ours && !ByKernel(p.Address) {
					t.Errorf("%s came by itself, and is not known to do so", p.Address)
				}
			}
			must(t, apply(t).Err())
			must(t, RestoreTunnel(t.Context(), before, 1400))
			if after, err := ReadTunnel(t.Context(), device); err != nil || after != before {
				t.Errorf("tunnel %+v, %v, want %+v", after, err, before)
			}
			// An MTU that is not ours stays.
			must(t, EnsureTunnel(t.Context(), device, 1300))
			must(t, RestoreTunnel(t.Context(), before, 1400))
			if after, err := ReadTunnel(t.Context(), device); err != nil || after.MTU != 1300 {
				t.Errorf("tunnel %+v, %v, want the MTU that somebody else set", after, err)
			}
		})
	}
}

func TestKernelDeviceOfAnotherTypeIsNoTunnel(t *testing.T) {
	link, _ := newVeth(t, "tunl7", "tunl7p")
	err := EnsureTunnel(t.Context(), "tunl7", 0)
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
