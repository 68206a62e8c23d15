package realserver

import (
	"math"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
)

// The lengths of headers, in bytes.
const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
	udpHeader  = 8
	greHeader  = 4
	greSum     = 4 // its checksum
	gueHeader  = 4
	gueRemote  = 8 // what it says of a checksum that is left to the receiver
)

// smallestIPv6 is the least MTU of an interface that has IPv6 (RFC 8200, section 5).
const smallestIPv6 = 1280

// smallestMSS is less than any host is told (RFC 879: packets of 68 bytes).
const smallestMSS = 28

// Wrapped says how packets of one family come to a real server of another: the
// device that takes them out, and what the wrapping takes of each packet.
func Wrapped(tunnel config.Tunnel, inner6, outer6 bool) (device string, overhead int) {
	overhead, device = ipv4Header, netif.DeviceIPIP
	switch {
	case outer6:
		overhead, device = ipv6Header, netif.DeviceIP6
	case inner6:
		device = netif.DeviceSIT
	}
	switch tunnel.Type {
	case "gre":
		device = netif.DeviceGRE
		if outer6 {
			device = netif.DeviceIP6GRE
		}
		overhead += greHeader
		if tunnel.Checksum == "full" {
			overhead += greSum
		}
	case "gue":
		overhead += udpHeader + gueHeader
		if tunnel.Checksum == "remote" {
			overhead += gueRemote
		}
	}
	return device, overhead
}

// unwrap takes the packets of a service by TUN out of their wrapping.
func (n needs) unwrap(service config.Service, server config.Real, ifname string) {
	inner6, outer6 := service.Listen[0].Addr().Is6(), server.Address.Is6()
	device, overhead := Wrapped(service.Attributes.Tunnel, inner6, outer6)
	if service.Attributes.Tunnel.Type == "gue" {
		put(n.ports, netif.GUEPort(service.Attributes.Tunnel.Port, outer6), service)
	}
	// A director in the same segment would ask this host for the VIP like any
	// other.
	n.hide(service, ifname)
	put(n.tunnels, device, service)
	if n.mtu[ifname] > 0 {
		n.fit(service, device, n.mtu[ifname]-overhead)
	}
	// Packets arrive on the tunnel from anywhere, and replies leave by another
	// interface. The kernel takes the larger value of all and the interface: 0
	// would not hold against a strict all (1), and lowering all would disarm
	// the other interfaces. Loose (2) holds against both and drops only what
	// comes from a source to which no reply could be routed anyway. In IPv6 the
	// kernel has no such filter.
	if !inner6 {
		n.set(service, device, "rp_filter", "2", "")
	}
	n.hold(service, device)
	n.serve(service, service.Listen...)
}

// fit has nothing sent that is larger than what arrives in one piece: the device
// has that MTU, and clients are told of it as they open a connection, since replies
// leave by an interface that has a larger one.
func (n needs) fit(service config.Service, device string, mtu int) {
	header := ipv4Header
	if service.Listen[0].Addr().Is6() {
		header, mtu = ipv6Header, max(mtu, smallestIPv6)
	}
	if n.room[device] == 0 || mtu < n.room[device] {
		n.room[device] = mtu
	}
	mss := min(mtu-header-tcpHeader, math.MaxUint16)
	if service.Protocol != "tcp" || mss < smallestMSS {
		return
	}
	for _, listen := range service.Listen {
		put(n.clamps, netif.Clamp{Address: listen.Addr(), Port: listen.Port(), MSS: uint16(mss)}, service)
	}
}
