package netif

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// newVeth makes a pair of interfaces, both up, that goes away with the test.
func newVeth(t *testing.T, name, peer string) (netlink.Link, netlink.Link) {
	t.Helper()
	testenv.Root(t)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer}
	must(t, netlink.LinkAdd(pair))
	t.Cleanup(func() { _ = netlink.LinkDel(pair) })
	links := [2]netlink.Link{}
	for i, n := range []string{name, peer} {
		l, err := netlink.LinkByName(n)
		must(t, err)
		must(t, netlink.LinkSetUp(l))
		links[i] = l
	}
	eventually(t, "carrier on "+name, func() bool {
		l, err := netlink.LinkByIndex(links[0].Attrs().Index)
		return err == nil && linkOf(l).Running()
	})
	return links[0], links[1]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for the kernel to come to a state.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(10 * time.Second)
	for !reached() {
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("%s: not reached in 10 s", what)
		}
	}
}

func ipNet(prefix string) *net.IPNet {
	p := netip.MustParsePrefix(prefix)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// addForeign adds an address as any other program does.
func addForeign(t *testing.T, link netlink.Link, prefix string) {
	t.Helper()
	must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(prefix)}))
}

// kernelAddresses is the list of an interface, straight from the library.
func kernelAddresses(t *testing.T, link netlink.Link) map[string]netlink.Addr {
	t.Helper()
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	must(t, err)
	addrs := map[string]netlink.Addr{}
	for _, a := range list {
		if !a.IP.IsLinkLocalUnicast() {
			addrs[a.IPNet.String()] = a
		}
	}
	return addrs
}

// deleteLink removes an interface and waits until its sysctls are gone too.
func deleteLink(t *testing.T, link netlink.Link) {
	t.Helper()
	must(t, netlink.LinkDel(link))
	path := "net/ipv4/conf/" + link.Attrs().Name + "/arp_ignore"
	eventually(t, "sysctls of "+link.Attrs().Name+" gone", func() bool {
		_, err := ReadSysctl(path)
		return err != nil
	})
}
