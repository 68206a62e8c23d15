package vrrpsock_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/vrrp"
)

// What RFC 9568, section 5.1.2, says of the frame: next header 112, hop limit 255,
// the group's address and MAC, the link-local address as source.
func TestIPv6AdvertOnTheWire(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", vip6, alpha6), s.host("b", beta6)
	tap := b.capture()
	p := a.mustOpen6()
	want := message(t, alpha6, 51)
	if n, err := p.Send(alpha6, [][]byte{want}); n != 1 || err != nil {
		t.Fatalf("Send = %d, %v", n, err)
	}
	frame := tap.next(t, func(f []byte) bool { return f[12] == 0x86 && f[13] == 0xdd && f[20] == vrrp.Protocol })
	if got := net.HardwareAddr(frame[:6]).String(); got != "33:33:00:00:00:12" {
		t.Errorf("destination MAC = %s", got)
	}
	ip := frame[14:]
	if ip[0] != 0x6c || ip[1]&0xf0 != 0 || ip[7] != 255 || !bytes.Equal(ip[8:24], alpha6.AsSlice()) || !bytes.Equal(ip[24:40], vrrp.Group6.AsSlice()) {
		t.Errorf("IPv6 header = %x", ip[:40])
	}
	if !bytes.Equal(ip[40:40+len(want)], want) {
		t.Errorf("message = %x, want %x", ip[40:], want)
	}
}

func TestIPv6ReceiveShowsHopLimitAndDestination(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha6), s.host("b", beta6)
	to := b.mustOpen6()
	var conn net.PacketConn
	a.ns.Do(t, func() { conn, _ = net.ListenPacket("ip6:112", alpha6.String()+"%eth0") })
	defer conn.Close()
	if _, err := conn.WriteTo(message(t, alpha6, 51), &net.IPAddr{IP: beta6.AsSlice(), Zone: "eth0"}); err != nil {
		t.Fatal(err)
	}
	got := receive(t, to)
	if len(got) != 1 || got[0].TTL != 64 || got[0].Destination != beta6 || got[0].Source != alpha6 {
		t.Errorf("received %+v, want one of hop limit 64 from %v to %v", got, alpha6, beta6)
	}
}

func TestIPv6SourceIsALinkLocalAddressThatIsNotVirtual(t *testing.T) {
	h := newSegment(t).host("a", vip6, alpha6, local6)
	p := h.mustOpen6()
	want := func(want netip.Addr, exclude ...netip.Addr) {
		t.Helper()
		if got, err := p.Source(exclude); err != nil || got != want {
			t.Errorf("Source = %v, %v, want %v", got, err, want)
		}
	}
	want(alpha6, local6)
	h.remove(local6)
	h.add(beta6)
	want(alpha6) // the choice stays...
	h.remove(alpha6)
	want(beta6) // ...until it is gone
	h.remove(beta6)
	if _, err := p.Source(nil); !errors.Is(err, vrrp.ErrNoSource) || !strings.Contains(err.Error(), "interface eth0, IPv6: no address of its own") {
		t.Errorf("Source without a link-local address: %v, want ErrNoSource", err)
	}
}

// An address that is still being checked for duplicates cannot be sent from.
func TestIPv6SourceIsNotTentative(t *testing.T) {
	h := newSegment(t).host("a")
	p := h.mustOpen6()
	h.do(func(eth0 netlink.Link) {
		checked := h.address(alpha6)
		checked.Flags = 0
		h.must(netlink.AddrAdd(eth0, checked))
	})
	if got, err := p.Source(nil); !errors.Is(err, vrrp.ErrNoSource) {
		t.Errorf("Source at once = %v, %v, want ErrNoSource", got, err)
	}
	eventually(t, "the end of duplicate address detection", func() bool {
		got, err := p.Source(nil)
		return err == nil && got == alpha6
	})
}

// Another process sends the will of a speaker that died.
func TestIPv6WillIsDelivered(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha6), s.host("b", beta6)
	from, to := a.mustOpen6(), b.mustOpen6()
	cfg := config(100, fast)
	cfg.Addresses = []netip.Addr{vip6, local6}
	if _, err := from.Send(alpha6, [][]byte{vrrp.Will(cfg, alpha6)}); err != nil {
		t.Fatal(err)
	}
	var got vrrp.Packet
	for _, d := range receive(t, to) {
		if reason := got.Parse(&d); reason != vrrp.Accepted || got.VRID != 51 || got.Priority != 0 || got.Addresses[0] != local6 {
			t.Errorf("received %+v (%v), want priority 0 of VRID 51, %v first", got, reason, local6)
		}
	}
}

func TestIPv6SockDoesNotAllocatePerAdvert(t *testing.T) {
	s := newSegment(t)
	wantNoAllocations(t, s.host("a", alpha6).mustOpen6(), s.host("b", beta6).mustOpen6(), alpha6)
}

func TestIPv6ElectionOnRealSockets(t *testing.T) {
	s := newSegment(t)
	six := func(priority uint8) vrrp.RouterConfig {
		cfg := config(priority, fast)
		cfg.Addresses = []netip.Addr{local6, vip6}
		return cfg
	}
	a, b := s.host("a", alpha6).direct(six(200)), s.host("b", beta6).direct(six(100))
	a.await(vrrp.Master, vrrp.ReasonMasterDown)
	eventually(t, "b to hear a", func() bool { return b.status().Received > 5 })
	if got := b.status(); got.State != vrrp.Backup || got.Master != alpha6 || got.Source != beta6 || len(got.Dropped) != 0 || got.Problem != "" {
		t.Errorf("status of b = %+v", got)
	}
	a.shutdown()
	b.await(vrrp.Master, vrrp.ReasonMasterResigned)
	a.await(vrrp.Init, vrrp.ReasonSuccessor)
	if got := b.status().Source; got != beta6 {
		t.Errorf("source with the virtual addresses held = %v, want %v", got, beta6)
	}
}
