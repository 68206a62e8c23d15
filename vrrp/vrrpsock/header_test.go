package vrrpsock

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/haldir-lb/haldir/vrrp"
)

// An IPv4 packet of protocol 112 with router alert option, TTL 254, two octets of
// payload and one of padding.
var withOption = []byte{
	0x46, 0xc0, 0, 26, 0x12, 0x34, 0x40, 0, 254, 112, 0xff, 0xff,
	198, 51, 100, 1, 224, 0, 0, 18,
	0x94, 4, 0, 0,
	0x31, 51,
	0,
}

func TestParseHeader(t *testing.T) {
	var d vrrp.Datagram
	if !parseHeader(withOption, &d) {
		t.Fatal("a good packet is refused")
	}
	if d.TTL != 254 || d.Source != netip.MustParseAddr("198.51.100.1") || d.Destination != vrrp.Group || !bytes.Equal(d.Payload, []byte{0x31, 51}) {
		t.Errorf("parseHeader = %+v", d)
	}
	for name, change := range map[string]func([]byte) []byte{
		"nothing":                 func([]byte) []byte { return nil },
		"19 octets":               func(b []byte) []byte { return b[:19] },
		"version 6":               func(b []byte) []byte { b[0] = 0x66; return b },
		"protocol 17":             func(b []byte) []byte { b[9] = 17; return b },
		"header of 16 octets":     func(b []byte) []byte { b[0] = 0x44; return b },
		"header beyond the total": func(b []byte) []byte { b[0] = 0x47; return b },
		"total beyond the end":    func(b []byte) []byte { b[3] = 28; return b },
	} {
		if parseHeader(change(slices.Clone(withOption)), &d) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseHeaderWithoutPayload(t *testing.T) {
	b := slices.Clone(withOption)
	b[3] = 24
	var d vrrp.Datagram
	if !parseHeader(b, &d) || len(d.Payload) != 0 {
		t.Errorf("payload = %x, want an accepted packet with none", d.Payload)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(withOption)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d vrrp.Datagram
		if parseHeader(b, &d) && (len(d.Payload)+minHeader > len(b) || !d.Source.Is4() || !d.Destination.Is4()) {
			t.Errorf("parseHeader(%x) = %+v", b, d)
		}
	})
}
