// Package vrrpsock is VRRP on real interfaces: raw sockets of protocol 112, one
// for each interface and family, with many adverts per system call.
//
// It owns sockets and the choice of the source address; what the packets mean,
// and their checksums, are the business of package vrrp.
package vrrpsock

import (
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/vrrp"
)

// Network gives access to the interfaces of this host, in the network namespace
// of the thread that calls Open. It implements vrrp.Network.
type Network struct{}

// Open opens an IPv4 socket on an interface that exists, is up and has a carrier.
// It needs CAP_NET_RAW.
func (Network) Open(ifname string) (vrrp.Port, error) { return openPort(ifname, vrrp.IPv4) }

// Open6 opens an IPv6 socket likewise.
func (Network) Open6(ifname string) (vrrp.Port, error) { return openPort(ifname, vrrp.IPv6) }

func openPort(ifname string, family vrrp.Family) (vrrp.Port, error) {
	p, err := open(ifname, family)
	if err != nil {
		return nil, fmt.Errorf("opening a VRRP socket on %s: %w", ifname, err)
	}
	return p, nil
}

// Send sends ready-made messages, such as those of vrrp.Will, from one of the
// addresses of an interface, through a socket of its own.
func Send(ifname string, source netip.Addr, messages ...[]byte) error {
	p, err := openPort(ifname, vrrp.FamilyOf(source))
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Listen(vrrp.VRIDs{}); err != nil {
		return err
	}
	for len(messages) > 0 {
		n, err := p.Send(source, messages)
		if err != nil {
			return err
		}
		messages = messages[n:]
	}
	return nil
}
