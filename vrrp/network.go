package vrrp

import (
	"errors"
	"net/netip"
)

const (
	// MaxDatagram is the room that a datagram received over IPv4 needs: the
	// longest IPv4 header and the longest message.
	MaxDatagram = 60 + headerLen + 4*MaxAddresses + authLen
	// MaxDatagram6 is the room that one over IPv6 needs, where the kernel gives
	// no header.
	MaxDatagram6 = headerLen + 16*MaxAddresses
)

// ErrNoSource is the error of Port.Source when the interface is fine but has no
// address to send from that is not virtual.
var ErrNoSource = errors.New("no address of its own to send from")

// Network gives access to the interfaces of this node.
type Network interface {
	// Open makes an interface ready to send and receive over IPv4. It fails if
	// the interface does not exist or is down; the caller tries again later.
	Open(ifname string) (Port, error)
	// Open6 does the same for IPv6.
	Open6(ifname string) (Port, error)
}

// Open opens the interface of a router for the router's family.
func Open(net Network, cfg *RouterConfig) (Port, error) {
	if cfg.Family() == IPv6 {
		return net.Open6(cfg.Interface)
	}
	return net.Open(cfg.Interface)
}

// Port sends and receives VRRP messages on one interface over one family. Send may
// be called while another goroutine is in Receive and a third one in Source.
type Port interface {
	// Source returns the primary address of the interface: the first IPv4 address,
	// or usable link-local IPv6 address, that exclude (the virtual addresses) does
	// not list, and the same one as before as long as the interface has it. It
	// fails with an error that wraps ErrNoSource if the interface has no such
	// address, and with another one if it is down or no longer the one that was
	// opened.
	Source(exclude []netip.Addr) (netip.Addr, error)
	// Send sends messages to the family's group from source without ever
	// blocking, and returns how many, counted from the first, were handed over.
	Send(source netip.Addr, messages [][]byte) (int, error)
	// SendTo does the same with messages to single hosts, each with its To, or by
	// another interface, each with its Via.
	SendTo(source netip.Addr, messages []Outgoing) (int, error)
	// Receive waits for at least one datagram and fills into from its start,
	// with Payload a part of Buffer. It returns net.ErrClosed after Close.
	Receive(into []Datagram) (int, error)
	// Listen tells which VRIDs are of interest. Others need not be received.
	Listen(vrids VRIDs) error
	Close() error
}

// Outgoing is a message and where it goes.
type Outgoing struct {
	To      netip.Addr // zero: the family's group
	Via     string     // to the group: by this interface while it is up; see RouterConfig
	Message []byte     // never changed after it was handed out
}

// Datagram is one received packet of protocol 112.
type Datagram struct {
	Source      netip.Addr // without zone
	Destination netip.Addr
	TTL         uint8  // or hop limit
	Payload     []byte // the VRRP message, as long as the IP header says
	Buffer      []byte // room lent by the caller of Receive, MaxDatagram or MaxDatagram6 octets
}

// VRIDs is a set of VRIDs, one bit each.
type VRIDs [8]uint32

// Add adds a VRID to the set.
func (v *VRIDs) Add(vrid uint8) { v[vrid/32] |= 1 << (vrid % 32) }

// Has reports whether the set has the VRID.
func (v *VRIDs) Has(vrid uint8) bool { return v[vrid/32]&(1<<(vrid%32)) != 0 }
