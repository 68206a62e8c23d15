package lab

import (
	"fmt"
	"net"
	"net/netip"
)

// networks are the lab's in one family.
type networks struct {
	segment     netip.Prefix // router, directors, real servers
	clientSide  netip.Prefix // router, client
	flowSources netip.Prefix // the client's UDP requests, each a flow of its own
}

// The networks are of the blocks reserved for documentation (RFC 5737, RFC 3849).
var (
	ipv4 = networks{
		segment:     netip.MustParsePrefix("192.0.2.0/24"),
		clientSide:  netip.MustParsePrefix("198.51.100.0/24"),
		flowSources: netip.MustParsePrefix("203.0.113.0/24"),
	}
	ipv6 = networks{
		segment:     netip.MustParsePrefix("2001:db8:0:1::/64"),
		clientSide:  netip.MustParsePrefix("2001:db8:0:2::/64"),
		flowSources: netip.MustParsePrefix("2001:db8:0:3::/64"),
	}
)

// families are the networks that the lab has.
func (s Spec) families() []networks {
	if s.Lab.IPv6 {
		return []networks{ipv4, ipv6}
	}
	return []networks{ipv4}
}

// Host numbers within the networks.
const (
	hostRouter   = 1
	hostClient   = 2
	hostDirector = 2  // of the first
	hostReal     = 11 // of the first
	hostVIP      = 100
	hostInside   = 101 // the real servers' gateway with ForwardNAT
)

// clientAddresses is how many addresses the client connects from.
const clientAddresses = 8

// Names of the nodes that every lab has. Directors are d1, d2 and so on, real
// servers rs1, rs2 and so on.
const (
	Switch = "switch"
	Router = "router"
	Client = "client"
)

// Interface is the interface of every node but the switch. The router's leads to
// the segment.
const Interface = "eth0"

// clientPort is the router's interface to the client.
const clientPort = "eth1"

// Kind is what a node is.
type Kind uint8

// The kinds of nodes.
const (
	KindSwitch Kind = iota
	KindRouter
	KindClient
	KindDirector
	KindReal
)

// host returns the address with this host number. It is read alike in both
// families: the last digits of 192.0.2.11 are those of 2001:db8:0:1::11.
func host(network netip.Prefix, number int) netip.Addr {
	b := network.Masked().Addr().AsSlice()
	b[len(b)-1] = byte(number)
	if network.Addr().Is6() {
		b[len(b)-2], b[len(b)-1] = byte(number/100), byte(number/10%10<<4|number%10)
	}
	address, _ := netip.AddrFromSlice(b)
	return address
}

func within(network netip.Prefix, number int) netip.Prefix {
	return netip.PrefixFrom(host(network, number), network.Bits())
}

// VIP is the virtual address that the client sends to.
func (s Spec) VIP() netip.Addr { return host(ipv4.segment, hostVIP) }

// VIPs are those of all families, IPv4 first.
func (s Spec) VIPs() []netip.Addr {
	var vips []netip.Addr
	for _, f := range s.families() {
		vips = append(vips, host(f.segment, hostVIP))
	}
	return vips
}

// place is where one node sits.
type place struct {
	name   string
	kind   Kind
	number int // of the host in its network
	// gateway is the host number of the default router in that network; 0 for none.
	gateway int
	mac     net.HardwareAddr
}

// network is the one in which the node sits; invalid for the switch.
func (p place) network(f networks) netip.Prefix {
	switch p.kind {
	case KindSwitch:
		return netip.Prefix{}
	case KindClient:
		return f.clientSide
	}
	return f.segment
}

// address is the node's own in a family; invalid for the switch.
func (p place) address(f networks) netip.Prefix {
	if p.kind == KindSwitch {
		return netip.Prefix{}
	}
	return within(p.network(f), p.number)
}

// layout lists the nodes: switch, router, client, directors, real servers.
func (s Spec) layout() []place {
	places := []place{
		{name: Switch, kind: KindSwitch},
		{name: Router, kind: KindRouter, number: hostRouter, mac: mac(hostRouter)},
		{name: Client, kind: KindClient, number: hostClient, gateway: hostRouter, mac: mac(0xc1)},
	}
	for i := range s.Lab.Directors {
		places = append(places, place{
			name: directorName(i), kind: KindDirector, number: hostDirector + i,
			gateway: hostRouter, mac: mac(hostDirector + i),
		})
	}
	gateway := hostRouter
	if s.Lab.Forward == ForwardNAT {
		gateway = hostInside
	}
	for i := range s.Lab.RealServers {
		places = append(places, place{
			name: realName(i), kind: KindReal, number: hostReal + i,
			gateway: gateway, mac: mac(hostReal + i),
		})
	}
	return places
}

// serves reports whether the nodes of a kind are real servers.
func (s Spec) serves(k Kind) bool { return k == KindReal || k == KindDirector && s.Lab.DirectorsServe }

// pool is how many real servers each service has.
func (s Spec) pool() int {
	if s.Lab.DirectorsServe {
		return s.Lab.RealServers + s.Lab.Directors
	}
	return s.Lab.RealServers
}

func directorName(i int) string { return fmt.Sprintf("d%d", i+1) }
func realName(i int) string     { return fmt.Sprintf("rs%d", i+1) }

// mac returns a locally administered address that shows the host number in
// decimal digits: 02:00:00:00:00:11 is 192.0.2.11.
func mac(number int) net.HardwareAddr {
	if number > 99 {
		return net.HardwareAddr{2, 0, 0, 0, 0, byte(number)}
	}
	return net.HardwareAddr{2, 0, 0, 0, 0, byte(number/10<<4 | number%10)}
}
