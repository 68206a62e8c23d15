package firewall

import (
	"encoding/binary"
	"net/netip"
)

// Hook is a place in the kernel's path of a packet.
type Hook string

// The hooks that matter to a host that balances or serves.
const (
	Ingress     Hook = "ingress"
	Prerouting  Hook = "prerouting"
	Input       Hook = "input"
	Forward     Hook = "forward"
	Output      Hook = "output"
	Postrouting Hook = "postrouting"
)

// State is what connection tracking says of a packet, as nftables numbers it.
type State uint32

// The states.
const (
	Invalid     State = 1
	Established State = 2
	Related     State = 4
	New         State = 8
	Untracked   State = 64
)

// Packet is a packet to be followed.
type Packet struct {
	In, Out             string // interfaces; empty where there is none at the hook
	Source, Destination netip.Addr
	// AnySource and AnyDestination say that the address is not known but for its
	// family: a rule that asks for it is uncertain.
	AnySource, AnyDestination bool
	ARP                       bool   // an ARP request of Source for Destination
	Protocol                  uint8  // of IP
	SourcePort, Port          uint16 // with TCP, UDP and SCTP
	Type                      uint8  // with ICMP and ICMPv6
	State                     State
	mark                      Mark
}

// Mark is the firewall mark of a packet.
type Mark struct {
	Value uint32
	// By is the rule that set it last; empty if none did.
	By string
	// Unclear is set where a rule may have set another one.
	Unclear bool
}

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

func (p *Packet) etherType() uint16 {
	switch {
	case p.ARP:
		return etherARP
	case p.Source.Is4():
		return etherIPv4
	}
	return etherIPv6
}

// ported reports whether the transport header begins with two ports.
func (p *Packet) ported() bool {
	return p.Protocol == protoTCP || p.Protocol == protoUDP || p.Protocol == protoSCTP
}

// network returns the header that rules look into.
func (p *Packet) network() []byte {
	source, destination := p.Source.AsSlice(), p.Destination.AsSlice()
	switch p.etherType() {
	case etherARP:
		// Hardware and protocol type and sizes, request, MACs left zero.
		b := []byte{0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0}
		b = append(append(b, source...), 0, 0, 0, 0, 0, 0)
		return append(b, destination...)
	case etherIPv4:
		b := make([]byte, 12, 20)
		b[0], b[8], b[9] = 0x45, 255, p.Protocol
		return append(append(b, source...), destination...)
	}
	b := make([]byte, 8, 40)
	b[0], b[6], b[7] = 0x60, p.Protocol, 255
	return append(append(b, source...), destination...)
}

// hides reports whether bytes of the network header are of an address that is
// not known.
func (p *Packet) hides(offset, length int) bool {
	source, destination, size := 12, 16, 4
	switch p.etherType() {
	case etherARP:
		source, destination = 14, 24
	case etherIPv6:
		source, destination, size = 8, 24, 16
	}
	overlaps := func(at int) bool { return offset < at+size && at < offset+length }
	return p.AnySource && overlaps(source) || p.AnyDestination && overlaps(destination)
}

// transport returns the ports, or the type and code of ICMP, as far as there are any.
func (p *Packet) transport() []byte {
	if p.Protocol == protoICMP || p.Protocol == protoICMPv6 {
		return []byte{p.Type, 0}
	}
	if !p.ported() {
		return nil
	}
	b := binary.BigEndian.AppendUint16(nil, p.SourcePort)
	return binary.BigEndian.AppendUint16(b, p.Port)
}
