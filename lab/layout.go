package lab

import (
	"fmt"
	"net"
	"net/netip"
)

// The lab's networks are of the blocks reserved for documentation (RFC 5737).
var (
	segment     = netip.MustParsePrefix("192.0.2.0/24")    // router, directors, real servers
	clientSide  = netip.MustParsePrefix("198.51.100.0/24") // router, client
	flowSources = netip.MustParsePrefix("203.0.113.0/24")  // the client's UDP requests, each a flow of its own
)

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

// host returns the address with this host number.
func host(network netip.Prefix, number int) netip.Addr {
	b := network.Masked().Addr().As4()
	b[3] = byte(number)
	return netip.AddrFrom4(b)
}

func within(network netip.Prefix, number int) netip.Prefix {
	return netip.PrefixFrom(host(network, number), network.Bits())
}

// VIP is the virtual address that the client sends to.
func (s Spec) VIP() netip.Addr { return host(segment, hostVIP) }

// place is where one node sits.
type place struct {
	name string
	kind Kind
	// address on the segment, or on the client's network; invalid for the switch.
	address netip.Prefix
	gateway netip.Addr // of the default route; invalid for none
	mac     net.HardwareAddr
}

// layout lists the nodes: switch, router, client, directors, real servers.
func (s Spec) layout() []place {
	router := host(segment, hostRouter)
	places := []place{
		{name: Switch, kind: KindSwitch},
		{name: Router, kind: KindRouter, address: within(segment, hostRouter), mac: mac(hostRouter)},
		{name: Client, kind: KindClient, address: within(clientSide, hostClient), gateway: host(clientSide, hostRouter), mac: mac(0xc1)},
	}
	for i := range s.Lab.Directors {
		places = append(places, place{
			name: directorName(i), kind: KindDirector, address: within(segment, hostDirector+i),
			gateway: router, mac: mac(hostDirector + i),
		})
	}
	gateway := router
	if s.Lab.Forward == ForwardNAT {
		gateway = host(segment, hostInside)
	}
	for i := range s.Lab.RealServers {
		places = append(places, place{
			name: realName(i), kind: KindReal, address: within(segment, hostReal+i),
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
