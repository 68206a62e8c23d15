package arp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
)

var (
	mac = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x07}
	vip = netip.MustParseAddr("192.0.2.9")
)

// Each packet is written out, so that the library is no witness for itself.
func TestPacketsOctetByOctet(t *testing.T) {
	head := []byte{0, 1, 8, 0, 6, 4, 0}
	tests := []struct {
		name  string
		build func() ([]byte, error)
		want  []byte
	}{
		{"request form, RFC 5227 section 2.3", func() ([]byte, error) { return announcement(RequestForm, mac, vip) },
			append(head[:7:7], 1, 2, 0, 0, 0, 0, 7, 192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9)},
		{"reply form, RFC 5944 section 4.6", func() ([]byte, error) { return announcement(ReplyForm, mac, vip) },
			append(head[:7:7], 2, 2, 0, 0, 0, 0, 7, 192, 0, 2, 9, 2, 0, 0, 0, 0, 7, 192, 0, 2, 9)},
		{"probe, RFC 5227 section 2.1.1", func() ([]byte, error) { return question(mac, netip.Addr{}, vip) },
			append(head[:7:7], 1, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9)},
	}
	for _, test := range tests {
		got, err := test.build()
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s: got % x, %v, want % x", test.name, got, err, test.want)
		}
	}
	if _, err := announcement(RequestForm, mac, netip.MustParseAddr("2001:db8::1")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("IPv6: error %v, want ErrUnsupported", err)
	}
}

func TestParseClaim(t *testing.T) {
	reply, err := announcement(ReplyForm, mac, vip)
	if err != nil {
		t.Fatal(err)
	}
	with := func(offset int, value byte) []byte {
		data := bytes.Clone(reply)
		data[offset] = value
		return data
	}
	ask, err := question(mac, netip.Addr{}, vip)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name         string
		data         []byte
		claims, says bool
	}{
		{"reply", reply, true, true},
		{"padded", append(bytes.Clone(reply), make([]byte, 18)...), true, true},
		{"request from the address", with(7, 1), true, false},
		{"probe", ask, false, false},
		{"RARP operation", with(7, 3), false, false},
		{"hardware type", with(1, 6), false, false},
		{"protocol type", with(2, 0x86), false, false},
		{"hardware length 250", with(4, 250), false, false},
		{"protocol length 16", with(5, 16), false, false},
		{"cut", reply[:27], false, false},
		{"empty", nil, false, false},
	}
	for _, test := range tests {
		got, ok := parseClaim(test.data)
		if ok != test.claims {
			t.Errorf("%s: claims %v, want %v", test.name, ok, test.claims)
		}
		if ok && (got.Address != vip || !bytes.Equal(got.MAC, mac) || got.Reply != test.says) {
			t.Errorf("%s: claim %+v, want %v at %v, reply %v", test.name, got, vip, mac, test.says)
		}
	}
}

func FuzzParseClaim(f *testing.F) {
	for _, form := range []Form{RequestForm, ReplyForm} {
		data, err := announcement(form, mac, vip)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0, 1, 8, 0, 250, 4, 0, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		claim, ok := parseClaim(data)
		if ok && (len(claim.MAC) != 6 || !claim.Address.Is4() || claim.Address.IsUnspecified() || len(data) < 28) {
			t.Errorf("claim %+v of % x", claim, data)
		}
		if ok && !bytes.Equal(data[8:14], claim.MAC) {
			t.Errorf("MAC %v of % x", claim.MAC, data)
		}
	})
}

func TestCollectTellsStationsApartAndIsBounded(t *testing.T) {
	var answers []Answer
	for range 2 {
		for i := range 1000 {
			answers = collect(answers, net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}, ms)
		}
	}
	if len(answers) != maxAnswers {
		t.Errorf("%d answers, want %d", len(answers), maxAnswers)
	}
	if again := collect(answers[:2:2], answers[1].MAC, ms); len(again) != 2 {
		t.Errorf("a second answer of one station counts as %d stations, want 2", len(again))
	}
}
