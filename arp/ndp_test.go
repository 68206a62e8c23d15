package arp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

var (
	vip6   = netip.MustParseAddr("2001:db8::9")
	local6 = netip.MustParseAddr("fe80::9")
)

func octets(t *testing.T, words string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(words, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The packets, put together by hand. The checksums are the complements of the
// sums of addresses, length, 58 and message.
const (
	literalAdvertisement = "6000 0000 0020 3aff 20010db8000000000000000000000009 ff020000000000000000000000000001" +
		"8800 7914 a0000000 20010db8000000000000000000000009 0201 020000000007"
	literalSolicitation = "6000 0000 0018 3aff 00000000000000000000000000000000 ff0200000000000000000001ff000009" +
		"8700 4cdd 00000000 20010db8000000000000000000000009"
)

func TestNeighbourDiscoveryOctets(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	for _, test := range []struct {
		name  string
		build func() ([]byte, net.HardwareAddr, error)
		want  string
		to    string
	}{
		{"unsolicited advertisement, RFC 9568 section 6.4.1: R set, S clear, O set", func() ([]byte, net.HardwareAddr, error) {
			return advertisement(mac, vip6, true)
		}, literalAdvertisement, "33:33:00:00:00:01"},
		{"solicitation, RFC 4862 section 5.4.2: from the unspecified address", func() ([]byte, net.HardwareAddr, error) {
			return solicitation(nil, netip.Addr{}, vip6)
		}, literalSolicitation, "33:33:ff:00:00:09"},
	} {
		got, to, err := test.build()
		if want := octets(t, test.want); err != nil || !bytes.Equal(got, want) || to.String() != test.to {
			t.Errorf("%s:\n got % x to %v, %v\nwant % x to %s", test.name, got, to, err, want, test.to)
		}
	}
	for _, bad := range []string{"192.0.2.1", "::ffff:192.0.2.1", "fe80::1%eth0"} {
		if _, _, err := advertisement(mac, netip.MustParseAddr(bad), true); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("advertisement of %s: error %v, want ErrUnsupported", bad, err)
		}
	}
	if _, _, err := advertisement(net.HardwareAddr{1, 2, 3, 4, 5, 6, 7, 8}, vip6, true); !errors.Is(err, ErrNoARP) {
		t.Errorf("advertisement at an address of 8 octets: error %v, want ErrNoARP", err)
	}
}

// RFC 4861, section 7.1.2: what makes a neighbour advertisement invalid.
func TestParseAdvertisement(t *testing.T) {
	good := octets(t, literalAdvertisement)
	from := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	changed := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	fixed := func(b []byte) []byte {
		b[headerLen6+2], b[headerLen6+3] = 0, 0
		sum := ^checksum6(b)
		b[headerLen6+2], b[headerLen6+3] = byte(sum>>8), byte(sum)
		return b
	}
	bare := func() []byte { // without option
		b := bytes.Clone(good[:headerLen6+messageLen6])
		b[5] = messageLen6
		return fixed(b)
	}
	for _, test := range []struct {
		name string
		give []byte
		want string // MAC; empty: refused
	}{
		{"as sent", good, "02:00:00:00:00:07"},
		{"padded", append(bytes.Clone(good), 0, 0, 0, 0), "02:00:00:00:00:07"},
		{"no option: the sender's address counts", bare(), "02:00:00:00:00:01"},
		{"another option: the sender's address counts", fixed(changed(64, 1)), "02:00:00:00:00:01"},
		{"nothing", nil, ""},
		{"39 octets", good[:39], ""},
		{"version 4", changed(0, 0x45), ""},
		{"UDP", changed(6, 17), ""},
		{"The IP Hop Limit field has a value of 255", changed(7, 254), ""},
		{"cut", good[:71], ""},
		{"length beyond the end", changed(5, 33), ""},
		{"ICMP Checksum is valid", changed(71, 8), ""},
		{"ICMP Code is 0", fixed(changed(41, 1)), ""},
		{"a solicitation", octets(t, literalSolicitation), ""},
		{"ICMP length is 24 or more octets", func() []byte { b := bytes.Clone(good[:63]); b[5] = 23; return fixed(b) }(), ""},
		{"Target Address is not a multicast address", fixed(changed(48, 0xff)), ""},
		{"All included options have a length that is greater than zero", fixed(changed(65, 0)), ""},
		{"option beyond the end", fixed(changed(65, 2)), ""},
	} {
		claim, ok := parseAdvertisement(test.give, from)
		if ok != (test.want != "") || ok && (claim.MAC.String() != test.want || claim.Address != vip6 || claim.Reply) {
			t.Errorf("%s: %+v, %v, want %q", test.name, claim, ok, test.want)
		}
	}
	solicited := fixed(changed(44, flagSolicited))
	if claim, ok := parseAdvertisement(solicited, from); !ok || !claim.Reply {
		t.Errorf("a solicited advertisement: %+v, %v, want a reply", claim, ok)
	}
}

func FuzzParseAdvertisement(f *testing.F) {
	good, _, err := advertisement(net.HardwareAddr{2, 0, 0, 0, 0, 7}, vip6, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > headerLen6+4 { // hardly ever right by chance
			if length := int(data[4])<<8 | int(data[5]); length >= 4 && len(data) >= headerLen6+length {
				packet := data[:headerLen6+length]
				packet[headerLen6+2], packet[headerLen6+3] = 0, 0
				sum := ^checksum6(packet)
				packet[headerLen6+2], packet[headerLen6+3] = byte(sum>>8), byte(sum)
			}
		}
		claim, ok := parseAdvertisement(data, net.HardwareAddr{2, 0, 0, 0, 0, 1})
		if ok && (len(claim.MAC) != 6 || claim.Address.IsMulticast() || !claim.Address.IsValid()) {
			t.Errorf("% x is read as %+v", data, claim)
		}
	})
}
