package vrrpsock_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrpsock"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// What RFC 9568, section 5.1, says of the frame: protocol 112, TTL 255, the group's
// address and MAC, the primary address as source.
func TestAdvertOnTheWire(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	tap := b.capture()
	p := a.mustOpen()
	want := message(t, alpha, 51)
	if n, err := p.Send(alpha, [][]byte{want}); n != 1 || err != nil {
		t.Fatalf("Send = %d, %v", n, err)
	}
	frame := tap.next(t, func(f []byte) bool { return f[12] == 8 && f[13] == 0 && f[23] == vrrp.Protocol })
	if got := net.HardwareAddr(frame[:6]).String(); got != "01:00:5e:00:00:12" {
		t.Errorf("destination MAC = %s", got)
	}
	ip := frame[14:]
	if ip[0] != 0x45 || ip[1] != 0xc0 || ip[8] != 255 || !bytes.Equal(ip[12:16], alpha.AsSlice()) || !bytes.Equal(ip[16:20], []byte{224, 0, 0, 18}) {
		t.Errorf("IP header = %x", ip[:20])
	}
	if !bytes.Equal(ip[20:20+len(want)], want) {
		t.Errorf("message = %x, want %x", ip[20:], want)
	}
}

func TestReceiveFillsDatagrams(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	from, to := a.mustOpen(), b.mustOpen()
	want := [][]byte{message(t, alpha, 51), message(t, alpha, 52), message(t, alpha, 53)}
	if n, err := from.Send(alpha, want); n != 3 || err != nil {
		t.Fatalf("Send = %d, %v", n, err)
	}
	var got []vrrp.Datagram
	for len(got) < 3 {
		got = append(got, receive(t, to)...)
	}
	for i, d := range got {
		if d.Source != alpha || d.Destination != vrrp.Group || d.TTL != 255 || !bytes.Equal(d.Payload, want[i]) {
			t.Errorf("datagram %d = from %v to %v, TTL %d, %x", i, d.Source, d.Destination, d.TTL, d.Payload)
		}
	}
}

// The TTL that arrives is passed on for the check, and what is not sent to the
// group arrives too.
func TestReceiveShowsTTLAndDestination(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	to := b.mustOpen()
	var conn net.PacketConn
	a.ns.Do(t, func() { conn, _ = net.ListenPacket("ip4:112", alpha.String()) })
	defer conn.Close()
	if _, err := conn.WriteTo(message(t, alpha, 51), &net.IPAddr{IP: beta.AsSlice()}); err != nil {
		t.Fatal(err)
	}
	got := receive(t, to)
	if len(got) != 1 || got[0].TTL != 64 || got[0].Destination != beta {
		t.Errorf("received %+v, want one of TTL 64 to %v", got, beta)
	}
}

// One packet that is longer than any legal one is left out, and those around it
// arrive.
func TestReceiveSurvivesGiants(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	from, to := a.mustOpen(), b.mustOpen()
	giant := make([]byte, 4200)
	copy(giant, message(t, alpha, 51))
	if n, err := from.Send(alpha, [][]byte{giant, message(t, alpha, 51)}); n != 2 || err != nil {
		t.Fatalf("Send = %d, %v", n, err)
	}
	if got := receive(t, to); len(got) != 1 || len(got[0].Payload) != 12 {
		t.Errorf("received %d datagrams, want the good one alone", len(got))
	}
}

// What arrives on another interface of the same host is not received, although
// another socket joined the group there.
func TestNoCrossTalkBetweenInterfaces(t *testing.T) {
	s1, s2 := newSegment(t), newSegment(t)
	a, b := s1.host("a", alpha), s1.host("b", beta)
	c := s2.host("c", netip.MustParseAddr("203.0.113.3"))
	// b gets a second interface, on the other segment.
	s2.ns.Do(t, func() {
		bridge, err := netlink.LinkByName("br0")
		s2.must(err)
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = "b", bridge.Attrs().Index
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth1", PeerNamespace: netlink.NsFd(b.ns.Fd())}
		s2.must(netlink.LinkAdd(veth))
		s2.must(netlink.LinkSetUp(veth))
	})
	b.ns.Do(t, func() {
		eth1, err := netlink.LinkByName("eth1")
		s2.must(err)
		s2.must(netlink.LinkSetUp(eth1))
		s2.must(netlink.AddrAdd(eth1, b.address(netip.MustParseAddr("203.0.113.2"))))
	})
	var onEth1 vrrp.Port
	eventually(t, "eth1 to run", func() bool {
		var err error
		onEth1, err = b.Open("eth1")
		return err == nil
	})
	defer onEth1.Close()
	onEth0, fromA, fromC := b.mustOpen(), a.mustOpen(), c.mustOpen()
	if _, err := fromC.Send(netip.MustParseAddr("203.0.113.3"), [][]byte{message(t, netip.MustParseAddr("203.0.113.3"), 7)}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, onEth1); len(got) != 1 || got[0].Payload[1] != 7 {
		t.Fatalf("eth1 received %+v, want VRID 7", got)
	}
	if _, err := fromA.Send(alpha, [][]byte{message(t, alpha, 51)}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, onEth0); len(got) != 1 || got[0].Payload[1] != 51 {
		t.Errorf("eth0 received %+v, want VRID 51 alone", got)
	}
}

func TestListenLimitsToVRIDs(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	from, to := a.mustOpen(), b.mustOpen()
	var vrids vrrp.VRIDs
	vrids.Add(52)
	if err := to.Listen(vrids); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Send(alpha, [][]byte{message(t, alpha, 51), message(t, alpha, 52), message(t, alpha, 53)}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, to); len(got) != 1 || got[0].Payload[1] != 52 {
		t.Errorf("received %+v, want VRID 52 alone", got)
	}
}

func TestOwnAdvertsAreNotReceived(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	pa, pb := a.mustOpen(), b.mustOpen()
	for _, send := range []struct {
		p    vrrp.Port
		from netip.Addr
	}{{pa, alpha}, {pb, beta}} {
		if _, err := send.p.Send(send.from, [][]byte{message(t, send.from, 51)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, pa); len(got) != 1 || got[0].Source != beta {
		t.Errorf("received %+v, want the one from %v alone", got, beta)
	}
}

func TestSourceIsTheFirstAddressThatIsNotVirtual(t *testing.T) {
	h := newSegment(t).host("a", vip, alpha)
	p := h.mustOpen()
	want := func(want netip.Addr, exclude ...netip.Addr) {
		t.Helper()
		if got, err := p.Source(exclude); err != nil || got != want {
			t.Errorf("Source = %v, %v, want %v", got, err, want)
		}
	}
	want(vip)
	want(alpha, vip)
	h.remove(vip) // the choice stays...
	want(alpha)
	other := netip.MustParseAddr("203.0.113.1")
	h.add(other)
	want(alpha)
	h.remove(alpha) // ...until it is gone
	want(other)
	h.remove(other)
	if _, err := p.Source(nil); !errors.Is(err, vrrp.ErrNoSource) || !strings.Contains(err.Error(), "interface eth0, IPv4: no address of its own") {
		t.Errorf("Source without addresses: %v, want ErrNoSource", err)
	}
}

func TestSourceNoticesWhatHappensToTheInterface(t *testing.T) {
	s := newSegment(t)
	h := s.host("a", alpha)
	p := h.mustOpen()
	wantError := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			_, err := p.Source(nil)
			return err != nil && err.Error() == want && !errors.Is(err, vrrp.ErrNoSource)
		})
	}
	h.cable(false)
	wantError("interface eth0 has no carrier")
	h.cable(true)
	h.do(func(eth0 netlink.Link) { s.must(netlink.LinkSetDown(eth0)) })
	wantError("interface eth0 is down")
	if _, err := h.Open("eth0"); err == nil || !strings.Contains(err.Error(), "opening a VRRP socket on eth0: interface eth0 is down") {
		t.Errorf("Open of an interface that is down: %v", err)
	}
	h.do(func(eth0 netlink.Link) { s.must(netlink.LinkDel(eth0)) })
	wantError("interface eth0 does not exist")
	h2 := &host{segment: s, ns: h.ns}
	h2.ns.Do(t, func() {
		s.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth9"}))
		for _, name := range []string{"eth9", "eth0"} {
			link, err := netlink.LinkByName(name)
			s.must(err)
			s.must(netlink.LinkSetUp(link))
		}
	})
	wantError("interface eth0 was replaced")
}

func TestOpenOfAMissingInterface(t *testing.T) {
	h := newSegment(t).host("a", alpha)
	if _, err := h.Open("eth7"); err == nil || err.Error() != "opening a VRRP socket on eth7: interface eth7 does not exist" {
		t.Errorf("Open = %v", err)
	}
}

func TestSendReportsWhatTheKernelRefuses(t *testing.T) {
	h := newSegment(t).host("a", alpha)
	p := h.mustOpen()
	if n, err := p.Send(beta, [][]byte{message(t, beta, 51)}); n != 0 || err == nil || !strings.Contains(err.Error(), "sending on eth0 from 198.51.100.2") {
		t.Errorf("Send from a foreign address = %d, %v", n, err)
	}
	h.do(func(eth0 netlink.Link) { h.must(netlink.LinkSetDown(eth0)) })
	if n, err := p.Send(alpha, [][]byte{message(t, alpha, 51)}); n != 0 || !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("Send on an interface that is down = %d, %v", n, err)
	}
}

func TestCloseEndsReceive(t *testing.T) {
	p := newSegment(t).host("a", alpha).mustOpen()
	ended := make(chan error)
	go func() {
		_, err := p.Receive(datagrams(1))
		ended <- err
	}()
	p.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Receive = %v, want net.ErrClosed", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Receive does not end")
	}
}

// Another process sends the will of a speaker that died.
func TestSendDeliversAWill(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	p := b.mustOpen()
	var err error
	a.ns.Do(t, func() { err = vrrpsock.Send("eth0", alpha, vrrp.Will(config(100, time.Second), alpha)) })
	if err != nil {
		t.Fatal(err)
	}
	var got vrrp.Packet
	for _, d := range receive(t, p) {
		if reason := got.Parse(&d); reason != vrrp.Accepted || got.VRID != 51 || got.Priority != 0 {
			t.Errorf("received %+v (%v), want priority 0 of VRID 51", got, reason)
		}
	}
}

// A batch may cost an object or two (pools that the race detector empties), an
// advert none.
func TestSockDoesNotAllocatePerAdvert(t *testing.T) {
	s := newSegment(t)
	wantNoAllocations(t, s.host("a", alpha).mustOpen(), s.host("b", beta).mustOpen(), alpha)
}

func wantNoAllocations(t *testing.T, from, to vrrp.Port, source netip.Addr) {
	t.Helper()
	var messages [][]byte
	for vrid := range uint8(32) {
		messages = append(messages, message(t, source, vrid+1))
	}
	into := datagrams(len(messages))
	if n := testing.AllocsPerRun(200, func() {
		if _, err := from.Send(source, messages); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(messages); {
			n, err := to.Receive(into)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	}); n > 2 {
		t.Errorf("%v allocations for %d adverts, want none for each", n, len(messages))
	}
}

// tap is a packet socket on eth0.
type tap struct{ conn *packet.Conn }

func (h *host) capture() *tap {
	h.Helper()
	var c *packet.Conn
	h.ns.Do(h.TB, func() {
		eth0, err := net.InterfaceByName("eth0")
		h.must(err)
		c, err = packet.Listen(eth0, packet.Raw, unix.ETH_P_ALL, nil)
		h.must(err)
	})
	h.Cleanup(func() { c.Close() })
	return &tap{c}
}

// next returns the next frame that fits.
func (c *tap) next(tb testing.TB, fits func([]byte) bool) []byte {
	tb.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	for {
		b := make([]byte, 2048)
		n, _, err := c.conn.ReadFrom(b)
		if err != nil {
			tb.Fatal(err)
		}
		if n >= 34 && fits(b[:n]) {
			return b[:n]
		}
	}
}

func BenchmarkSendBatch(b *testing.B) {
	p := newSegment(b).host("a", alpha).mustOpen()
	for _, size := range []int{1, 16, 255} {
		b.Run(map[int]string{1: "1", 16: "16", 255: "255"}[size], func(b *testing.B) {
			var messages [][]byte
			for i := range size {
				messages = append(messages, message(b, alpha, uint8(i+1)))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(alpha, messages); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/advert")
		})
	}
}

func TestContract(t *testing.T) {
	for _, family := range []struct {
		name                 string
		virtual, real, real2 netip.Addr
	}{
		{"IPv4", vip, alpha, beta},
		{"IPv6", local6, alpha6, beta6},
	} {
		t.Run(family.name, func(t *testing.T) {
			vrrptest.Contract(t, func(t *testing.T) (a, b vrrptest.Endpoint) {
				s := newSegment(t)
				return vrrptest.Endpoint{Network: s.host("a", family.virtual, family.real), Interface: "eth0", Virtual: family.virtual, Real: family.real},
					vrrptest.Endpoint{Network: s.host("b", family.virtual, family.real2), Interface: "eth0", Virtual: family.virtual, Real: family.real2}
			})
		})
	}
}
