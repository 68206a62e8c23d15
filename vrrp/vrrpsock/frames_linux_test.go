package vrrpsock_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"testing"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// frame is an Ethernet frame with an IPv4 advert of VRID 51, to be changed.
func frame(tb testing.TB, vrid uint8, change func(ip []byte)) []byte {
	tb.Helper()
	m := message(tb, alpha, vrid)
	ip := []byte{0x45, 0xc0, 0, byte(20 + len(m)), 0, 0, 0, 0, 255, vrrp.Protocol, 0, 0}
	ip = append(append(ip, alpha.AsSlice()...), vrrp.Group.AsSlice()...)
	ip = append(ip, m...)
	if change != nil {
		change(ip)
	}
	header := int(ip[0]&0xf) * 4
	acc := uint32(0)
	ip[10], ip[11] = 0, 0
	for i := 0; i < header; i += 2 {
		acc += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(acc))
	mac := []byte{0x01, 0, 0x5e, 0, 0, 0x12, 0x02, 0, 0, 0, 0, 0x99, 0x08, 0}
	return append(mac, ip...)
}

// inject sends a frame as it is from a host's eth0.
func (h *host) inject(b []byte) {
	h.Helper()
	h.ns.Do(h.TB, func() {
		eth0, err := net.InterfaceByName("eth0")
		h.must(err)
		conn, err := packet.Listen(eth0, packet.Raw, unix.ETH_P_IP, nil)
		h.must(err)
		if err == nil {
			_, err = conn.WriteTo(b, &packet.Addr{HardwareAddr: b[:6]})
			h.must(err)
			conn.Close()
		}
	})
}

// What is no packet of ours on this interface does not even arrive: fragments,
// frames of a VLAN, to another host's MAC or another group, of another protocol, or
// with a wrong IPv4 header.
func TestWhatIsNoAdvertDoesNotArrive(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	to := b.mustOpen()
	b.do(func(eth0 netlink.Link) { s.must(netlink.SetPromiscOn(eth0)) })
	for name, f := range map[string][]byte{
		"first fragment": frame(t, 1, func(ip []byte) { ip[6] = 0x20 }),
		"last fragment":  frame(t, 2, func(ip []byte) { ip[5], ip[7] = 9, 1 }),
		"UDP":            frame(t, 3, func(ip []byte) { ip[9] = unix.IPPROTO_UDP }),
		"another group":  frame(t, 4, func(ip []byte) { ip[19] = 5 }),
		"IPv4 length":    frame(t, 5, func(ip []byte) { ip[3] = 200 }),
		"another host's MAC": func() []byte {
			f := frame(t, 6, nil)
			copy(f, []byte{2, 0, 0, 0, 0, 0x77})
			return f
		}(),
		"a VLAN": func() []byte {
			f := frame(t, 7, nil)
			return append(append(bytes.Clone(f[:12]), 0x81, 0, 0, 9), f[12:]...)
		}(),
		"header checksum": func() []byte { f := frame(t, 8, nil); f[14+11]++; return f }(),
	} {
		t.Log(name)
		a.inject(f)
	}
	a.inject(frame(t, 99, nil))
	if got := receive(t, to); len(got) != 1 || got[0].Payload[1] != 99 {
		for _, d := range got {
			t.Errorf("received VRID %d", d.Payload[1])
		}
	}
}

// What the rules do not speak of is not looked at: source MAC, TOS, DF,
// identification; IP options are skipped, and padding is left out.
func TestOddHeadersAndPaddingDoNotMatter(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	to := b.mustOpen()
	odd := frame(t, 51, func(ip []byte) { ip[1], ip[4], ip[5], ip[6] = 0, 0xbe, 0xef, 0x40 })
	withOptions := frame(t, 51, nil)
	withOptions = append(append(bytes.Clone(withOptions[:34]), 0x94, 4, 0, 0), withOptions[34:]...)
	withOptions[14], withOptions[17] = 0x46, withOptions[17]+4
	acc := uint32(0)
	withOptions[24], withOptions[25] = 0, 0
	for i := 14; i < 38; i += 2 {
		acc += uint32(binary.BigEndian.Uint16(withOptions[i:]))
	}
	binary.BigEndian.PutUint16(withOptions[24:], ^uint16(acc>>16+acc&0xffff))
	for name, f := range map[string][]byte{
		"odd header": odd,
		"padding":    append(frame(t, 51, nil), make([]byte, 30)...),
		"options":    withOptions,
	} {
		a.inject(f)
		var p vrrp.Packet
		for _, d := range receive(t, to) {
			if reason := p.Parse(&d); reason != vrrp.Accepted || d.Source != alpha {
				t.Errorf("%s: %v, payload %x", name, reason, d.Payload)
			}
		}
	}
}

// The groups are joined while a port is open, whatever the state, so that switches
// that listen to IGMP and MLD pass adverts on (RFC 9568, sections 6.4.1 to 6.4.3).
func TestGroupsAreJoined(t *testing.T) {
	h := newSegment(t).host("a", alpha, alpha6)
	joined := func() (four, six bool) {
		h.ns.Do(t, func() {
			text, err := os.ReadFile("/proc/thread-self/net/igmp")
			h.must(err)
			four = bytes.Contains(text, []byte("120000E0"))
			text, err = os.ReadFile("/proc/thread-self/net/igmp6")
			h.must(err)
			six = bytes.Contains(text, []byte("ff020000000000000000000000000012"))
		})
		return four, six
	}
	if four, six := joined(); four || six {
		t.Error("joined before a port is open")
	}
	h.mustOpen()
	h.mustOpen6()
	if four, six := joined(); !four || !six {
		t.Errorf("IPv4 joined: %v, IPv6: %v, want both", four, six)
	}
}
