package realserver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// The types of neighbour discovery (RFC 4861, section 4).
const icmpSolicitation, icmpAdvertisement = 135, 136

// solicit is hammer by neighbour discovery.
func solicit(t *testing.T, far *testenv.Netns, vip, own netip.Addr) *asker {
	t.Helper()
	return begin(t, far, 0x86dd, &asker{vip: vip, own: own, frame: solicitation, parse: parseDiscovery})
}

func solicitation(from net.HardwareAddr, about netip.Addr) (net.HardwareAddr, []byte) {
	last := about.As16()
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(group[13:], last[13:])
	to := net.HardwareAddr(slices.Concat([]byte{0x33, 0x33}, group[12:]))
	message := slices.Concat([]byte{icmpSolicitation, 0, 0, 0, 0, 0, 0, 0}, about.AsSlice(), []byte{1, 1}, from)
	addresses := slices.Concat(asker6.AsSlice(), group[:])
	sum := checksum(slices.Concat(addresses, []byte{0, 0, 0, byte(len(message)), 0, 0, 0, 58}, message))
	binary.BigEndian.PutUint16(message[2:], sum)
	ip := slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(message)), 58, 255}, addresses)
	return to, slices.Concat(to, from, []byte{0x86, 0xdd}, ip, message)
}

// parseDiscovery takes an advertisement for what it is about, and a solicitation
// for its source.
func parseDiscovery(frame []byte) (arpFrame, bool) {
	const ip, icmp = 14, 54
	if len(frame) < icmp+24 || frame[ip+6] != 58 {
		return arpFrame{}, false
	}
	about, source := netip.AddrFrom16([16]byte(frame[icmp+8:icmp+24])), netip.AddrFrom16([16]byte(frame[ip+8:ip+24]))
	switch frame[icmp] {
	case icmpAdvertisement:
		return arpFrame{reply: true, sender: about}, true
	case icmpSolicitation:
		return arpFrame{sender: source, target: about}, true
	}
	return arpFrame{}, false
}
