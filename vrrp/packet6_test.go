package vrrp

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	alpha6 = netip.MustParseAddr("fe80::1")
	beta6  = netip.MustParseAddr("fe80::2")
	local6 = netip.MustParseAddr("fe80::100")
	vip6   = netip.MustParseAddr("2001:db8::100")
)

// An advert put together by hand: VRID 51, priority 150, one second, fe80::100,
// from fe80::1. The words of the message, 3133 9601 0064 fe80 0100, and of the
// pseudo-header, fe80 0001 ff02 0012 0018 0070, sum up to c538.
var literal6 = []byte{0x31, 51, 150, 1, 0x00, 100, 0x3a, 0xc7,
	0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}

func config6(priority uint8) RouterConfig {
	cfg := config(priority)
	cfg.Addresses = []netip.Addr{local6, vip6}
	return cfg
}

func datagram6(payload []byte) *Datagram {
	return &Datagram{Source: alpha6, Destination: Group6, TTL: 255, Payload: payload}
}

// RFC 9568, 5.1.2.2: "The IPv6 multicast address as assigned by the IANA for VRRP
// is: ff02:0:0:0:0:0:0:12"
func TestIPv6Group(t *testing.T) {
	if Group6 != netip.MustParseAddr("ff02::12") {
		t.Errorf("Group6 = %v", Group6)
	}
}

// RFC 9568, 5.2.8: for IPv6 "the checksum also includes a prepended
// pseudo-header"
func TestIPv6AppendWritesLiteralOctets(t *testing.T) {
	p := Packet{VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{local6}}
	got, err := p.Append(nil, alpha6, Group6)
	if err != nil || !bytes.Equal(got, literal6) {
		t.Errorf("Append = %x, %v, want %x", got, err, literal6)
	}
}

func TestIPv6ParseReadsLiteralOctets(t *testing.T) {
	var p Packet
	if reason := p.Parse(datagram6(literal6)); reason != Accepted || p.VRID != 51 || p.Priority != 150 || p.Interval != time.Second || !slices.Equal(p.Addresses, []netip.Addr{local6}) {
		t.Errorf("Parse = %+v, %v", p, reason)
	}
}

// The receive checks of RFC 9568, section 7.1, as far as they differ for IPv6.
func TestIPv6ReceiveChecks(t *testing.T) {
	plainSum := slices.Clone(literal6)
	plainSum[6], plainSum[7] = 0, 0
	check := ^fold(sum(0, plainSum))
	plainSum[6], plainSum[7] = byte(check>>8), byte(check)
	for _, test := range []struct {
		rule string
		give *Datagram
		want DropReason
	}{
		{"MUST verify that the IPv6 Hop Limit is 255", &Datagram{Source: alpha6, Destination: Group6, TTL: 254, Payload: literal6}, DropTTL},
		{"destination is the group", &Datagram{Source: alpha6, Destination: beta6, TTL: 255, Payload: literal6}, DropDestination},
		{"one family", &Datagram{Source: alpha6, Destination: Group, TTL: 255, Payload: literal6}, DropFamily},
		{"one family", &Datagram{Source: alpha, Destination: Group6, TTL: 255, Payload: literal6}, DropFamily},
		{"addresses as they are on the wire", &Datagram{Source: netip.AddrFrom16(alpha.As16()), Destination: Group6, TTL: 255, Payload: literal6}, DropFamily},
		{"addresses as they are on the wire", &Datagram{Source: alpha6.WithZone("eth0"), Destination: Group6, TTL: 255, Payload: literal6}, DropFamily},
		{"no addresses at all", &Datagram{TTL: 255, Payload: literal6}, DropFamily},
		{"list of 16 octets each", datagram6(literal6[:12]), DropLength},
		{"list cut", datagram6(literal6[:23]), DropLength},
		{"checksum of another source", &Datagram{Source: beta6, Destination: Group6, TTL: 255, Payload: literal6}, DropChecksum},
		{"checksum without pseudo-header, which is right over IPv4 alone", datagram6(plainSum), DropChecksum},
		{"version 2 is of IPv4", datagram6(append([]byte{0x21}, literal6[1:]...)), DropVersion},
	} {
		var p Packet
		if got := p.Parse(test.give); got != test.want {
			t.Errorf("%s: %v, want %v", test.rule, got, test.want)
		}
	}
}

// RFC 9568, 5.2.9: "For IPv6, the first address MUST be the IPv6 link-local
// address associated with the Virtual Router."
func TestIPv6LinkLocalAddressIsSentFirst(t *testing.T) {
	other := netip.MustParseAddr("2001:db8::101")
	for _, test := range []struct{ give, want []netip.Addr }{
		{[]netip.Addr{local6, vip6}, []netip.Addr{local6, vip6}},
		{[]netip.Addr{vip6, local6, other}, []netip.Addr{local6, vip6, other}},
		{[]netip.Addr{vip6, other}, []netip.Addr{vip6, other}}, // none: a deviation
	} {
		cfg := config(100)
		cfg.Addresses = slices.Clone(test.give)
		var p Packet
		if reason := p.Parse(datagram6(Will(cfg, alpha6))); reason != Accepted || !slices.Equal(p.Addresses, test.want) {
			t.Errorf("%v is sent as %v (%v), want %v", test.give, p.Addresses, reason, test.want)
		}
		if !slices.Equal(cfg.Addresses, test.give) {
			t.Errorf("encoding changed the configuration to %v", cfg.Addresses)
		}
	}
}

func TestIPv6WithoutLinkLocalAddressIsWarnedOf(t *testing.T) {
	cfg := config(100)
	if got := cfg.Warnings(); len(got) != 0 {
		t.Errorf("warnings over IPv4 = %q", got)
	}
	cfg.Addresses = []netip.Addr{vip6}
	if got := cfg.Warnings(); len(got) != 1 || !strings.Contains(got[0], "no link-local virtual address") {
		t.Errorf("warnings = %q", got)
	}
	cfg.Addresses = append(cfg.Addresses, local6)
	if got := cfg.Warnings(); len(got) != 0 {
		t.Errorf("warnings = %q, want none", got)
	}
}

func TestIPv6LongestMessage(t *testing.T) {
	p := Packet{VRID: 255, Priority: 255, Interval: MaxInterval}
	for i := range MaxAddresses {
		p.Addresses = append(p.Addresses, netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(i)}))
	}
	b, err := p.Append(nil, alpha6, Group6)
	if err != nil || len(b) != MaxDatagram6 {
		t.Fatalf("%d octets, %v, want %d", len(b), err, MaxDatagram6)
	}
	var got Packet
	if reason := got.Parse(datagram6(b)); reason != Accepted || !slices.Equal(got.Addresses, p.Addresses) {
		t.Errorf("Parse = %v, %d addresses", reason, len(got.Addresses))
	}
}

// RFC 9568, 6.4.3, of IPv6: "unsigned integer comparison of the IPvX addresses in
// network byte order"
func TestIPv6TieComparesAddresses(t *testing.T) {
	cfg := config(100)
	cfg.Addresses = []netip.Addr{local6}
	for from, yields := range map[string]bool{"fe80::3": true, "fe80:0:0:1::": true, "fe80::1": false, "fe80::ffff:ffff:ffff:ffff": true} {
		now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		m := NewMachine(cfg, beta6, now)
		m.Step(now, Event{Kind: EventStart, Reason: ReasonStart})
		now, _ = m.Deadline()
		m.Advance(now)
		m.Step(now, Event{Kind: EventPacket, From: netip.MustParseAddr(from), Packet: &Packet{VRID: 51, Priority: 100, Interval: time.Second}})
		if got := m.state == Backup; got != yields {
			t.Errorf("tie with %s: yields %v, want %v", from, got, yields)
		}
	}
}
