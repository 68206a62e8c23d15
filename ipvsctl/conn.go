package ipvsctl

import (
	"net/netip"
	"time"
)

// Connection is one entry of the kernel's connection table.
type Connection struct {
	Protocol Protocol       // 0 for a persistence template by firewall mark
	Client   netip.AddrPort // port 0 in a persistence template
	Virtual  netip.AddrPort // where the client connected to; a template by mark has the mark as address
	Dest     netip.AddrPort // the real server
	State    string         // the kernel's word, such as "ESTABLISHED"
	Expires  time.Duration  // until it is forgotten, if no packet comes; whole seconds
	// Learned is set where another director told of it.
	Learned bool
}

// Template reports whether the entry is no connection, but the memory of a
// persistent client.
func (c Connection) Template() bool { return c.Client.Port() == 0 }
