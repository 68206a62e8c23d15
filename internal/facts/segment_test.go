package facts

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	// 192.0.2.2 to 224.0.0.18, version 3, VRID 51, priority 150, 100 ms, 192.0.2.100; then padding.
	advert4 = "45c0002000000000ff700000c0000202e0000012" + "3133960100" + "0a0000" + "c0000264" + "00000000"
	// 192.0.2.9, version 2, VRID 51, priority 100, 1 s, 192.0.2.100, no authentication.
	advert2 = "45c0002800000000ff700000c0000209e0000012" + "21336401" + "00010000" + "c0000264" + "0000000000000000"
	// fe80::2 to ff02::12, version 3, VRID 51, fe80::33.
	advert6 = "6000000000187" + "0ff" + "fe800000000000000000000000000002" + "ff020000000000000000000000000012" +
		"3133960100640000" + "fe800000000000000000000000000033"
)

func TestParseAdvert(t *testing.T) {
	tests := []struct {
		name, packet string
		want         Advert
	}{
		{"version 3", advert4, Advert{Source: netip.MustParseAddr("192.0.2.2"), Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}}},
		{"version 2", advert2, Advert{Source: netip.MustParseAddr("192.0.2.9"), Version: 2, VRID: 51, Priority: 100, Interval: time.Second,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}}},
		{"IPv6", advert6, Advert{Source: netip.MustParseAddr("fe80::2"), Version: 3, VRID: 51, Priority: 150, Interval: time.Second,
			Addresses: []netip.Addr{netip.MustParseAddr("fe80::33")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packet := unhex(t, tt.packet)
			got, ok := parseAdvert(packet)
			if d := cmp.Diff(tt.want, got, equateNetip); d != "" || !ok {
				t.Errorf("advert, %v (-want +got):\n%s", ok, d)
			}
			for n := range packet {
				if a, ok := parseAdvert(packet[:n]); ok && a.VRID != 51 {
					t.Errorf("the first %d bytes are taken for %+v", n, a)
				}
			}
		})
	}
}

func FuzzParseAdvert(f *testing.F) {
	for _, text := range []string{advert4, advert2, advert6} {
		f.Add(unhex(f, text))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if a, ok := parseAdvert(packet); ok && (!a.Source.IsValid() || a.Version != 2 && a.Version != 3) {
			t.Errorf("advert %+v", a)
		}
	})
}
