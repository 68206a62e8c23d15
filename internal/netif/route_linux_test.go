package netif

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func TestKernelRoutes(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	addForeign(t, link, "192.0.2.1/24")
	index := link.Attrs().Index
	for _, route := range []netlink.Route{
		{LinkIndex: index, Gw: net.IPv4(192, 0, 2, 254), Priority: 200},
		{LinkIndex: index, Gw: net.IPv4(192, 0, 2, 253), Priority: 100, Src: net.IPv4(192, 0, 2, 1)},
		{LinkIndex: index, Dst: ipNet("203.0.113.0/24"), Gw: net.IPv4(192, 0, 2, 252)},
	} {
		must(t, netlink.RouteAdd(&route))
	}
	addr := netip.MustParseAddr
	got, err := DefaultRoutes(t.Context())
	must(t, err)
	want := []Route{
		{Gateway: addr("192.0.2.253"), Interface: "eth0", Source: addr("192.0.2.1"), Metric: 100},
		{Gateway: addr("192.0.2.254"), Interface: "eth0", Metric: 200},
	}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("default routes (-want +got):\n%s", diff)
	}
	for dst, want := range map[string]Route{
		"203.0.113.5":  {Gateway: addr("192.0.2.252"), Interface: "eth0", Source: addr("192.0.2.1")},
		"198.51.100.1": {Gateway: addr("192.0.2.253"), Interface: "eth0", Source: addr("192.0.2.1")},
		"192.0.2.77":   {Interface: "eth0", Source: addr("192.0.2.1")},
		"192.0.2.1":    {Interface: "lo", Source: addr("192.0.2.1"), Local: true},
	} {
		got, err := RouteTo(t.Context(), addr(dst), netip.Addr{})
		if diff := cmp.Diff(want, got, compare); err != nil || diff != "" {
			t.Errorf("route to %s: %v (-want +got):\n%s", dst, err, diff)
		}
	}
	if _, err := RouteTo(t.Context(), addr("2001:db8::1"), netip.Addr{}); err == nil {
		t.Error("no error for a destination without route")
	}
	// The kernel's own entry in the local table is all that a virtual address
	// on lo needs to be a source.
	must(t, apply(t, address("lo", "198.51.100.9/32")).Err())
	t.Cleanup(func() { apply(t) })
	reply, err := RouteTo(t.Context(), addr("203.0.113.5"), addr("198.51.100.9"))
	if err != nil || reply.Interface != "eth0" || reply.Gateway != addr("192.0.2.252") {
		t.Errorf("route from the virtual address: %+v, %v, want by 192.0.2.252 on eth0", reply, err)
	}
}
