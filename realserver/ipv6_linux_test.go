package realserver

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

var (
	server6 = netip.MustParseAddr("2001:db8::11")
	asker6  = netip.MustParseAddr("2001:db8::2")
	vip6    = netip.MustParseAddr("2001:db8::100")
)

// segment6 is segment with IPv6 on it.
func segment6(t *testing.T) *testenv.Netns {
	t.Helper()
	far := segment(t)
	hold := func(addr netip.Addr) {
		if err := netif.WriteSysctl("net/ipv6/conf/eth0/disable_ipv6", "0"); err != nil {
			t.Fatal(err)
		}
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			err = netlink.AddrAdd(link, &netlink.Addr{
				IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD,
			})
		}
		if err != nil {
			t.Error(err)
		}
	}
	if err := netif.WriteSysctl("net/ipv6/conf/lo/disable_ipv6", "0"); err != nil {
		t.Fatal(err)
	}
	hold(server6)
	far.Do(t, func() { hold(asker6) })
	return far
}

// answers returns how many stations answer a solicitation from far.
func answers(t *testing.T, far *testenv.Netns, addr netip.Addr) (n int) {
	t.Helper()
	far.Do(t, func() {
		all, err := arp.Probe(t.Context(), "eth0", addr, 200*time.Millisecond)
		if err != nil {
			t.Error(err)
		}
		n = len(all)
	})
	return n
}

// A real server by DR over IPv6 takes what is sent to the VIP, replies from it, and
// answers no solicitation for it; no sysctl is needed for that.
func TestDROverIPv6OnTheKernelIsSilentAndServes(t *testing.T) {
	testenv.Root(t)
	far := segment6(t)
	r, state := onHost(t, service("web", "dr", "[2001:db8::100]:80", server6.String()))
	if len(state.Sysctls) != 0 {
		t.Errorf("sysctls %v, want none", state.Sysctls)
	}
	before := addresses(t)
	for range 2 {
		if err := r.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		expectAllOK(t, r, state)
		if own, others := answers(t, far, server6), answers(t, far, vip6); own != 1 || others != 0 {
			t.Errorf("%d answers for the host's own address and %d for the VIP, want 1 and 0", own, others)
		}
		expectServed6(t, far)
		if n := answers(t, far, vip6); n != 0 {
			t.Errorf("%d answers for the VIP after a reply from it, want none", n)
		}
		if err := r.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
			t.Errorf("addresses after remove (-before +after):\n%s", d)
		}
	}
}

// expectServed6 sends a datagram to the VIP at the real server's MAC, as a director
// does, and wants the reply from the VIP.
func expectServed6(t *testing.T, far *testenv.Netns) {
	t.Helper()
	service, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(vip6, 80)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	var client *net.UDPConn
	far.Do(t, func() {
		var link netlink.Link
		if link, err = netlink.LinkByName("eth0"); err != nil {
			return
		}
		entry := &netlink.Neigh{LinkIndex: link.Attrs().Index, IP: vip6.AsSlice(), State: netlink.NUD_PERMANENT, HardwareAddr: eth0.HardwareAddr}
		if err = netlink.NeighSet(entry); err == nil {
			client, err = net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(vip6, 80)))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	deadline := time.Now().Add(10 * time.Second)
	buffer := make([]byte, 16)
	if err := service.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if err := client.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	_, from, err := service.ReadFromUDPAddrPort(buffer)
	if err != nil || from.Addr() != asker6 {
		t.Fatalf("request from %v, %v; want one from %v", from, err, asker6)
	}
	if _, err := service.WriteToUDPAddrPort([]byte("reply"), from); err != nil {
		t.Fatal(err)
	}
	// The client is connected: it takes a reply from the VIP alone.
	if n, err := client.Read(buffer); err != nil || string(buffer[:n]) != "reply" {
		t.Errorf("reply %q, %v", buffer[:n], err)
	}
}
