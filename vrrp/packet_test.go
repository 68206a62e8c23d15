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
	alpha = netip.MustParseAddr("198.51.100.1")
	beta  = netip.MustParseAddr("198.51.100.2")
	gamma = netip.MustParseAddr("198.51.100.3")
	vip   = netip.MustParseAddr("192.0.2.100")
)

// The octets of an advert, put together by hand: VRID 51, priority 150, one
// second, 192.0.2.100, from 198.51.100.1. The words of the message, 3133 9601 0064
// c000 0264, sum up to 89fd; c633 6401 e000 0012 0070 000c of the pseudo-header
// make that 94c1. The checksums are the complements.
var (
	literal     = []byte{0x31, 51, 150, 1, 0x00, 100, 0x6b, 0x3e, 192, 0, 2, 100}
	literal9568 = []byte{0x31, 51, 150, 1, 0x00, 100, 0x76, 0x02, 192, 0, 2, 100}
)

func datagram(payload []byte) *Datagram {
	return &Datagram{Source: alpha, Destination: Group, TTL: 255, Payload: payload}
}

func TestAppendWritesLiteralOctets(t *testing.T) {
	p := Packet{VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	got, err := p.Append(nil, alpha, Group)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, literal) {
		t.Errorf("Append = %x, want %x", got, literal)
	}
}

func TestAppendRefusesWhatCannotBeSent(t *testing.T) {
	good := Packet{VRID: 1, Priority: 1, Interval: time.Second, Addresses: []netip.Addr{vip}}
	six := netip.MustParseAddr("2001:db8::1")
	for name, test := range map[string]struct {
		change func(*Packet)
		source netip.Addr
		want   string
	}{
		"VRID":        {func(p *Packet) { p.VRID = 0 }, alpha, "VRID 0"},
		"no address":  {func(p *Packet) { p.Addresses = nil }, alpha, "0 addresses"},
		"256":         {func(p *Packet) { p.Addresses = make([]netip.Addr, 256) }, alpha, "256 addresses"},
		"interval":    {func(p *Packet) { p.Interval = 0 }, alpha, "interval 0s"},
		"fraction":    {func(p *Packet) { p.Interval = 15 * time.Millisecond }, alpha, "interval 15ms"},
		"long":        {func(p *Packet) { p.Interval = 41 * time.Second }, alpha, "interval 41s"},
		"family":      {func(p *Packet) { p.Addresses = []netip.Addr{six} }, alpha, "address 2001:db8::1"},
		"source":      {func(*Packet) {}, six, "from 2001:db8::1"},
		"zero source": {func(*Packet) {}, netip.Addr{}, "must be IPv4"},
	} {
		p := good
		test.change(&p)
		if _, err := p.Append(nil, test.source, Group); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want one with %q", name, err, test.want)
		}
	}
}

func TestParseReadsLiteralOctets(t *testing.T) {
	for name, octets := range map[string][]byte{
		"RFC 5798: checksum with pseudo-header":     literal,
		"RFC 9568 5.2.8: checksum of message alone": literal9568,
	} {
		var p Packet
		if reason := p.Parse(datagram(octets)); reason != Accepted {
			t.Errorf("%s: dropped for %v", name, reason)
			continue
		}
		if p.VRID != 51 || p.Priority != 150 || p.Interval != time.Second || !slices.Equal(p.Addresses, []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 100})}) {
			t.Errorf("%s: Parse = %+v", name, p)
		}
	}
}

// TestReceiveChecks has one row for each check of RFC 9568, section 7.1, and
// those around it. The checksum is right unless it is what is tested.
func TestReceiveChecks(t *testing.T) {
	fix := func(b []byte) []byte {
		b[6], b[7] = 0, 0
		c := ^fold(sum(pseudoHeader(alpha, Group, len(b)), b))
		b[6], b[7] = byte(c>>8), byte(c)
		return b
	}
	changed := func(i int, v byte) []byte {
		b := slices.Clone(literal)
		b[i] = v
		return fix(b)
	}
	six := netip.MustParseAddr("fe80::1")
	tests := []struct {
		rule string
		give *Datagram
		want DropReason
	}{
		{"MUST verify that the IPv4 TTL is 255", &Datagram{Source: alpha, Destination: Group, TTL: 254, Payload: literal}, DropTTL},
		{"MUST verify that the IPv4 TTL is 255", &Datagram{Source: alpha, Destination: Group, TTL: 0, Payload: literal}, DropTTL},
		{"IPv4 only", &Datagram{Source: six, Destination: Group, TTL: 255, Payload: literal}, DropFamily},
		{"destination is the group", &Datagram{Source: alpha, Destination: beta, TTL: 255, Payload: literal}, DropDestination},
		{"MUST verify the VRRP version: 2", datagram(changed(0, 0x21)), DropVersion},
		{"MUST verify the VRRP version: 0", datagram(changed(0, 0x01)), DropVersion},
		{"MUST verify the VRRP version: 15", datagram(changed(0, 0xf1)), DropVersion},
		{"MUST verify that the type is 1: 0", datagram(changed(0, 0x30)), DropType},
		{"MUST verify that the type is 1: 2", datagram(changed(0, 0x32)), DropType},
		{"complete packet: nothing at all", datagram(nil), DropLength},
		{"complete packet: 7 octets", datagram(literal[:7]), DropLength},
		{"complete packet: no list", datagram(literal[:8]), DropLength},
		{"complete packet: list cut", datagram(literal[:11]), DropLength},
		{"complete packet: count promises more", datagram(changed(3, 2)), DropLength},
		{"complete packet: more than promised", datagram(fix(append(slices.Clone(literal), 0, 0, 0, 0))), DropLength},
		{"MUST verify the VRRP checksum: one bit", datagram(append(slices.Clone(literal[:11]), 101)), DropChecksum},
		{"MUST verify the VRRP checksum: zero", datagram([]byte{0x31, 51, 150, 1, 0, 100, 0, 0, 192, 0, 2, 100}), DropChecksum},
		{"MUST verify the VRRP checksum: of another source", &Datagram{Source: beta, Destination: Group, TTL: 255, Payload: literal}, DropChecksum},
		{"count 0 MUST be ignored", datagram(fix([]byte{0x31, 51, 150, 0, 0, 100, 0, 0})), DropCount},
		{"MUST verify that Max Advertise Interval is not 0", datagram(changed(5, 0)), DropInterval},
		{"reserved bits do not make an interval", datagram(fix([]byte{0x31, 51, 150, 1, 0xf0, 0, 0, 0, 192, 0, 2, 100})), DropInterval},
		{"VRID is 1..255", datagram(changed(1, 0)), DropVRID},
		{"reserved bits are ignored on reception", datagram(changed(4, 0xf0)), Accepted},
		{"any priority, also 0", datagram(changed(2, 0)), Accepted},
	}
	for _, test := range tests {
		var p Packet
		if got := p.Parse(test.give); got != test.want {
			t.Errorf("%s: %v, want %v", test.rule, got, test.want)
		}
	}
}

func TestParseOfTheLongestMessage(t *testing.T) {
	p := Packet{VRID: 255, Priority: 255, Interval: MaxInterval}
	for i := range MaxAddresses {
		p.Addresses = append(p.Addresses, netip.AddrFrom4([4]byte{10, 255, 255, byte(i)}))
	}
	b, err := p.Append(nil, alpha, Group)
	if err != nil {
		t.Fatal(err)
	}
	p.Version, p.Interval = 2, MaxInterval2
	b2, err := p.Append(nil, alpha, Group)
	if err != nil || len(b) != 8+4*255 || len(b2) != len(b)+8 || len(b2)+60 != MaxDatagram {
		t.Errorf("length = %d and %d (%v), want %d and 8 more, with a header at most %d", len(b), len(b2), err, 8+4*255, MaxDatagram)
	}
	var got Packet
	if reason := got.Parse(datagram(b)); reason != Accepted || got.Interval != 40950*time.Millisecond || !slices.Equal(got.Addresses, p.Addresses) {
		t.Errorf("Parse = %v, interval %v, %d addresses", reason, got.Interval, len(got.Addresses))
	}
}

func TestWillIsAnAdvertOfPriorityZero(t *testing.T) {
	cfg := RouterConfig{Name: "edge", Interface: "eth0", VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	var p Packet
	if reason := p.Parse(datagram(Will(cfg, alpha))); reason != Accepted || p.VRID != 51 || p.Priority != 0 || p.Interval != time.Second {
		t.Errorf("Will parses to %+v, %v", p, reason)
	}
	cfg.VRID = 0
	if got := Will(cfg, alpha); got != nil {
		t.Errorf("Will of an impossible configuration = %x, want none", got)
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	p := Packet{VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	b := make([]byte, 0, 64)
	d := datagram(literal)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = p.Append(b, alpha, Group)
		_ = p.Parse(d)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	p := Packet{VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	buffer := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Append(buffer, alpha, Group)
	}
}

func BenchmarkParse(b *testing.B) {
	var p Packet
	d := datagram(literal)
	b.ReportAllocs()
	for b.Loop() {
		if p.Parse(d) != Accepted {
			b.Fatal("dropped")
		}
	}
}
