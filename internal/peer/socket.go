package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// The groups of VRRP: every director has joined them, and switches flood them.
var (
	group4 = netip.MustParseAddr("224.0.0.18")
	group6 = netip.MustParseAddr("ff02::12")
)

// socket is the UDP socket of one family.
type socket struct {
	conn   net.PacketConn
	v4     *ipv4.PacketConn // of conn; nil with IPv6
	v6     *ipv6.PacketConn // of conn; nil with IPv4
	joined map[int]bool     // interfaces by index
}

func open(ctx context.Context, isIPv6 bool) (*socket, error) {
	network := "udp4"
	if isIPv6 {
		network = "udp6"
	}
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, network, ":"+strconv.Itoa(Port))
	if err != nil {
		return nil, fmt.Errorf("opening the socket for messages between directors: %w", err)
	}
	s := &socket{conn: conn, joined: make(map[int]bool)}
	if isIPv6 {
		s.v6 = ipv6.NewPacketConn(conn)
		err = errors.Join(s.v6.SetMulticastHopLimit(255), s.v6.SetHopLimit(255), s.v6.SetMulticastLoopback(false),
			s.v6.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagInterface, true))
	} else {
		s.v4 = ipv4.NewPacketConn(conn)
		err = errors.Join(s.v4.SetMulticastTTL(255), s.v4.SetTTL(255), s.v4.SetMulticastLoopback(false),
			s.v4.SetControlMessage(ipv4.FlagTTL|ipv4.FlagInterface, true))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the socket for messages between directors: %w", err), conn.Close())
	}
	return s, nil
}

// send sends datagrams on one path.
func (s *socket) send(p Path, datagrams [][]byte) error {
	if len(p.Peers) > 0 {
		var errs []error
		for _, peer := range p.Peers {
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, Port))
			errs = append(errs, s.writeAll(datagrams, nil, to))
		}
		return errors.Join(errs...)
	}
	ifi, err := net.InterfaceByName(p.Interface)
	if err != nil {
		return fmt.Errorf("telling the peer on %s: %w", p.Interface, err)
	}
	group := group4
	if p.IPv6 {
		group = group6
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, Port))
	if !s.joined[ifi.Index] {
		if err := s.join(ifi, to); err != nil {
			return fmt.Errorf("joining %s on %s: %w", group, p.Interface, err)
		}
		s.joined[ifi.Index] = true
	}
	return s.writeAll(datagrams, ifi, to)
}

func (s *socket) join(ifi *net.Interface, group *net.UDPAddr) error {
	if s.v6 != nil {
		return s.v6.JoinGroup(ifi, group)
	}
	return s.v4.JoinGroup(ifi, group)
}

// writeAll sends datagrams, out of an interface if one is given, until one cannot
// be sent.
func (s *socket) writeAll(datagrams [][]byte, ifi *net.Interface, to *net.UDPAddr) error {
	index := 0
	if ifi != nil {
		index = ifi.Index
	}
	for _, d := range datagrams {
		var err error
		if s.v6 != nil {
			_, err = s.v6.WriteTo(d, &ipv6.ControlMessage{IfIndex: index}, to)
		} else {
			_, err = s.v4.WriteTo(d, &ipv4.ControlMessage{IfIndex: index}, to)
		}
		if err != nil {
			return fmt.Errorf("telling %s: %w", to, err)
		}
	}
	return nil
}

// read receives one datagram; what has no control message has ttl 0.
func (s *socket) read(buffer []byte) (n, ttl, ifindex int, from netip.Addr, err error) {
	if s.v6 != nil {
		n, c, a, err := s.v6.ReadFrom(buffer)
		if c != nil {
			ttl, ifindex = c.HopLimit, c.IfIndex
		}
		return n, ttl, ifindex, addrOf(a), err
	}
	n, c, a, err := s.v4.ReadFrom(buffer)
	if c != nil {
		ttl, ifindex = c.TTL, c.IfIndex
	}
	return n, ttl, ifindex, addrOf(a), err
}
