package netif

import "net/netip"

// GUEPort is how a UDP port at which GUE is received is written: at every address
// of one family.
func GUEPort(port uint16, six bool) netip.AddrPort {
	if six {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), port)
}
