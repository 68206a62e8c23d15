package arp

import (
	"net/netip"
	"slices"
	"testing"
)

// A former master's kernel answers a request for the address: with a hardware
// address that moves along, that answer would move it back.
func TestAMovingMACIsAnnouncedByRepliesOnly(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")
	for _, test := range []struct {
		addr   netip.Addr
		moving bool
		want   []Form
	}{
		{four, false, []Form{RequestForm, ReplyForm}},
		{four, true, []Form{ReplyForm}},
		{six, false, []Form{AdvertisementForm}},
		{six, true, []Form{AdvertisementForm}},
	} {
		if got := formsOf(test.addr, test.moving); !slices.Equal(got, test.want) {
			t.Errorf("%s, moving %v: forms %v, want %v", test.addr, test.moving, got, test.want)
		}
	}
}
