package arp

import (
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// lan is a bridge br0 in the tests' namespace, to which hosts are plugged in.
type lan struct {
	bridge *net.Interface
	hosts  int
}

// host is a namespace with one interface, eth0.
type host struct {
	ns *testenv.Netns
	// MAC is that of eth0.
	mac net.HardwareAddr
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	testenv.Root(t)
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(t, netlink.LinkAdd(link))
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	must(t, netlink.LinkSetUp(link))
	return &lan{}
}

// add plugs a host in that has the addresses.
func (l *lan) add(t *testing.T, addrs ...string) host {
	t.Helper()
	l.hosts++
	port := fmt.Sprintf("port%d", l.hosts)
	bridge, err := netlink.LinkByName("br0")
	must(t, err)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: bridge.Attrs().Index}, PeerName: port + "p"}
	must(t, netlink.LinkAdd(pair))
	t.Cleanup(func() { _ = netlink.LinkDel(pair) })
	must(t, netlink.LinkSetUp(pair))
	peer, err := netlink.LinkByName(port + "p")
	must(t, err)
	h := host{ns: testenv.NewNetns(t), mac: peer.Attrs().HardwareAddr}
	must(t, netlink.LinkSetNsFd(peer, h.ns.Fd()))
	h.ns.Do(t, func() {
		eth0, err := netlink.LinkByName(port + "p")
		must(t, err)
		must(t, netlink.LinkSetName(eth0, "eth0"))
		must(t, netlink.LinkSetUp(eth0))
		for _, a := range addrs {
			addr, err := netlink.ParseAddr(a)
			must(t, err)
			must(t, netlink.AddrAdd(eth0, addr))
		}
	})
	// The bridge takes its MAC from its ports, and forwards once they have carrier.
	eventually(t, port+" forwarding", func() bool {
		link, err := netlink.LinkByName(port)
		return err == nil && link.Attrs().OperState == netlink.OperUp
	})
	eventually(t, "br0 up", func() bool {
		link, err := netlink.LinkByName("br0")
		return err == nil && link.Attrs().OperState == netlink.OperUp
	})
	l.bridge, err = net.InterfaceByName("br0")
	must(t, err)
	return h
}

// sniff returns a socket that sees all ARP frames that the interface receives.
func sniff(t *testing.T, ifname string) *packet.Conn {
	t.Helper()
	ifi, err := net.InterfaceByName(ifname)
	must(t, err)
	conn, err := packet.Listen(ifi, packet.Raw, etherTypeARP, nil)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// frames reads until there was none for a while; padding is left out.
func frames(t *testing.T, conn *packet.Conn, quiet time.Duration) [][]byte {
	t.Helper()
	var all [][]byte
	for {
		must(t, conn.SetReadDeadline(time.Now().Add(quiet)))
		buf := make([]byte, 256)
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return all
		}
		all = append(all, buf[:min(n, 42)])
	}
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

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
