package config

import (
	"errors"
	"net"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/vishvananda/netlink"
)

// TestDefaultInterface asks the kernel in a namespace without and with a default
// route.
func TestDefaultInterface(t *testing.T) {
	testenv.NewNetns(t).Do(t, func() {
		if name, err := defaultInterface(); !errors.Is(err, errNoDefaultRoute) {
			t.Errorf("without a default route: %q, %v", name, err)
		}
		lo, err := net.InterfaceByName("lo") // every kernel has one
		if err != nil {
			t.Error(err)
			return
		}
		all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Index, Dst: all}); err != nil {
			t.Error(err)
			return
		}
		if name, err := defaultInterface(); name != "lo" || err != nil {
			t.Errorf("with a default route: %q, %v", name, err)
		}
	})
}
