package vrrpsock

import (
	"encoding/binary"
	"net/netip"

	"github.com/haldir-lb/haldir/vrrp"
)

// minHeader is the length of an IPv4 header without options.
const minHeader = 20

// parseHeader takes the IPv4 header off a received packet, b, and fills d. It
// reports false if b is no complete IPv4 packet of protocol 112. Octets beyond
// the length in the header are not part of the packet.
func parseHeader(b []byte, d *vrrp.Datagram) bool {
	if len(b) < minHeader || b[0]>>4 != 4 || b[9] != vrrp.Protocol {
		return false
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < minHeader || total < header || total > len(b) {
		return false
	}
	d.TTL = b[8]
	d.Source = netip.AddrFrom4([4]byte(b[12:16]))
	d.Destination = netip.AddrFrom4([4]byte(b[16:20]))
	d.Payload = b[header:total]
	return true
}
