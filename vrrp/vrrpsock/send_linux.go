package vrrpsock

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// sender is what Send reuses.
type sender struct {
	source   netip.Addr
	control  []byte // says which source address and interface to use
	group    *net.IPAddr
	peers    map[netip.Addr]*net.IPAddr
	buffers  [][]byte
	messages []ipv4.Message
}

func (s *sender) init(family vrrp.Family) {
	s.group, s.peers = groupAddr(family), map[netip.Addr]*net.IPAddr{}
}

// Send implements vrrp.Port with sendmmsg(2).
func (p *port) Send(source netip.Addr, messages [][]byte) (int, error) {
	s := &p.sender
	s.from(source, p.index)
	s.buffers = append(s.buffers[:0], messages...)
	s.messages = s.messages[:0]
	for i := range s.buffers {
		s.messages = append(s.messages, ipv4.Message{Buffers: s.buffers[i : i+1], OOB: s.control, Addr: s.group})
	}
	return p.write(source)
}

// SendTo implements vrrp.Port likewise. What cannot go out by the interface of a
// virtual MAC address goes as if it had none.
func (p *port) SendTo(source netip.Addr, messages []vrrp.Outgoing) (int, error) {
	for sent := 0; sent < len(messages); {
		rest := messages[sent:]
		if rest[0].Via == "" {
			n, err := p.sendTo(source, rest[:stretch(rest)])
			if sent += n; err != nil || n == 0 {
				return sent, err
			}
			continue
		}
		n := p.frames.send(source, rest[:stretch(rest)])
		if n == 0 {
			if n, err := p.sendTo(source, rest[:1]); err != nil || n == 0 {
				return sent, err
			}
			n = 1
		}
		sent += n
	}
	return len(messages), nil
}

// stretch is how many messages from the first on go the same way.
func stretch(messages []vrrp.Outgoing) int {
	n := 1
	for n < len(messages) && (messages[n].Via == "") == (messages[0].Via == "") {
		n++
	}
	return n
}

func (p *port) sendTo(source netip.Addr, messages []vrrp.Outgoing) (int, error) {
	s := &p.sender
	s.from(source, p.index)
	s.buffers, s.messages = s.buffers[:0], s.messages[:0]
	for i := range messages {
		s.buffers = append(s.buffers, messages[i].Message)
	}
	for i := range messages {
		s.messages = append(s.messages, ipv4.Message{Buffers: s.buffers[i : i+1], OOB: s.control, Addr: s.peer(messages[i].To)})
	}
	return p.write(source)
}

// peer returns the address in the form of package net, which would be garbage if
// it were made anew for each advert.
func (s *sender) peer(a netip.Addr) *net.IPAddr {
	if !a.IsValid() {
		return s.group
	}
	known := s.peers[a]
	if known == nil {
		known = &net.IPAddr{IP: a.AsSlice()}
		s.peers[a] = known
	}
	return known
}

// write hands the prepared messages to the kernel.
func (p *port) write(source netip.Addr) (int, error) {
	s := &p.sender
	// Waiting for room in a stuck device queue would hold back all other links.
	n, err := p.packet.WriteBatch(s.messages, unix.MSG_DONTWAIT)
	if err != nil {
		return max(n, 0), fmt.Errorf("sending on %s from %s: %w", p.ifname, source, err)
	}
	return n, nil
}

// from makes source the address that is sent from.
func (s *sender) from(source netip.Addr, index int) {
	switch {
	case source == s.source:
		return
	case source.Is4():
		s.control = (&ipv4.ControlMessage{Src: source.AsSlice(), IfIndex: index}).Marshal()
	default:
		s.control = (&ipv6.ControlMessage{Src: source.AsSlice(), IfIndex: index}).Marshal()
	}
	s.source = source
}
