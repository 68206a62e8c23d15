package vrrpsock

import (
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/haldir-lb/haldir/vrrp"
)

// groupAddr is where the adverts of a family go.
func groupAddr(family vrrp.Family) *net.IPAddr { return &net.IPAddr{IP: family.Group().AsSlice()} }

func (p *port) options4() []option {
	c := ipv4.NewPacketConn(p.conn)
	p.packet = c
	ifi := &net.Interface{Index: p.index, Name: p.ifname}
	return []option{
		{"joining " + vrrp.Group.String(), func() error { return c.JoinGroup(ifi, groupAddr(vrrp.IPv4)) }},
		{"setting the multicast interface", func() error { return c.SetMulticastInterface(ifi) }},
		{"setting the TTL", func() error { return c.SetMulticastTTL(ttl) }},
		{"setting the TTL of unicast", func() error { return c.SetTTL(ttl) }},
		{"setting the TOS", func() error { return c.SetTOS(tos) }},
		{"turning off multicast loopback", func() error { return c.SetMulticastLoopback(false) }},
	}
}

func (p *port) options6() []option {
	c := ipv6.NewPacketConn(p.conn)
	p.packet = c
	ifi := &net.Interface{Index: p.index, Name: p.ifname}
	return []option{
		{"joining " + vrrp.Group6.String(), func() error { return c.JoinGroup(ifi, groupAddr(vrrp.IPv6)) }},
		{"setting the multicast interface", func() error { return c.SetMulticastInterface(ifi) }},
		{"setting the hop limit", func() error { return c.SetMulticastHopLimit(ttl) }},
		{"setting the hop limit of unicast", func() error { return c.SetHopLimit(ttl) }},
		{"setting the traffic class", func() error { return c.SetTrafficClass(tos) }},
		{"turning off multicast loopback", func() error { return c.SetMulticastLoopback(false) }},
		// The kernel gives no IPv6 header, so what it said comes beside the message.
		{"asking for hop limit and destination", func() error {
			return c.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true)
		}},
	}
}
