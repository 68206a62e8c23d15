package vrrpsock

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// beside is what comes with an IPv6 message: its sender, and destination and hop
// limit as control messages.
type beside struct {
	from    unix.RawSockaddrInet6
	control [controlLen]byte
}

// controlLen is more than an IPV6_PKTINFO and an IPV6_HOPLIMIT need: a header of
// at most 16 octets each, 20 and 4 octets, padded.
const controlLen = 96

func (b *beside) lend(h *unix.Msghdr) {
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.from)), unix.SizeofSockaddrInet6
	h.Control = &b.control[0]
	h.SetControllen(len(b.control))
}

// parseControl reads destination and hop limit, and reports whether both are
// there.
func parseControl(b []byte, d *vrrp.Datagram) bool {
	var limit, destination bool
	for len(b) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return false
		}
		b = rest
		if header.Level != unix.IPPROTO_IPV6 {
			continue
		}
		switch {
		case header.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			d.TTL, limit = uint8(binary.NativeEndian.Uint32(data)), true
		case header.Type == unix.IPV6_PKTINFO && len(data) >= 16:
			d.Destination, destination = netip.AddrFrom16([16]byte(data)), true
		}
	}
	return limit && destination
}
