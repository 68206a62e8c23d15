package vrrpsock_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrpsock"
)

var (
	vip   = netip.MustParseAddr("192.0.2.100")
	alpha = netip.MustParseAddr("198.51.100.1")
	beta  = netip.MustParseAddr("198.51.100.2")

	vip6   = netip.MustParseAddr("2001:db8::100")
	local6 = netip.MustParseAddr("fe80::100") // virtual and link-local
	alpha6 = netip.MustParseAddr("fe80::1")
	beta6  = netip.MustParseAddr("fe80::2")
)

// segment is a bridge in a namespace of its own; hosts are namespaces with eth0.
type segment struct {
	testing.TB
	ns *testenv.Netns
}

func newSegment(tb testing.TB) *segment {
	s := &segment{tb, testenv.NewNetns(tb)}
	s.ns.Do(tb, func() {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		s.must(netlink.LinkAdd(bridge))
		s.must(netlink.LinkSetUp(bridge))
	})
	return s
}

func (s *segment) must(err error) {
	s.Helper()
	if err != nil {
		s.Error(err) // Fatal would end the wrong goroutine
	}
}

// host adds a namespace whose eth0 is plugged into the bridge as port.
func (s *segment) host(port string, addresses ...netip.Addr) *host {
	h := &host{segment: s, ns: testenv.NewNetns(s.TB), port: port}
	s.ns.Do(s.TB, func() {
		bridge, err := netlink.LinkByName("br0")
		s.must(err)
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = port, bridge.Attrs().Index
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(h.ns.Fd())}
		s.must(netlink.LinkAdd(veth))
		s.must(netlink.LinkSetUp(veth))
	})
	h.do(func(eth0 netlink.Link) {
		// Link-local addresses are what a test adds.
		s.must(os.WriteFile("/proc/sys/net/ipv6/conf/eth0/addr_gen_mode", []byte("1"), 0))
		s.must(netlink.LinkSetUp(eth0))
	})
	for _, a := range addresses {
		h.add(a)
	}
	h.waitRunning()
	return h
}

// partition cuts hosts off from one another, with their carriers up, or ends that.
func (s *segment) partition(cut bool, hosts ...*host) {
	s.Helper()
	s.ns.Do(s.TB, func() {
		for _, h := range hosts {
			port, err := netlink.LinkByName(h.port)
			s.must(err)
			s.must(netlink.LinkSetIsolated(port, cut))
		}
	})
}

// host implements vrrp.Network inside its namespace.
type host struct {
	*segment
	ns   *testenv.Netns
	port string
}

func (h *host) do(fn func(eth0 netlink.Link)) {
	h.Helper()
	h.ns.Do(h.TB, func() {
		eth0, err := netlink.LinkByName("eth0")
		h.must(err)
		if err == nil {
			fn(eth0)
		}
	})
}

func (h *host) address(a netip.Addr) *netlink.Addr {
	if a.Is6() {
		return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}
	}
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(24, 32)}}
}

func (h *host) add(a netip.Addr) {
	h.do(func(eth0 netlink.Link) { h.must(netlink.AddrAdd(eth0, h.address(a))) })
}

func (h *host) remove(a netip.Addr) {
	h.do(func(eth0 netlink.Link) { h.must(netlink.AddrDel(eth0, h.address(a))) })
}

// has reports whether eth0 has the address.
func (h *host) has(a netip.Addr) (found bool) {
	h.do(func(eth0 netlink.Link) {
		all, err := netlink.AddrList(eth0, netlink.FAMILY_ALL)
		h.must(err)
		for _, one := range all {
			found = found || one.IP.Equal(a.AsSlice())
		}
	})
	return found
}

// cable plugs the host's cable in or out, at the bridge.
func (h *host) cable(in bool) {
	h.Helper()
	h.segment.ns.Do(h.TB, func() {
		port, err := netlink.LinkByName(h.port)
		h.must(err)
		if in {
			h.must(netlink.LinkSetUp(port))
		} else {
			h.must(netlink.LinkSetDown(port))
		}
	})
	if in {
		h.waitRunning()
	}
}

// waitRunning waits until frames pass: eth0, its port and the bridge are up, all
// of which the kernel does in its own time.
func (h *host) waitRunning() {
	h.Helper()
	eventually(h.TB, "the link to run", func() bool {
		running := true
		look := func(link netlink.Link) { running = running && link.Attrs().OperState == netlink.OperUp }
		h.do(look)
		h.segment.ns.Do(h.TB, func() {
			for _, name := range []string{h.port, "br0"} {
				link, err := netlink.LinkByName(name)
				h.must(err)
				look(link)
			}
		})
		return running
	})
}

// Open opens a socket of the host's namespace.
func (h *host) Open(ifname string) (vrrp.Port, error) { return h.open(ifname, vrrpsock.Network{}.Open) }

func (h *host) Open6(ifname string) (vrrp.Port, error) {
	return h.open(ifname, vrrpsock.Network{}.Open6)
}

func (h *host) open(ifname string, open func(string) (vrrp.Port, error)) (vrrp.Port, error) {
	var p vrrp.Port
	err := errors.New("no namespace")
	h.ns.Do(h.TB, func() { p, err = open(ifname) })
	if err != nil {
		return nil, err
	}
	return &hostPort{p, h}, nil
}

// hostPort reads addresses in the host's namespace; the rest goes by the socket.
type hostPort struct {
	vrrp.Port
	host *host
}

func (p *hostPort) Source(exclude []netip.Addr) (a netip.Addr, err error) {
	p.host.ns.Do(p.host.TB, func() { a, err = p.Port.Source(exclude) })
	return a, err
}

func (h *host) mustOpen() vrrp.Port { return h.mustOpenWith(h.Open) }

func (h *host) mustOpen6() vrrp.Port { return h.mustOpenWith(h.Open6) }

func (h *host) mustOpenWith(open func(string) (vrrp.Port, error)) vrrp.Port {
	h.Helper()
	p, err := open("eth0")
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { p.Close() })
	return p
}

// receive returns what one Receive of a port gives, within a second.
func receive(tb testing.TB, p vrrp.Port) []vrrp.Datagram {
	tb.Helper()
	into := datagrams(64)
	got := make(chan int, 1)
	go func() {
		n, err := p.Receive(into)
		if err != nil && !errors.Is(err, net.ErrClosed) {
			tb.Error(err)
		}
		got <- n
	}()
	select {
	case n := <-got:
		return into[:n]
	case <-time.After(5 * time.Second):
		tb.Fatal("nothing received")
		return nil
	}
}

func datagrams(n int) []vrrp.Datagram {
	into := make([]vrrp.Datagram, n)
	for i := range into {
		into[i].Buffer = make([]byte, vrrp.MaxDatagram6)
	}
	return into
}

// eventually polls a condition of the kernel or of another process.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func config(priority uint8, interval time.Duration) vrrp.RouterConfig {
	return vrrp.RouterConfig{Name: "edge", Interface: "eth0", VRID: 51, Priority: priority,
		Interval: interval, Preempt: true, Addresses: []netip.Addr{vip}}
}

// message is an advert of a VRID from a source.
func message(tb testing.TB, source netip.Addr, vrid uint8) []byte {
	tb.Helper()
	family, virtual := vrrp.FamilyOf(source), vip
	if family == vrrp.IPv6 {
		virtual = local6
	}
	m, err := (&vrrp.Packet{VRID: vrid, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{virtual}}).Append(nil, source, family.Group())
	if err != nil {
		tb.Fatal(err)
	}
	return m
}
