package netif

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// TestVirtualLinksOnTheKernel: what is made carries the tag by which it is found
// again, has no address of its own, and is mute where it shall be.
func TestVirtualLinksOnTheKernel(t *testing.T) {
	testenv.Root(t)
	newVeth(t, "va", "vb")
	four, six := NewVirtualLink("va", 51, false), NewVirtualLink("va", 51, true)
	bring := func(up, muted bool) {
		t.Helper()
		four.Up, six.Up, four.Muted, six.Muted = up, up, muted, muted
		desired := []VirtualLink{four, six}
		for _, step := range []func() (VirtualLinkResult, error){
			func() (VirtualLinkResult, error) { return PrepareVirtualLinks(t.Context(), desired) },
			func() (VirtualLinkResult, error) { return RaiseVirtualLinks(t.Context(), desired) },
		} {
			result, err := step()
			must(t, err)
			must(t, result.Err())
		}
		for _, want := range desired {
			links, err := Links(t.Context())
			must(t, err)
			l, _ := find(links, want.Name)
			if !l.Virtual || l.Up != up || !slices.Equal(l.MAC, want.MAC[:]) {
				t.Errorf("%s is %+v, want it up: %v", want, l, up)
			}
			if got, err := (kernelLinks{}).muted(l.Index); err != nil || got != (up && muted) {
				t.Errorf("%s is muted: %v, %v; want %v", want.Name, got, err, up && muted)
			}
		}
	}
	bring(false, false)
	addresses := NewAddresses()
	held := Address{six.Name, netip.MustParsePrefix("2001:db8::100/64")}
	addresses.Attributes = map[Address]Attributes{held: {NoRoute: true}}
	result, err := addresses.Reconcile(t.Context(), []Address{held})
	must(t, err)
	must(t, result.Err())
	bring(true, false)
	for _, a := range result.Present {
		if a.Interface == four.Name || a.Interface == six.Name && a.Address != held {
			t.Errorf("address %s, want %s alone", a.Address, held)
		}
	}
	// The address was there before its link came up, and nothing else came with it.
	list, err := addresses.Read(t.Context())
	must(t, err)
	for _, a := range list {
		if a.Interface == four.Name || a.Interface == six.Name && a.Address != held {
			t.Errorf("up: address %s, want %s alone", a.Address, held)
		}
	}
	if !slices.ContainsFunc(list, func(p PresentAddress) bool { return p.Address == held }) {
		t.Errorf("%s is gone: %v", held, list)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V6)
	must(t, err)
	for _, r := range routes {
		if r.Dst != nil && r.Dst.String() == "2001:db8::/64" {
			t.Errorf("route %s, want none to the address's network", r)
		}
	}
	for path, want := range map[string]string{
		"net/ipv4/conf/" + four.Name + "/rp_filter": "2", "net/ipv4/conf/" + four.Name + "/arp_ignore": "1",
		"net/ipv6/conf/" + four.Name + "/disable_ipv6": "1", "net/ipv6/conf/" + six.Name + "/accept_ra": "0",
	} {
		if got, err := ReadSysctl(path); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", path, got, err, want)
		}
	}
	bring(true, true)
	bring(true, false)
	bring(false, false)
	foreign := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "other", ParentIndex: mustLink(t, "va").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
	must(t, netlink.LinkAdd(foreign))
	done, err := PrepareVirtualLinks(t.Context(), nil)
	must(t, err)
	must(t, done.Err())
	if len(done.Changed) != 2 {
		t.Errorf("took away %q, want both", done.Changed)
	}
	mustLink(t, "other")
}

func mustLink(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}
