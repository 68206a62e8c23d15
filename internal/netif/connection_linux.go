package netif

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// States of a TCP socket in which no data of a connection is under way (include/net/tcp_states.h).
const (
	tcpTimeWait  = 6
	tcpClose     = 7
	tcpListen    = 10
	tcpNewSynRcv = 12
)

// Connections lists the TCP connections of this network namespace, both
// families; an IPv4 one at a socket for both is listed as IPv4.
func Connections(ctx context.Context) ([]Connection, error) {
	var all []Connection
	for _, family := range []uint8{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		sockets, err := complete(ctx, func() ([]*netlink.Socket, error) { return netlink.SocketDiagTCP(family) })
		if err != nil {
			return nil, fmt.Errorf("listing TCP connections: %w", err)
		}
		for _, s := range sockets {
			switch s.State {
			case tcpTimeWait, tcpClose, tcpListen, tcpNewSynRcv:
				continue
			}
			all = append(all, Connection{
				Local:  netip.AddrPortFrom(addrOf(s.ID.Source), s.ID.SourcePort),
				Remote: netip.AddrPortFrom(addrOf(s.ID.Destination), s.ID.DestinationPort),
			})
		}
	}
	return all, nil
}
