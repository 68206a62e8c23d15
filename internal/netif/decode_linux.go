package netif

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// decodeAddress reads the body of RTM_NEWADDR and RTM_DELADDR. The library's
// own subscription leaves the protocol tag and the peer out.
func decodeAddress(data []byte) (heldAddress, bool) {
	if len(data) < unix.SizeofIfAddrmsg {
		return heldAddress{}, false
	}
	bits, flags := int(data[1]), int(data[2])
	index := binary.NativeEndian.Uint32(data[4:])
	body := data[unix.SizeofIfAddrmsg:]
	// The parser takes it for granted that the last attribute is padded.
	if len(body)%unix.RTA_ALIGNTO != 0 || index > 1<<31-1 {
		return heldAddress{}, false
	}
	attrs, err := nl.ParseRouteAttr(body)
	if err != nil {
		return heldAddress{}, false
	}
	h := heldAddress{index: int(index)}
	var local, address netip.Addr
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(a.Value)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(a.Value)
		case netlink.IFA_PROTO:
			if len(a.Value) == 1 {
				h.Proto = a.Value[0]
			}
		case unix.IFA_FLAGS:
			if len(a.Value) == 4 {
				flags = int(binary.NativeEndian.Uint32(a.Value))
			}
		}
	}
	// With a peer the prefix length is the peer's and the own address is single;
	// without, both attributes are equal, or IFA_LOCAL is missing (IPv6).
	switch {
	case !local.IsValid() || local == address:
		h.Prefix = netip.PrefixFrom(address, bits)
	default:
		h.Prefix = netip.PrefixFrom(local, local.BitLen())
		h.peer = netip.PrefixFrom(address, bits)
	}
	h.Ours = h.Proto == Protocol
	h.secondary = h.Prefix.Addr().Is4() && flags&unix.IFA_F_SECONDARY != 0
	return h, h.Prefix.IsValid()
}
