package doctor

import (
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/firewall"
	"github.com/haldir-lb/haldir/internal/peer"
)

// families are the routers of which this host is a director, each of one family.
func (p *patient) families() []config.VRRP {
	cfg := config.Config{VRRP: p.routers, SyncGroups: p.Config.SyncGroups}
	return cfg.Routers()
}

// groups are those that VRRP uses, and the messages of directors with it.
var groups = map[bool]netip.Addr{
	true:  netip.AddrFrom4([4]byte{224, 0, 0, 18}),
	false: netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12}),
}

// adverts follows those of a router of one family.
func (f *gate) adverts(v config.VRRP) {
	f.directors("firewall-vrrp", "VRRP adverts", v, firewall.Packet{Protocol: protoVRRP, State: firewall.New})
}

// messages follows what directors tell one another beside VRRP.
func (f *gate) messages(v config.VRRP) {
	f.directors("firewall-peers", "messages of directors", v,
		firewall.Packet{Protocol: protoUDP, SourcePort: anyPort, Port: peer.Port, State: firewall.New})
}

// directors follows packets between the directors of a router, both ways.
func (f *gate) directors(id, what string, v config.VRRP, packet firewall.Packet) {
	like := v.Addresses[0].Addr()
	own := f.speakingAddress(v.Interface, like)
	if !own.IsValid() {
		return
	}
	in, out := packet, packet
	in.In, out.Out = v.Interface, v.Interface
	out.Source = own
	if len(v.Peers) == 0 {
		in.Source, in.AnySource, in.Destination, out.Destination = somebody(own), true, groups[own.Is4()], groups[own.Is4()]
		f.pass(id, what+" that come in by "+v.Interface, inbound, in)
		f.pass(id, what+" that go out by "+v.Interface, outbound, out)
		return
	}
	for _, other := range v.Peers {
		if len(f.Host.Has(other)) > 0 {
			continue
		}
		in.Source, in.Destination, out.Destination = other, own, other
		f.pass(id, what+" from "+other.String(), inbound, in)
		f.pass(id, what+" to "+other.String(), outbound, out)
	}
}

// connections follows the messages of the kernel's synchronisation.
func (f *gate) connections() {
	s := f.Config.Sync
	if s == nil || len(f.routers) == 0 {
		return
	}
	own := f.ownAddress(s.Interface, s.Group)
	if !own.IsValid() {
		return
	}
	packet := firewall.Packet{Destination: s.Group, Protocol: protoUDP, SourcePort: anyPort, Port: s.Port, State: firewall.New}
	in, out := packet, packet
	in.In, in.Source, in.AnySource = s.Interface, somebody(own), true
	out.Out, out.Source = s.Interface, own
	f.pass("firewall-sync", "connections that the other director tells", inbound, in)
	f.pass("firewall-sync", "connections that this director tells", outbound, out)
}

// speakingAddress is what packets to other directors come from: of IPv6 a
// link-local address.
func (p *patient) speakingAddress(ifname string, like netip.Addr) netip.Addr {
	for _, a := range p.Host.Addresses {
		if addr := a.Prefix.Addr(); a.Interface == ifname && like.Is6() && addr.Is6() && addr.IsLinkLocalUnicast() {
			if _, virtual := p.directs(addr); !virtual {
				return addr
			}
		}
	}
	if like.Is6() {
		return netip.Addr{}
	}
	return p.ownAddress(ifname, like)
}

// ownAddress is an address of an interface that is not a virtual one.
func (p *patient) ownAddress(ifname string, like netip.Addr) netip.Addr {
	for _, a := range p.Host.Addresses {
		if _, virtual := p.directs(a.Prefix.Addr()); a.Interface == ifname && !virtual && a.Prefix.Addr().Is4() == like.Is4() {
			return a.Prefix.Addr()
		}
	}
	return netip.Addr{}
}

// Types of ICMPv6, which connection tracking leaves alone.
const (
	solicitation  = 135
	advertisement = 136
)

// question is an ARP request for an address, or a neighbour solicitation, and its
// answer.
func (f *gate) question(ifname string, addr netip.Addr) {
	if addr.Is6() {
		f.solicited(ifname, addr)
		return
	}
	f.pass("firewall-arp", "ARP requests for "+addr.String(), []firewall.Hook{firewall.Ingress, firewall.Input},
		firewall.Packet{In: ifname, ARP: true, Source: somebody(addr), AnySource: true, Destination: addr})
	f.pass("firewall-arp", "ARP answers for "+addr.String(), []firewall.Hook{firewall.Output},
		firewall.Packet{Out: ifname, ARP: true, Source: addr, Destination: somebody(addr), AnyDestination: true})
}

func (f *gate) solicited(ifname string, addr netip.Addr) {
	// The solicited-node group of the address (RFC 4291, section 2.7.1).
	group, low := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff}, addr.As16()
	copy(group[13:], low[13:])
	f.pass("firewall-arp", fmt.Sprintf("neighbour solicitations for %s", addr), inbound, firewall.Packet{
		In: ifname, Source: somebody(addr), AnySource: true, Destination: netip.AddrFrom16(group),
		Protocol: protoICMPv6, Type: solicitation, State: firewall.Untracked,
	})
	f.pass("firewall-arp", fmt.Sprintf("neighbour advertisements of %s", addr), outbound, firewall.Packet{
		Out: ifname, Source: addr, Destination: somebody(addr), AnyDestination: true,
		Protocol: protoICMPv6, Type: advertisement, State: firewall.Untracked,
	})
}
