package peer

import (
	"context"
	"net/netip"
	"slices"
)

// Port is the UDP port of the messages.
const Port = 9513

// Datagram is one that arrived.
type Datagram struct {
	From      netip.Addr
	Interface string
	Payload   []byte
}

// Path is a way to the other directors: by multicast on an interface, to the
// group that VRRP uses there, or to the addresses of unicast peers.
type Path struct {
	Interface string
	IPv6      bool
	Peers     []netip.Addr // empty: multicast
}

// Equal reports whether two paths are the same.
func (p Path) Equal(q Path) bool {
	return p.Interface == q.Interface && p.IPv6 == q.IPv6 && slices.Equal(p.Peers, q.Peers)
}

// Link carries datagrams between directors.
type Link interface {
	// Send sends datagrams on all paths. It does not block: what was not sent yet
	// is replaced. What cannot be sent is lost, as on any network.
	Send(paths []Path, datagrams [][]byte)
	// Run receives on the paths of the latest Send until ctx ends. The sink must
	// not block.
	Run(ctx context.Context, sink func(Datagram)) error
}

// accepts reports whether one of the paths expects a datagram: by multicast from
// this link alone, which a TTL of 255 proves, or from a peer.
func accepts(paths []Path, ifname string, from netip.Addr, ttl int) bool {
	return slices.ContainsFunc(paths, func(p Path) bool {
		if p.IPv6 != from.Is6() {
			return false
		}
		if len(p.Peers) > 0 {
			return slices.Contains(p.Peers, from.WithZone(""))
		}
		return p.Interface == ifname && ttl == 255
	})
}
