package realserver

import (
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
)

// Loopback carries the VIPs of DR on a real server; tunnel devices carry those of
// TUN.
const Loopback = "lo"

// Owns reports whether real servers have their VIPs on the interface. A director
// on the same host leaves such interfaces alone.
func Owns(ifname string) bool {
	return ifname == Loopback || slices.Contains(netif.TunnelDevices(), ifname)
}

// State is what a host needs to be a real server. Every item names the services
// that ask for it. The slices are sorted and have nothing twice.
type State struct {
	// Own are the addresses of this host that services list.
	Own []HostAddress `json:"own"`
	// Endpoints are where the TCP connections of the services end on this host.
	Endpoints []netip.AddrPort `json:"endpoints"`
	// Sysctls are set before any VIP appears.
	Sysctls []Sysctl `json:"sysctls"`
	// Tunnels are the interfaces that have to be up.
	Tunnels []TunnelState `json:"tunnels"`
	// Ports are where GUE is received.
	Ports []Port `json:"ports"`
	// Addresses are the VIPs: on Loopback for DR, on a tunnel device for TUN.
	Addresses []Address `json:"addresses"`
	// Redirects stand for the VIPs of services that are received by redirect.
	Redirects []Redirect `json:"redirects"`
	// Clamps keep what clients send small enough for the tunnels.
	Clamps []Clamp `json:"clamps"`
	// Silences are about the VIPs of IPv4, and in force before any appears. A host
	// that directs as well has none: as the master it has to answer.
	Silences []Silence `json:"silences"`
	// Directs says that this host is one of the directors as well, which may hold
	// the VIPs on their interfaces.
	Directs bool `json:"directs"`
	// Replies are the ways that replies must take; they are verified, never set.
	Replies []Reply `json:"replies"`
}

// Sysctl is one kernel setting.
type Sysctl struct {
	netif.Sysctl
	// Also is another value that serves as well and is left alone where found;
	// empty is none.
	Also     string   `json:"also,omitempty"`
	Services []string `json:"services"`
}

// TunnelState is an interface that takes packets out of their wrapping.
type TunnelState struct {
	Name string `json:"name"`
	// MTU is the largest packet that arrives in the largest wrapping by the
	// interface of the real server's address, bytes; 0 where that is not known.
	MTU      int      `json:"mtu,omitempty"`
	Services []string `json:"services"`
}

// Port is a UDP port at which packets are taken out of GUE, as netif.GUEPort
// writes it.
type Port struct {
	At       netip.AddrPort `json:"at"`
	Services []string       `json:"services"`
}

// Address is a VIP on this host, with a full-length prefix.
type Address struct {
	netif.Address
	Services []string `json:"services"`
}

// Redirect is a rule by which a VIP's packets go to a local port.
type Redirect struct {
	netif.Redirect
	Services []string `json:"services"`
}

// Clamp is a rule by which clients send smaller segments.
type Clamp struct {
	netif.Clamp
	Services []string `json:"services"`
}

// Silence is a rule by which no ARP packet names a VIP.
type Silence struct {
	netif.Silence
	Services []string `json:"services"`
}

// Reply says where the replies of NAT services have to go.
type Reply struct {
	// From is the real server's address.
	From netip.Addr `json:"from"`
	// Via are the directors' addresses, of which one must be the next hop.
	Via      []netip.Addr `json:"via"`
	Services []string     `json:"services"`
}

// Services returns the names of the services that the host serves, sorted.
func (s State) Services() []string {
	all := names{}
	note := func(services []string) {
		for _, name := range services {
			all[name] = true
		}
	}
	for _, item := range s.Sysctls {
		note(item.Services)
	}
	for _, item := range s.Addresses {
		note(item.Services)
	}
	for _, item := range s.Redirects {
		note(item.Services)
	}
	for _, item := range s.Replies {
		note(item.Services)
	}
	return all.sorted()
}

// Connections counts those that end at one of the Endpoints.
func (s State) Connections(all []netif.Connection) int {
	n := 0
	for _, c := range all {
		if slices.Contains(s.Endpoints, c.Local) {
			n++
		}
	}
	return n
}
