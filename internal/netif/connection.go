package netif

import "net/netip"

// Connection is a TCP connection of this host that has not ended.
type Connection struct {
	Local, Remote netip.AddrPort
}
